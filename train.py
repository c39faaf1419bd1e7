"""`python train.py ...`, as in Isaac Lab Arena's policy-training guide, is `manyseeds train ...`."""

import sys

from manyseeds.cli import main

sys.exit(main(["train", *sys.argv[1:]]))
