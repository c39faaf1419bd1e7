"""The final tables with their numbers set as text."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from manyseeds.analysis.data import Data
from manyseeds.analysis.rates import SHARE, STATISTICS, at_the_end, column
from manyseeds.analysis.results import ResultsFolder
from manyseeds.core.description import Outcome

WHERE_NO_INTERVAL = "No interval is given for one seed, or where all seeds have the same number."
COMPARED_NOTE = (
    "Difference: mean of A minus mean of B (of rates, in percentage points), with Welch's 95 % interval over seeds. "
    "p: of no difference, corrected for all comparisons of its column (Holm). A above B: probability that a seed of A "
    "beats a seed of B, with its 95 % bootstrap interval. Further seeds: about how many more of each variant would "
    "tell them apart in the first outcome with a power of 80 %, if they differ as seen here."
)


@dataclass(frozen=True)
class Grid:
    """A table of text.

    Attributes:
        header: names of the columns.
        align: `l` or `r` for each column.
        rows: cells, as many as the header has.
        bold: which rows stand out.
        notes: sentences that belong below.
    """

    header: tuple[str, ...]
    align: str
    rows: tuple[tuple[str, ...], ...]
    bold: tuple[bool, ...]
    notes: tuple[str, ...]


def grids(data: Data) -> list[Grid]:
    """The final table and, for two variants or more, the table that compares them."""
    tables = [final_grid(data)]
    return [*tables, compared_grid(data.folder, data.comparisons)] if len(data.comparisons) else tables


def final_grid(data: Data) -> Grid:
    """The last checkpoint of each variant: a row per seed and rows over seeds."""
    folder, final, over_seeds = data.folder, data.final, data.final_over_seeds
    shown = _shown(data)
    rows: list[tuple[str, ...]] = []
    for variant in dict.fromkeys(final["variant"]):
        seeds = final[final["variant"] == variant]
        decimals = _decimals(seeds)
        rows += [_seed_row(folder, row, shown, decimals) for _, row in seeds.iterrows()]
        rows += _over_seeds_rows(folder, over_seeds[over_seeds["variant"] == variant].iloc[0], shown, decimals)
    when = "" if folder.evaluated else " in training"
    return Grid(
        ("Variant", "Seed", "Iteration", *(f"{outcome.title}{when}{_in_unit(outcome)}" for outcome in shown)),
        "llr" + "".join("l" if outcome in folder.compared else "r" for outcome in shown),
        tuple(rows),
        tuple(row[1].startswith(STATISTICS[0].label) for row in rows),
        (
            *(_evaluation_notes if folder.evaluated else _training_notes)(data, shown),
            *_notes_of_seeds(data),
            *folder.code_notes,
        ),
    )


def _shown(data: Data) -> list[Outcome]:
    """The columns of the final table: what is compared, every share, and one measure, because a page has no room."""
    folder = data.folder
    measures = folder.description.measures[:1]
    shown = [o for o in folder.outcomes if o in folder.compared or o.kind == "share" or o in measures]
    return [outcome for outcome in shown if folder.evaluated or data.rates[column(outcome)].notna().any()]


def _seed_row(folder: ResultsFolder, row: pd.Series, shown: Sequence[Outcome], decimals: int) -> tuple[str, ...]:
    cells = []
    for outcome in shown:
        limits = [row.get(f"{outcome.name}_{end}", math.nan) for end in ("low", "high")]
        cells.append(_cell(outcome, row[column(outcome)], *limits, decimals=decimals))
    return (str(row["variant"]), str(row["seed"]), str(row["iteration"]), *cells)


def _over_seeds_rows(
    folder: ResultsFolder, row: pd.Series, shown: Sequence[Outcome], decimals: int
) -> list[tuple[str, ...]]:
    variant, iteration, seeds = str(row["variant"]), str(row["iteration"]), int(row["seeds"])
    rows: list[tuple[str, ...]] = []
    for statistic in STATISTICS if seeds > 1 else STATISTICS[:1]:
        cells = []
        for outcome in shown:
            if outcome in folder.compared:
                numbers = [row[f"{outcome.name}_{end}"] for end in statistic.columns]
                cells.append(_cell(outcome, *numbers, decimals=decimals))
            else:  # Of these there is only the mean, which stands in the first row.
                cells.append(_cell(outcome, row[column(outcome)], decimals=decimals) if not rows else "")
        rows.append((variant, f"{statistic.label}, {count_of(seeds)}", iteration, *cells))
    if seeds > 1:
        extremes = [
            " to ".join(_cell(outcome, row[f"{outcome.name}_{end}"], decimals=decimals) for end in ("min", "max"))
            if outcome in folder.compared
            else ""
            for outcome in shown
        ]
        rows.append((variant, "min to max", iteration, *extremes))
    return rows


def _evaluation_notes(data: Data, shown: Sequence[Outcome]) -> list[str]:
    return [
        "Rates of the last checkpoint, never of the best one. " + meanings(shown) + " Row of a seed: share of its "
        "episodes, with the 95 % Wilson interval of this one policy, or mean over the episodes that have a number. "
        + " ".join([*(statistic.note for statistic in STATISTICS), WHERE_NO_INTERVAL])
    ]


def _training_notes(data: Data, shown: Sequence[Outcome]) -> list[str]:
    rates, trainer = data.rates, data.folder.trainer
    notes = [
        f"Training, not an evaluation: these are numbers that the trainer {trainer} logged with its exploring policy; "
        "its checkpoints are not evaluated here."
    ]
    if not data.folder.successes:
        notes.append(f"Success is left out: no scalar of {trainer} is named as one (trainer.scalars.success).")
    for outcome in data.folder.outcomes:
        if outcome not in shown:
            notes.append(f"{outcome.title} is left out: no run logged {outcome.tag} at its end.")
            continue
        notes.append(f"{outcome.title}: {outcome.tag}.")
        if missing := [f"{row['variant']} seed {row['seed']}" for _, row in _without(rates, outcome).iterrows()]:
            notes.append(f"{outcome.tag} was not logged at the end of {', '.join(missing)}.")
    last = " or ".join(map(str, sorted(set(rates["averaged"]))))
    notes.append(
        f"Row of a seed: mean over the last {100 * SHARE:.0f} % of its iterations ({last}). "
        + " ".join([*(statistic.note for statistic in STATISTICS), WHERE_NO_INTERVAL])
    )
    return notes


def _without(rates: pd.DataFrame, outcome: Outcome) -> pd.DataFrame:
    return rates[rates[column(outcome)].isna()]


def _notes_of_seeds(data: Data) -> list[str]:
    """How many seeds and episodes each variant has, and which seeds lack its last checkpoint."""
    notes = []
    for variant, own in data.rates.groupby("variant", sort=False):
        final = at_the_end(own)
        episodes = f"{final['episodes'].iloc[0]} episodes per seed, " if "episodes" in final else ""
        notes.append(f"{variant}: {episodes}{count_of(len(final))}.")
        for seed in sorted(set(own["seed"]) - set(final["seed"])):
            last = own.loc[own["seed"] == seed, "iteration"].max()
            notes.append(
                f"{variant}: seed {seed} is left out, its last checkpoint is {last} and not {own['iteration'].max()}."
            )
    return notes


def meanings(outcomes: Sequence[Outcome]) -> str:
    """What each outcome means, in one sentence."""
    return "; ".join(f"{outcome.title}: {outcome.meaning}" for outcome in outcomes) + "."


def compared_grid(folder: ResultsFolder, comparisons: pd.DataFrame) -> Grid:
    """A row per pair of variants, from `manyseeds.analysis.comparison.comparisons`."""
    tables = dict(list(comparisons.groupby("outcome", sort=False)))
    outcomes = [outcome for outcome in folder.compared if outcome.name in tables]
    first = outcomes[0]
    header, align = ["A", "B"], "ll"
    for outcome in outcomes:
        unit = " (points)" if outcome.kind == "share" else _in_unit(outcome)
        header += [f"{outcome.title}, A - B{unit}", "p"]
        align += "lr"
        if outcome is first:
            header.append(f"{outcome.title}, A above B (%)")
            align += "l"
    rows = []
    for pair in zip(*(tables[outcome.name].to_dict("records") for outcome in outcomes), strict=True):
        cells = [str(pair[0]["a"]), str(pair[0]["b"])]
        for outcome, row in zip(outcomes, pair, strict=True):
            cells += [_cell(outcome, row["difference"], row["low"], row["high"], decimals=1, sign="+"), _p(row)]
            if outcome is first:
                cells.append(_percent(row["improvement"], row["improvement_low"], row["improvement_high"], 0))
        needed = pair[0]["seeds_needed"]
        rows.append((*cells, "" if pd.isna(needed) else str(needed)))
    return Grid((*header, "Further seeds"), align + "r", tuple(rows), (False,) * len(rows), (COMPARED_NOTE,))


def count_of(seeds: int) -> str:
    """So many seeds, in words."""
    return "1 seed" if seeds == 1 else f"{seeds} seeds"


def _in_unit(outcome: Outcome) -> str:
    unit = "%" if outcome.kind == "share" else outcome.unit
    return f" ({unit})" if unit else ""


def _decimals(rates: pd.DataFrame) -> int:
    """So many decimals of a percentage that one episode more or less shows; one without episodes."""
    return max(0, math.ceil(math.log10(max(rates["episodes"].iloc[0], 1))) - 2) if "episodes" in rates else 1


def _cell(
    outcome: Outcome, value: float, low: float = math.nan, high: float = math.nan, *, decimals: int, sign: str = "-"
) -> str:
    """A rate or a measure with its interval, if it has one; empty without a value."""
    if pd.isna(value):
        return ""
    if outcome.kind == "share":
        return _percent(value, low, high, decimals, sign)
    return _with_interval([_number(number, sign) for number in (value, low, high)])


def _percent(share: float, low: float, high: float, decimals: int, sign: str = "-") -> str:
    return _with_interval(
        ["" if pd.isna(number) else f"{100 * number:{sign}.{decimals}f}" for number in (share, low, high)]
    )


def _number(value: float, sign: str) -> str:
    if pd.isna(value):
        return ""
    return f"{value:{sign}.0f}" if abs(value) >= 1000 else f"{value:{sign}#.3g}".rstrip(".")


def _with_interval(texts: Sequence[str]) -> str:
    value, low, high = texts
    return f"{value} [{low}, {high}]" if low and high else value


def _p(row: dict[str, float]) -> str:
    p = row["p_corrected"]
    return "" if pd.isna(p) else "< 0.001" if p < 0.001 else f"{p:.3f}"
