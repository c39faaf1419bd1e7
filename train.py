"""The training command of the document: `python train.py --num_envs 512 --headless lift_object`."""

import sys

from manyseeds.runs.command import main

sys.exit(main())
