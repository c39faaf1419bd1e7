"""Remove the training states of finished runs; nothing else of them, and nothing of unfinished ones."""

from collections.abc import Sequence
from pathlib import Path

from manyseeds.core.arguments import verb_parser
from manyseeds.launch.run import remove_state


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; return 0."""
    parser = verb_parser("tidy", __doc__, "results/lift_object/default/seed_*")
    parser.add_argument("run", type=Path, nargs="+", help="folders of runs: results/<experiment>/<variant>/seed_<seed>")
    for run in parser.parse_args(argv).run:
        remove_state(run)
    return 0
