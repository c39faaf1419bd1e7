"""Remove the training states of finished runs; nothing else of them, and nothing of unfinished ones."""

from collections.abc import Sequence
from pathlib import Path

from manyseeds.core.arguments import verb_parser
from manyseeds.core.errors import UserError
from manyseeds.core.layout import RUN_RECORD, has_begun
from manyseeds.launch.run import remove_state


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; return 0."""
    parser = verb_parser("tidy", __doc__, "results/lift_object/default/seed_*")
    parser.add_argument("run", type=Path, nargs="+", help="folders of runs: results/<experiment>/<variant>/seed_<seed>")
    runs = parser.parse_args(argv).run
    for run in runs:
        if not has_begun(run):
            raise UserError(f"{run} is not the folder of a run; give one such as results/lift_object/default/seed_1")
    for run in runs:
        if not (run / RUN_RECORD).is_file():
            print(f"{run}: it has not ended, so its state stays")
            continue
        try:
            remove_state(run)
        except BlockingIOError:
            print(f"{run}: another process works on it, so its state stays")
    return 0
