"""`python -m manyseeds VERB`."""

import sys

from manyseeds.cli import main

sys.exit(main())
