"""Tables of text as Markdown, HTML and LaTeX."""

import html
import re
from collections.abc import Callable, Sequence

from manyseeds.report.tables.text import Grid

Grids = Sequence[Grid]


def markdown(grids: Grids, provenance: str) -> str:
    """The tables in GitHub's Markdown; where they come from stands in a comment."""
    parts = []
    for grid in grids:
        lines = [_markdown_line(grid.header), _markdown_line(["---:" if side == "r" else "---" for side in grid.align])]
        for row, bold in zip(grid.rows, grid.bold, strict=True):
            cells = [cell.replace("|", "\\|") for cell in row]
            lines.append(_markdown_line([f"**{cell}**" if bold and cell else cell for cell in cells]))
        parts += ["\n".join(lines), *grid.notes]
    return "\n\n".join([*parts, f"<!-- {provenance} -->"]) + "\n"


def _markdown_line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


_PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="description" content="{provenance}">
<link rel="icon" href="data:,">
<title>Success rates</title>
<style>
body {{ font: 15px/1.45 system-ui, sans-serif; color: #1a1a1a; background: #fff; margin: 1.5rem; max-width: 70rem; }}
div {{ overflow-x: auto; }}
table {{ border-collapse: collapse; border-top: 2px solid #1a1a1a; border-bottom: 2px solid #1a1a1a; }}
th, td {{ padding: .25rem .8rem; text-align: left; white-space: nowrap; font-variant-numeric: tabular-nums; }}
thead th {{ border-bottom: 1px solid #1a1a1a; }}
.r {{ text-align: right; }}
.bold td {{ font-weight: 600; border-top: 1px solid #bbb; background: #f4f4f4; }}
.first td {{ border-top: 1px solid #1a1a1a; }}
p {{ color: #444; font-size: .9em; }}
</style>
</head>
<body>
{tables}
</body>
</html>
"""


def html_page(grids: Grids, provenance: str) -> str:
    """The tables as a page of its own that needs nothing else."""
    tables = "\n".join(_html_table(grid) for grid in grids)
    return _PAGE.format(provenance=html.escape(provenance), tables=tables)


def _html_table(grid: Grid) -> str:
    lines = [f"<div><table>\n<thead>{_html_row('th', grid.header, grid.align, [])}</thead>\n<tbody>"]
    before = grid.rows[0][0] if grid.rows else ""
    for row, bold in zip(grid.rows, grid.bold, strict=True):
        classes = ["bold"] * bold + ["first"] * (row[0] != before)
        lines.append(_html_row("td", row, grid.align, classes))
        before = row[0]
    notes = "\n".join(f"<p>{html.escape(note)}</p>" for note in grid.notes)
    return "\n".join(lines) + f"\n</tbody>\n</table></div>\n{notes}"


def _html_row(tag: str, cells: Sequence[str], align: str, classes: list[str]) -> str:
    parts = [
        f'<{tag} class="r">{html.escape(cell)}</{tag}>' if side == "r" else f"<{tag}>{html.escape(cell)}</{tag}>"
        for cell, side in zip(cells, align, strict=True)
    ]
    opening = f'<tr class="{" ".join(classes)}">' if classes else "<tr>"
    return f"{opening}{''.join(parts)}</tr>"


_LATEX_SPECIAL = {character: f"\\{character}" for character in "&%$#_{}"} | {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
}


def _latex_escape(text: str) -> str:
    escaped = "".join(_LATEX_SPECIAL.get(character, character) for character in text)
    return re.sub(r"(?<!\w)-(?=[\d ])", "$-$", escaped)  # a minus, not a hyphen


def latex(grids: Grids, provenance: str) -> str:
    """The tables for a paper that loads the package booktabs; each spans both columns of a page."""
    labels = ("success-rates", "success-rates-compared")
    tables = [_latex_table(grid, label) for grid, label in zip(grids, labels, strict=False)]
    return "\n".join([f"% {provenance}", r"% \usepackage{booktabs}", *tables]) + "\n"


def _latex_table(grid: Grid, label: str) -> str:
    longest = [max(map(len, column)) for column in zip(*grid.rows, strict=True)]
    header = [_latex_header(*cell) for cell in zip(grid.header, grid.align, longest, strict=True)]
    lines = [
        r"\begin{table*}",
        r"  \centering\footnotesize\setlength{\tabcolsep}{4pt}",
        f"  \\caption{{{_latex_escape(' '.join(grid.notes))}}}",
        f"  \\label{{tab:{label}}}",
        r"  \par\smallskip",
        f"  \\begin{{tabular}}{{@{{}}{grid.align}@{{}}}}",
        r"    \toprule",
        f"    {' & '.join(header)} \\\\",
        r"    \midrule",
    ]
    before = None
    for row, bold in zip(grid.rows, grid.bold, strict=True):
        if before not in (None, row[0]):
            lines.append(r"    \midrule")
        # The name in the first column stands once, in the first of its rows.
        lines.append(_latex_row(["" if row[0] == before else row[0], *row[1:]], bold))
        before = row[0]
    return "\n".join([*lines, r"    \bottomrule", r"  \end{tabular}", r"\end{table*}"])


def _latex_header(text: str, side: str, width: int) -> str:
    """A column's name, broken into two lines where it would make the column wider than its cells."""
    breaks = [match.start() for match in re.finditer(r"(?<!-) (?!-)", text)]
    if len(text) <= width or not breaks:
        return _latex_escape(text)
    middle = min(breaks, key=lambda place: abs(place - len(text) / 2))
    return f"\\shortstack[{side}]{{{_latex_escape(text[:middle])}\\\\{_latex_escape(text[middle + 1 :])}}}"


def _latex_row(cells: Sequence[str], bold: bool = False) -> str:
    escaped = [_latex_escape(cell) for cell in cells]
    if bold:
        escaped = [f"\\textbf{{{cell}}}" if cell else "" for cell in escaped]
    return f"    {' & '.join(escaped)} \\\\"


FORMATS: dict[str, Callable[[Grids, str], str]] = {"md": markdown, "html": html_page, "tex": latex}
