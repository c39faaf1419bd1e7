"""The final success-rate table as Markdown, HTML and LaTeX."""

import html
import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd

HEADER = ("Variant", "Seed", "Iteration", "Reached (%)", "Held (%)", "Dropped (%)", "First reached (s)")
NOTE = (
    "Success of the last checkpoint, never of the best one. Reached: the object came within the tolerance "
    "of its "
    "target at some time in the episode; held: it was there at the last step; first reached: mean over "
    "the episodes "
    "that reached. Row of a seed: share of its episodes, with the 95 % Wilson interval of this one "
    "policy. Mean: mean "
    "of the seeds' rates, with the 95 % t interval over seeds, cut to 0 to 100 %. IQM: interquartile mean "
    "of the seeds' "
    "rates, with the 95 % bootstrap interval over seeds. No interval is given for one seed, or where all "
    "seeds have "
    "the same rate."
)


@dataclass(frozen=True)
class FinalTable:
    """Rows of text under `HEADER`; `bold` marks means; `notes` go below, `provenance` into the metadata."""

    rows: tuple[tuple[str, ...], ...]
    bold: tuple[bool, ...]
    notes: tuple[str, ...]
    provenance: str


def final_table(rates: pd.DataFrame, over_seeds: pd.DataFrame, provenance: str) -> FinalTable:
    """Pick the last checkpoint of each variant and set its numbers as text.

    The last checkpoint of a variant is the greatest iteration that any of its seeds was evaluated at; a seed
    that lacks it is named in a note and does not count.

    Args:
        rates: what `manyseeds.tables.success_rates` gives.
        over_seeds: what `manyseeds.tables.success_rates_over_seeds` gives.
        provenance: one line naming the runs.
    """
    rows: list[tuple[str, ...]] = []
    bold: list[bool] = []
    notes = [NOTE]
    for variant in dict.fromkeys(rates["variant"]):
        of_variant = rates[rates["variant"] == variant]
        last = int(of_variant["iteration"].max())
        final = of_variant[of_variant["iteration"] == last]
        overall = over_seeds[(over_seeds["variant"] == variant) & (over_seeds["iteration"] == last)].iloc[0]
        decimals = _decimals(int(final["episodes"].min()))
        for _, row in final.iterrows():
            rows.append(_seed_row(row, decimals))
            bold.append(False)
        for row in _over_seeds_rows(overall, decimals):
            rows.append(row)
            bold.append(row[1].startswith("mean"))
        notes.append(f"{variant}: {int(final['episodes'].iloc[0])} episodes per seed, {_count(len(final))}.")
        for seed in sorted(set(of_variant["seed"]) - set(final["seed"])):
            own = of_variant.loc[of_variant["seed"] == seed, "iteration"].max()
            notes.append(f"{variant}: seed {seed} is left out, its last checkpoint is {own} and not {last}.")
    return FinalTable(tuple(rows), tuple(bold), tuple(notes), provenance)


def _seed_row(row: pd.Series, decimals: int) -> tuple[str, ...]:
    return (
        str(row["variant"]),
        str(row["seed"]),
        str(row["iteration"]),
        _with_interval(row["reached"], row["reached_low"], row["reached_high"], decimals),
        _with_interval(row["held"], row["held_low"], row["held_high"], decimals),
        _percent(row["dropped"], decimals),
        _seconds(row["first_reached_s_mean"]),
    )


def _over_seeds_rows(row: pd.Series, decimals: int) -> list[tuple[str, ...]]:
    variant, iteration, seeds = str(row["variant"]), str(row["iteration"]), int(row["seeds"])
    flags = ("reached", "held")

    def intervals(center: str, prefix: str) -> list[str]:
        names = [(f"{flag}_{center}", f"{flag}_{prefix}low", f"{flag}_{prefix}high") for flag in flags]
        return [_with_interval(row[mid], row[low], row[high], decimals) for mid, low, high in names]

    others = (_percent(row["dropped"], decimals), _seconds(row["first_reached_s_mean"]))
    rows: list[tuple[str, ...]] = [
        (variant, f"mean, {_count(seeds)}", iteration, *intervals("mean", ""), *others)
    ]
    if seeds > 1:
        extremes = [
            f"{_percent(row[f'{flag}_min'], decimals)} to {_percent(row[f'{flag}_max'], decimals)}"
            for flag in flags
        ]
        rows.append((variant, f"IQM, {_count(seeds)}", iteration, *intervals("iqm", "iqm_"), "", ""))
        rows.append((variant, "min to max", iteration, *extremes, "", ""))
    return rows


def _count(seeds: int) -> str:
    return "1 seed" if seeds == 1 else f"{seeds} seeds"


def _decimals(episodes: int) -> int:
    """So many decimals of a percentage that one episode more or less shows."""
    return max(0, math.ceil(math.log10(max(episodes, 1))) - 2)


def _percent(share: float, decimals: int) -> str:
    return f"{100 * share:.{decimals}f}"


def _with_interval(share: float, low: float, high: float, decimals: int) -> str:
    text = _percent(share, decimals)
    if np.isnan(low) or np.isnan(high):
        return text
    return f"{text} [{_percent(low, decimals)}, {_percent(high, decimals)}]"


def _seconds(value: float) -> str:
    return "" if np.isnan(value) else f"{value:.2f}"


def markdown(table: FinalTable) -> str:
    """The table in GitHub's Markdown."""
    lines = [_markdown_line(HEADER), "|---|---|---:|---|---|---:|---:|"]
    for row, bold in zip(table.rows, table.bold, strict=True):
        cells = [cell.replace("|", "\\|") for cell in row]
        lines.append(_markdown_line([f"**{cell}**" if bold and cell else cell for cell in cells]))
    notes = "\n".join(table.notes[1:])
    return "\n".join(lines) + f"\n\n{table.notes[0]}\n\n{notes}\n\n<!-- {table.provenance} -->\n"


def _markdown_line(cells: tuple[str, ...] | list[str]) -> str:
    return f"| {' | '.join(cells)} |"


_PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="description" content="{provenance}">
<title>Success rates</title>
<style>
body {{ font: 15px/1.45 system-ui, sans-serif; color: #1a1a1a; background: #fff; margin: 1.5rem; max-width:
62rem; }} table {{ border-collapse: collapse; border-top: 2px solid #1a1a1a; border-bottom: 2px solid #1a1a1a;
}} th, td {{ padding: .3rem .8rem; text-align: left; white-space: nowrap; font-variant-numeric: tabular-nums;
}} thead th {{ border-bottom: 1px solid #1a1a1a; }}
th:nth-child(3), td:nth-child(3), th:nth-child(n+6), td:nth-child(n+6) {{ text-align: right; }}
tr.mean td {{ font-weight: 600; border-top: 1px solid #bbb; background: #f4f4f4; }}
p {{ color: #444; font-size: .9em; }}
</style>
</head>
<body>
<table>
<thead><tr>{header}</tr></thead>
<tbody>
{rows}
</tbody>
</table>
{notes}
</body>
</html>
"""


def html_page(table: FinalTable) -> str:
    """The table as a page of its own that needs nothing else."""
    rows = []
    for row, bold in zip(table.rows, table.bold, strict=True):
        cells = "".join(f"<td>{html.escape(cell)}</td>" for cell in row)
        rows.append(f'<tr class="mean">{cells}</tr>' if bold else f"<tr>{cells}</tr>")
    return _PAGE.format(
        provenance=html.escape(table.provenance),
        header="".join(f"<th>{html.escape(cell)}</th>" for cell in HEADER),
        rows="\n".join(rows),
        notes="\n".join(f"<p>{html.escape(note)}</p>" for note in table.notes),
    )


_LATEX_SPECIAL = {character: f"\\{character}" for character in "&%$#_{}"} | {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
}


def _latex_escape(text: str) -> str:
    return "".join(_LATEX_SPECIAL.get(character, character) for character in text)


def latex(table: FinalTable) -> str:
    """The table for a paper that loads the package booktabs."""
    lines = [
        f"% {table.provenance}",
        r"% \usepackage{booktabs}",
        r"\begin{table}",
        r"  \centering",
        f"  \\caption{{{_latex_escape(' '.join(table.notes))}}}",
        r"  \label{tab:success-rates}",
        r"  \begin{tabular}{llrllrr}",
        r"    \toprule",
        f"    {' & '.join(_latex_escape(cell) for cell in HEADER)} \\\\",
        r"    \midrule",
    ]
    before = None
    for row, bold in zip(table.rows, table.bold, strict=True):
        if before not in (None, row[0]):
            lines.append(r"    \midrule")
        # The variant's name stands once, in the first of its rows.
        cells = [_latex_escape(cell if row[0] != before or place else "") for place, cell in enumerate(row)]
        if bold:
            cells = [f"\\textbf{{{cell}}}" if cell else "" for cell in cells]
        lines.append(f"    {' & '.join(cells)} \\\\")
        before = row[0]
    lines += [r"    \bottomrule", r"  \end{tabular}", r"\end{table}"]
    return "\n".join(lines) + "\n"


FORMATS: dict[str, Callable[[FinalTable], str]] = {"md": markdown, "html": html_page, "tex": latex}
