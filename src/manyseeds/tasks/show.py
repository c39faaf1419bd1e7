"""List the tasks."""

import argparse
from collections.abc import Sequence

from manyseeds.tasks import TASKS


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; return 0."""
    argparse.ArgumentParser(prog="manyseeds tasks", description=__doc__).parse_args(argv)
    for name in TASKS:
        print(name)
    return 0
