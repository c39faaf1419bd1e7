"""Write the success-rate tables of an experiment: CSV of every checkpoint, Markdown, HTML and LaTeX of the last."""

from collections.abc import Sequence

from manyseeds.analysis.data import Data
from manyseeds.analysis.results import ResultsFolder
from manyseeds.core.files import write_atomic
from manyseeds.report.command import for_each_folder, results_parser
from manyseeds.report.tables.formats import FORMATS
from manyseeds.report.tables.text import grids


def write_tables(folder: ResultsFolder) -> str:
    """Write all tables into a results folder.

    Returns:
        The final tables as Markdown.

    Raises:
        UserError: when there is nothing to make rates of, or a CSV file is malformed.
    """
    data = Data(folder)
    frames = {
        "success_rates": data.rates,
        "success_rates_over_seeds": data.rates_over_seeds,
        "success_rates_final": data.final_over_seeds,
        "success_rates_compared": data.comparisons,
        "success_rates_effects": data.effects,
        "success_rates_sources": data.sources,
    }
    texts = {suffix: render(grids(data), data.provenance) for suffix, render in FORMATS.items()}
    for name, frame in frames.items():
        with write_atomic(folder.folder / f"{name}.csv") as path:
            frame.to_csv(path, index=False, lineterminator="\n", float_format="%.9g")
    for suffix, text in texts.items():
        with write_atomic(folder.folder / f"success_rates.{suffix}") as path:
            path.write_text(text, encoding="utf-8")
    return texts["md"]


def main(argv: Sequence[str] | None = None) -> int:
    """Command line: write the tables of every experiment in a results folder and print the final ones."""
    arguments = results_parser("tables", __doc__).parse_args(argv)
    return for_each_folder(arguments.results_dir, write_tables)
