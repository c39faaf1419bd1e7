"""Draw the figures of an experiment from its CSV files, as PNG, SVG and PDF, each with its caption."""

import importlib
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from manyseeds.analysis.data import Data
from manyseeds.analysis.results import BANDS, ResultsFolder
from manyseeds.core.files import write_atomic
from manyseeds.report.command import for_each_folder, results_parser
from manyseeds.report.figures import FIGURES, NAMES

# Matplotlib reads it when it is imported, and refuses that of a notebook. No window is ever opened.
os.environ["MPLBACKEND"] = "agg"
if TYPE_CHECKING:
    from matplotlib.figure import Figure


def drawing(name: str) -> "Callable[[Data], tuple[Figure, str]]":
    """The function that draws a figure and says its caption."""
    function: Callable[[Data], tuple[Figure, str]] = getattr(
        importlib.import_module(f"manyseeds.report.figures.{FIGURES[name]}"), name
    )
    return function


def draw(folder: ResultsFolder, names: Sequence[str] = NAMES, band: str | None = None) -> list[Path]:
    """Draw figures of one experiment into its folder `figures/`.

    Args:
        folder: its runs; a figure for which data are missing says so in its panels.
        names: which figures.
        band: the band of the curves, one of `BANDS`; None takes the one in config.json.

    Returns:
        The paths written: `<name>.png`, `.svg`, `.pdf` and the caption `.rst` of each figure.

    Raises:
        UserError: when an input file is malformed.
    """
    from manyseeds.report.figures import style

    data = Data(folder, band)
    data.read_all()
    paths = []
    for name in names:
        stem = folder.folder / "figures" / name
        with style.applied():
            figure, caption = drawing(name)(data)
            paths += style.save(figure, stem, name.replace("_", " "), data.provenance)
        paths.append(stem.with_suffix(".rst"))
        with write_atomic(paths[-1]) as partial:
            partial.write_text(f"{caption}\n", encoding="utf-8")
    return paths


def main(argv: Sequence[str] | None = None) -> int:
    """Command line: draw all figures of every experiment in a results folder."""
    parser = results_parser("figures", __doc__)
    parser.add_argument(
        "--band",
        choices=BANDS,
        help="what the bands of the curves cover with 95 %%: the mean at each point, or the whole mean curve at once "
        "(default: what config.json in the folder says, else pointwise)",
    )
    arguments = parser.parse_args(argv)

    def work(folder: ResultsFolder) -> str:
        paths = draw(folder, band=arguments.band)
        return f"{folder.folder / 'figures'}: {len(paths)} files"

    return for_each_folder(arguments.results_dir, work)
