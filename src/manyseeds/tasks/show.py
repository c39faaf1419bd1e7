"""List the tasks with their outcomes."""

from collections.abc import Sequence

from manyseeds.core.arguments import verb_parser
from manyseeds.tasks import registry


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; return 0."""
    verb_parser("tasks", __doc__, "").parse_args(argv)
    for name in registry.names():
        description = registry.describe(name)
        print(f"{name}: {description.summary}")
        for outcome in description.outcomes:
            print(f"  {outcome.name:16} {outcome.meaning}{f' ({outcome.unit})' if outcome.unit else ''}")
    return 0
