"""List the tasks."""

from collections.abc import Sequence

from manyseeds.core.arguments import verb_parser
from manyseeds.tasks import TASKS


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; return 0."""
    verb_parser("tasks", __doc__, "").parse_args(argv)
    for name in TASKS:
        print(name)
    return 0
