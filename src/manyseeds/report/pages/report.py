"""Write report.html: the tables and figures of an experiment in one page that needs nothing else."""

import base64
from collections.abc import Sequence
from pathlib import Path

from manyseeds.analysis.data import Data
from manyseeds.core.files import write_atomic
from manyseeds.report.figures.draw import Drawn
from manyseeds.report.tables.text import grids
from manyseeds.report.templates import render_html

PAGES = {"curves.html": "all curves", "provenance.html": "provenance", "success_rates.csv": "the numbers as CSV"}
"""What the page links to, next to it."""


def write_report(data: Data, figures: Sequence[Drawn]) -> Path:
    """Write the page into the experiment's folder; returns its path.

    Args:
        data: the experiment.
        figures: what the page shows, from `manyseeds.report.figures.draw.draw_each`.
    """
    path = data.folder.folder / "report.html"
    content = render_html(
        "report.html.j2",
        title=data.folder.name,
        description=data.provenance,
        remarks=data.folder.remarks,
        pages=PAGES.items(),
        grids=grids(data),
        figures=[{"name": figure.name, "caption": figure.caption, "svg": _encoded(figure.paths)} for figure in figures],
    )
    with write_atomic(path) as partial:
        partial.write_text(content, encoding="utf-8")
    return path


def _encoded(paths: Sequence[Path]) -> str:
    [svg] = [path for path in paths if path.suffix == ".svg"]
    return base64.b64encode(svg.read_bytes()).decode()
