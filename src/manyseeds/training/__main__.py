"""`python -m manyseeds.training`."""

import sys

from manyseeds.training.cli import main

if __name__ == "__main__":
    sys.exit(main())
