"""Write the success-rate tables of an experiment: CSV of every checkpoint, Markdown, HTML and LaTeX of the last."""

from collections.abc import Sequence
from pathlib import Path

from manyseeds.analysis.data import Data
from manyseeds.analysis.results import ResultsFolder, read_files
from manyseeds.analysis.tasks import over_tasks
from manyseeds.core.manifest import write_manifest
from manyseeds.report.command import for_each_folder, results_parser
from manyseeds.report.tables.factors import factors_grid
from manyseeds.report.tables.formats import FORMATS, save, save_csv
from manyseeds.report.tables.over_tasks import write_over_tasks
from manyseeds.report.tables.text import grids

BY_START = "success_rates_by_start"
UNDER_FACTORS = "success_under_factors"


def write_tables(folder: ResultsFolder) -> str:
    """Write all tables into a results folder.

    Returns:
        The final tables as Markdown, and success under factors where runs were played under them.

    Raises:
        UserError: when there is nothing to make rates of, or a CSV file is malformed.
    """
    return _write(Data(folder))


def _write(data: Data) -> str:
    folder = data.folder
    frames = {
        "success_rates": data.rates,
        "success_rates_over_seeds": data.rates_over_seeds,
        "success_rates_final": data.final_over_seeds,
        "success_rates_compared": data.comparisons,
        "success_rates_effects": data.effects,
        "success_rates_sources": data.sources,
    }
    pages = {"success_rates": grids(data)}
    if len(data.by_start):
        frames[BY_START] = data.by_start
    else:  # of an earlier description
        (folder.folder / f"{BY_START}.csv").unlink(missing_ok=True)
    if len(data.under_factors):
        frames[UNDER_FACTORS] = data.under_factors
        pages[UNDER_FACTORS] = [factors_grid(data)]
    else:  # of an earlier config
        for suffix in ("csv", *FORMATS):
            (folder.folder / f"{UNDER_FACTORS}.{suffix}").unlink(missing_ok=True)
    shown = [save(folder.folder / name, tables, data.provenance) for name, tables in pages.items()]
    made = [folder.folder / f"{name}.csv" for name in frames]
    for path, frame in zip(made, frames.values(), strict=True):
        save_csv(path, frame)
    made += [path for files in shown for path in files.values()]
    write_manifest(folder.folder, "tables", made, read_files(folder))
    return "\n".join(files["md"].read_text(encoding="utf-8") for files in shown)


def main(argv: Sequence[str] | None = None) -> int:
    """Command line: write the tables of every experiment in a results folder and print the final ones."""
    arguments = results_parser("tables", __doc__).parse_args(argv)
    experiments: dict[Path, Data] = {}

    def work(folder: ResultsFolder) -> str:
        experiments[folder.folder] = Data(folder)
        return _write(experiments[folder.folder])

    code = for_each_folder(arguments.results_dir, work)
    if arguments.results_dir not in experiments:
        over = over_tasks(arguments.results_dir, experiments)
        if not over.problem:
            print(write_over_tasks(over)["md"].read_text(encoding="utf-8"))
    return code
