"""Tables of text as Markdown, HTML and LaTeX. The last two are templates of Jinja2; Markdown needs no template."""

import re
from collections.abc import Callable, Sequence
from pathlib import Path

import pandas as pd

from manyseeds.core.files import write_atomic
from manyseeds.report.tables.text import Grid
from manyseeds.report.templates import escape_markdown, render_html, render_tex


def markdown(grids: Sequence[Grid], provenance: str) -> str:
    """The tables in GitHub's Markdown; a comment says where they come from."""
    parts = []
    for grid in grids:
        lines = [_markdown_line(grid.header), _markdown_line(["---:" if side == "r" else "---" for side in grid.align])]
        for row, bold in zip(grid.rows, grid.bold, strict=True):
            cells = [escape_markdown(cell) for cell in row]
            lines.append(_markdown_line([f"**{cell}**" if bold and cell else cell for cell in cells]))
        parts += ["\n".join(lines), *map(escape_markdown, grid.notes)]
    return "\n\n".join([*parts, f"<!-- {provenance.replace('>', '&gt;')} -->"]) + "\n"


def _markdown_line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def html(grids: Sequence[Grid], provenance: str) -> str:
    """The tables as a page that needs nothing else."""
    title = grids[0].label.replace("-", " ").capitalize()
    return render_html("tables.html.j2", title=title, description=provenance, grids=grids)


def latex(grids: Sequence[Grid], provenance: str) -> str:
    """The tables for a paper that loads the package booktabs; each spans both columns of a page."""
    tables = [
        {
            "grid": grid,
            "label": grid.label,
            "breaks": [_header_break(grid, place) for place in range(len(grid.header))],
        }
        for grid in grids
    ]
    return render_tex("tables.tex.j2", tables=tables, description=" ".join(provenance.split()))


def _header_break(grid: Grid, place: int) -> int:
    """Where to break a column's name into two lines: where it is wider than its cells, at a space; else 0."""
    text, width = grid.header[place], max(len(row[place]) for row in grid.rows)
    breaks = [match.start() for match in re.finditer(r"(?<!-) (?!-)", text)]
    if len(text) <= width or not breaks:
        return 0
    return min(breaks, key=lambda at: abs(at - len(text) / 2))


FORMATS: dict[str, Callable[[Sequence[Grid], str], str]] = {"md": markdown, "html": html, "tex": latex}


def save(stem: Path, grids: Sequence[Grid], provenance: str) -> dict[str, Path]:
    """Write tables in each format; return the files, by their endings."""
    texts = {suffix: render(grids, provenance) for suffix, render in FORMATS.items()}
    made = {suffix: stem.with_name(f"{stem.name}.{suffix}") for suffix in texts}
    for suffix, path in made.items():
        with write_atomic(path) as partial:
            partial.write_text(texts[suffix], encoding="utf-8")
    return made


def save_csv(path: Path, frame: pd.DataFrame) -> None:
    """Write a table of numbers, with nine digits."""
    with write_atomic(path) as partial:
        frame.to_csv(partial, index=False, lineterminator="\n", float_format="%.9g")
