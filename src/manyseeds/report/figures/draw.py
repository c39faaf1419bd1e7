"""Draw the figures of an experiment from its CSV files, as PNG, SVG and PDF, each with its caption."""

import importlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from manyseeds.analysis.data import Data
from manyseeds.analysis.results import BANDS, ResultsFolder, read_files
from manyseeds.analysis.tasks import over_tasks
from manyseeds.core.errors import UserError
from manyseeds.core.files import read_object, write_atomic, write_json
from manyseeds.core.layout import CAPTIONS
from manyseeds.core.layout import FIGURES as FIGURES_FOLDER
from manyseeds.core.manifest import renew_outputs, write_manifest
from manyseeds.report.command import for_each_folder, results_parser, without_windows
from manyseeds.report.figures import FIGURES, NAMES
from manyseeds.report.figures.options import BY_VARIANT, DEFAULT, WIDTHS, Options
from manyseeds.report.templates import escape_rst

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Drawing = Callable[[Data, Options], "tuple[Figure, str]"]


def drawing(name: str) -> Drawing:
    """The function that draws a figure and says its caption."""
    function: Drawing = getattr(importlib.import_module(f"manyseeds.report.figures.{FIGURES[name]}"), name)
    return function


def draw(
    folder: ResultsFolder,
    names: Sequence[str] = NAMES,
    band: str | None = None,
    options: Options = DEFAULT,
    output: Path | None = None,
) -> list[Path]:
    """Draw figures of one experiment.

    Args:
        folder: its runs; a figure for which data are missing says so in its panels.
        names: which figures.
        band: the band of the curves, one of `BANDS`; None takes the one in config.json.
        options: widths and panels.
        output: the folder to draw into; None is `figures/` in the experiment's folder.

    Returns:
        The paths written: `<name>.png`, `.svg`, `.pdf` and the caption `.rst` of each figure, and captions.json.

    Raises:
        UserError: when an input file is malformed, or the panels are of something in which variants do not differ.
    """
    drawn = list(draw_each(folder, names, band, options, output))
    paths = [path for figure in drawn for path in figure.paths]
    paths.append(_keep_captions(output or folder.folder / FIGURES_FOLDER, drawn))
    if output is None and tuple(names) == NAMES:
        write_manifest(folder.folder, "figures", paths, read_files(folder))
    elif output is None:
        renew_outputs(folder.folder, "figures", paths)
    return paths


def _keep_captions(folder: Path, drawn: "Sequence[Drawn]") -> Path:
    """Write the captions of figures that show something as plain text, next to those drawn before; return the file."""
    path = folder / CAPTIONS
    known = read_object(path, str(path)) if path.is_file() else {}
    captions = known | {figure.name: figure.caption for figure in drawn}
    empty = {figure.name for figure in drawn if figure.empty}
    write_json(path, {name: captions[name] for name in NAMES if name in captions and name not in empty})
    return path


@dataclass(frozen=True)
class Drawn:
    """A figure that was drawn: its name, its caption, its files, and whether it only says that there are no data."""

    name: str
    caption: str
    paths: tuple[Path, ...]
    empty: bool


def draw_each(
    folder: ResultsFolder,
    names: Sequence[str],
    band: str | None = None,
    options: Options = DEFAULT,
    output: Path | None = None,
) -> Iterator[Drawn]:
    """Draw figures one by one; see `draw`."""
    without_windows()
    from manyseeds.report.figures import style

    data = Data(folder, band)
    data.read_all()
    for name in names:
        stem = (output or folder.folder / FIGURES_FOLDER) / name
        with style.applied():
            figure, caption = drawing(name)(data, options)
            empty = style.is_empty(figure)
            paths = style.save(figure, stem, name.replace("_", " "), data.provenance)
        caption = " ".join((caption, *folder.remarks))
        paths.append(stem.with_suffix(".rst"))
        with write_atomic(paths[-1]) as partial:
            partial.write_text(escape_rst(caption) + "\n", encoding="utf-8")
        yield Drawn(name, caption, tuple(paths), empty)


def main(argv: Sequence[str] | None = None) -> int:
    """Command line: draw all figures of every experiment in a results folder."""
    parser = results_parser("figures", __doc__)
    parser.add_argument(
        "--band",
        choices=BANDS,
        help="the bands of the curves: a 95 %% interval of the mean at each point, a 95 %% band of the whole mean "
        "curve of the return, the standard error, the smallest and largest seed, or none (default: what config.json in "
        "the folder says, else pointwise)",
    )
    parser.add_argument("--only", nargs="+", choices=NAMES, metavar="FIGURE", help=f"draw these: {', '.join(NAMES)}")
    parser.add_argument("--variants", nargs="+", metavar="VARIANT", help="show these variants, in this order")
    parser.add_argument("--width", choices=tuple(WIDTHS), help="columns of a paper that every figure is wide")
    parser.add_argument(
        "--panels",
        metavar="SETTING",
        help=f"give the curves a panel for each value of a setting, such as gamma, or for each {BY_VARIANT}",
    )
    parser.add_argument("--output", type=Path, help="the folder to draw into (default: figures/ in each experiment)")
    arguments = parser.parse_args(argv)
    options = Options(arguments.width or "", arguments.panels or "")

    drawn: list[ResultsFolder] = []

    def work(folder: ResultsFolder) -> str:
        if arguments.output and drawn:
            raise UserError(
                f"--output is {arguments.output}, but {arguments.results_dir} holds several experiments; give the "
                "folder of one"
            )
        drawn.append(folder)
        shown = folder.only(arguments.variants) if arguments.variants else folder
        paths = draw(shown, arguments.only or NAMES, arguments.band, options, arguments.output)
        return f"{paths[0].parent}: {len(paths)} files"

    code = for_each_folder(arguments.results_dir, work)
    if len(drawn) > 1 and not (arguments.only or arguments.variants or arguments.output):
        over = over_tasks(arguments.results_dir, {folder.folder: Data(folder) for folder in drawn})
        if not over.problem:
            from manyseeds.report.figures.over_tasks import save_over_tasks

            print(f"{arguments.results_dir}: {len(save_over_tasks(over))} files")
    return code
