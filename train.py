"""`python train.py ...`, as in Isaac Lab Arena's policy-training guide, is `manyseeds train ...`."""

import sys

from manyseeds.runs.command import main

sys.exit(main())
