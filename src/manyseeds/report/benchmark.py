"""Write the table and the figure over all tasks of a benchmark, from the CSV files of its experiments."""

from collections.abc import Sequence
from pathlib import Path

from manyseeds.analysis.tasks import read_over_tasks
from manyseeds.core.arguments import verb_parser
from manyseeds.report.command import without_windows
from manyseeds.report.tables.over_tasks import write_over_tasks


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; return 0."""
    parser = verb_parser("benchmark", __doc__, "results/benchmark")
    parser.add_argument("results_dir", type=Path, help="the folder of a benchmark, which holds one for each experiment")
    over = read_over_tasks(parser.parse_args(argv).results_dir)
    without_windows()
    from manyseeds.report.figures.over_tasks import save_over_tasks

    tables = write_over_tasks(over)
    save_over_tasks(over)
    print(tables["md"].read_text(encoding="utf-8"))
    return 0
