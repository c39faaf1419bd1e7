"""`python -m manyseeds VERB`."""

import sys

# `python -m` puts the working directory first, where a random.py would be taken for Python's own.
if not sys.flags.safe_path:
    del sys.path[0]

from manyseeds.cli import main

sys.exit(main())
