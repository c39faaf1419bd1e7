"""List the tasks with their outcomes."""

import argparse
from collections.abc import Sequence

from manyseeds.tasks import registry


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; return 0."""
    parser = argparse.ArgumentParser(
        prog="manyseeds tasks", description=__doc__, epilog="example: manyseeds train --num_envs 512 lift_object"
    )
    parser.parse_args(argv)
    for name in registry.names():
        description = registry.describe(name)
        print(f"{name}: {description.summary}")
        for outcome in description.outcomes:
            print(f"  {outcome.name:16} {outcome.meaning}{f' ({outcome.unit})' if outcome.unit else ''}")
    return 0
