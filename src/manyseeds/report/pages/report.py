"""Write report.html: an experiment on one page, the answer first, that needs no network and can be printed."""

import base64
import io
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from manyseeds.analysis.data import Data
from manyseeds.analysis.results import OURS, ResultsFolder, inputs_digest
from manyseeds.core.errors import UserError
from manyseeds.core.files import read_object, write_atomic
from manyseeds.core.layout import CAPTIONS, FAILURES_FILM, FIGURES, FILMED, REPORT, RUN_RECORD, SEEDS_FILM
from manyseeds.core.manifest import check_made, write_manifest
from manyseeds.core.text import count_of
from manyseeds.report.command import for_each_folder, results_parser
from manyseeds.report.figures import NAMES
from manyseeds.report.pages.provenance import account
from manyseeds.report.tables.factors import factors_grid
from manyseeds.report.tables.text import grids, summary_grid
from manyseeds.report.templates import render_html

PAGES = {
    "curves.html": "all curves, to explore",
    "provenance.html": "the whole provenance",
    "success_rates.csv": "the numbers as CSV",
    "success_under_factors.csv": "success under factors as CSV",
}
"""What the page links to, next to it."""
SECTIONS = {
    "Answer": ("success_per_checkpoint", "final_success", "differences"),
    "Curves": (
        "learning_curves",
        "reward_terms",
        "time_to_threshold",
        "performance_profile",
        "final_return",
        "learning_curves_wall_clock",
        "reward_terms_wall_clock",
    ),
    "Robustness": ("success_under_factors",),
    "Failures": ("failure_map", "measures"),
    "Films": (),
    "Provenance": ("throughput",),
}
"""The sections in the order in which they are read, and the figures in each; any other figure is among the curves."""
LONGEST_TABLE = 30
"""A longer table of every seed is folded."""
NARROW_PT = 300
"""A figure that is narrower than this is one column of a paper wide."""


def write_report(data: Data) -> Path:
    """Write the page into the experiment's folder, of its tables, figures and films; return its path.

    Raises:
        UserError: when the figures are missing or were drawn from other data, or a file is not what its step left.
    """
    folder = data.folder
    captions = _captions(folder.folder / FIGURES)
    figures = {name: _figure(folder, name, str(captions[name])) for name in NAMES if name in captions}
    others = set(figures).difference(*SECTIONS.values())
    places = SECTIONS | {"Curves": (*SECTIONS["Curves"], *(name for name in figures if name in others))}
    films = {variant: own for variant in folder.variants if (own := _films(folder, variant))}
    final, *further = grids(data)
    sources = [grid for grid in further if grid.label.endswith("-sources")]
    content = render_html(
        "report.html.j2",
        title=folder.name,
        description=data.provenance,
        summary=folder.description.summary,
        intro=_intro(data),
        remarks=folder.remarks,
        pages=[(page, words) for page, words in PAGES.items() if (folder.folder / page).is_file()],
        sections=[section for section in SECTIONS if section != "Robustness" or len(data.under_factors)],
        under_factors=[factors_grid(data)] if len(data.under_factors) else [],
        figures={title: [figures[name] for name in names if name in figures] for title, names in places.items()},
        answer=summary_grid(data),
        between=[grid for grid in further if grid not in sources],
        every_seed=[final, *sources],
        folded=len(final.rows) > LONGEST_TABLE,
        films=[(folder.label(variant), own) for variant, own in films.items()],
        no_films=_no_films(folder, films),
        account=account(folder),
    )
    path = folder.folder / REPORT
    with write_atomic(path) as partial:
        partial.write_text(content, encoding="utf-8")
    write_manifest(folder.folder, "report", [path], _read_files(folder, figures, films))
    return path


def _intro(data: Data) -> list[str]:
    folder = data.folder
    seeds = {variant: len(folder.of(variant)) for variant in folder.variants}
    number = f"{len(seeds)} variants" if len(seeds) > 1 else "One variant"
    same = len(set(seeds.values())) == 1
    each = " each" if len(seeds) > 1 else ""
    of = (
        f"{count_of(next(iter(seeds.values())))}{each}"
        if same
        else f"{min(seeds.values())} to {max(seeds.values())} seeds"
    )
    lines = [f"{number}, {of}, trained by {folder.trainer}."]
    if folder.evaluated and "episodes" in data.rates:
        most, least = data.rates["episodes"].max(), data.rates["episodes"].min()
        earlier = f"; earlier ones on the first {least} of them" if least < most else ""
        what = "The last checkpoints were" if earlier else "Every checkpoint was"
        lines.append(f"{what} played on the same {most} episodes{earlier}.")
    return lines


def _captions(folder: Path) -> Mapping[str, Any]:
    path = folder / CAPTIONS
    if not path.is_file():
        raise UserError(f"{path} is missing, and with it the figures; `manyseeds figures {folder.parent}` draws them")
    return read_object(path, str(path))


def _figure(folder: ResultsFolder, name: str, caption: str) -> dict[str, Any]:
    """A figure for the template.

    Raises:
        UserError: when it is missing, was edited, or was drawn from other data.
    """
    path = folder.folder / FIGURES / f"{name}.svg"
    check_made(path, "figures", folder.folder)
    again = f"`manyseeds figures {folder.folder}` draws it"
    try:
        svg = path.read_bytes()
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}; {again}") from error
    if inputs_digest(folder).encode() not in svg:
        raise UserError(f"{path} was drawn from other CSV files, or of some variants only; {again} again")
    width = re.search(rb'<svg[^>]* width="([\d.]+)pt"', svg)
    narrow = width is not None and float(width[1]) < NARROW_PT
    title = name.replace("_", " ")
    return {"title": title[0].upper() + title[1:], "caption": caption, "svg": _encoded(svg), "narrow": narrow}


def _films(folder: ResultsFolder, variant: str) -> list[dict[str, str]]:
    """The films of a variant for the template; none where there are none."""
    place = folder.folder / variant
    path = place / FILMED
    if not path.is_file():
        return []
    check_made(path, "film-failures")
    content = read_object(path, str(path))
    found = []
    for name in (FAILURES_FILM, SEEDS_FILM):
        film = {"caption": str(content.get("films", {}).get(name, "")), "gif": "", "last": ""}
        if "iteration" in content:  # and no picture that stands in for a film
            check_made(place / name, "film-failures")
            film |= _encoded_film(place / name)
        if film not in found:
            found.append(film)
    return found


def _encoded_film(path: Path) -> dict[str, str]:
    """The film, and its last picture for paper."""
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(path) as film:
            film.seek(getattr(film, "n_frames", 1) - 1)
            last = film.convert("RGB").quantize(64, dither=Image.Dither.NONE)
        stream = io.BytesIO()
        last.save(stream, "PNG", optimize=True)
        return {"gif": _encoded(path.read_bytes()), "last": _encoded(stream.getvalue())}
    except (OSError, UnidentifiedImageError) as error:
        raise UserError(f"{path} cannot be read as a film: {error}") from error


def _no_films(folder: ResultsFolder, films: Mapping[str, Any]) -> str:
    if films:
        return ""
    if folder.trainer != OURS or not folder.evaluated:
        return f"Policies of {folder.trainer} are not played here, so there are no films."
    first = folder.folder / folder.variants[0]
    return (
        f"No films are here. Where the checkpoints and a simulator are, `manyseeds film-failures {first}` makes them."
    )


def _encoded(content: bytes) -> str:
    return base64.b64encode(content).decode()


def _read_files(folder: ResultsFolder, figures: Mapping[str, Any], films: Mapping[str, Any]) -> list[Path]:
    """What the page was made of besides the CSV files, whose checksum stands in it."""
    files = [folder.folder / FIGURES / f"{name}.svg" for name in figures]
    files.append(folder.folder / FIGURES / CAPTIONS)
    files += [folder.folder / variant / name for variant in films for name in (FAILURES_FILM, SEEDS_FILM, FILMED)]
    return [*files, *(run.folder / RUN_RECORD for run in folder.runs)]


def main(argv: Sequence[str] | None = None) -> int:
    """Command line: write the report of every experiment in a results folder."""
    arguments = results_parser("report", __doc__).parse_args(argv)

    def work(folder: ResultsFolder) -> str:
        path = write_report(Data(folder))
        return f"{path}: {path.stat().st_size / 1e6:.2f} MB"

    return for_each_folder(arguments.results_dir, work)
