"""The final tables with their numbers set as text."""

import math
from dataclasses import dataclass

import pandas as pd

from manyseeds.analysis.rates import at_the_end

NOTE = (
    "Success of the last checkpoint, never of the best one. Reached: the object came within the tolerance of its "
    "target at some time in the episode; held: it was there at the last step; first reached: mean over the "
    "episodes that reached. Row of a seed: share of its episodes, with the 95 % Wilson interval of this one policy. "
    "Mean: mean of the seeds' rates, with the 95 % t interval over seeds, cut to 0 to 100 %. IQM: interquartile "
    "mean of the seeds' rates, with the 95 % bootstrap interval over seeds. No interval is given for one seed, or "
    "where all seeds have the same rate."
)
COMPARED_NOTE = (
    "Difference: mean rate of A minus that of B, percentage points, with Welch's 95 % interval over seeds. p: of no "
    "difference, corrected for all comparisons of its column (Holm). A above B: probability that a seed of A beats a "
    "seed of B, with its 95 % bootstrap interval. Further seeds: about how many more of each variant would tell them "
    "apart with a power of 80 %, if they differ as seen here."
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


def final_grid(rates: pd.DataFrame, over_seeds: pd.DataFrame) -> Grid:
    """The last checkpoint of each variant: a row per seed and rows over seeds.

    Args:
        rates: what `manyseeds.analysis.rates.success_rates` gives.
        over_seeds: what `manyseeds.analysis.rates.success_rates_over_seeds` gives.
    """
    rows: list[tuple[str, ...]] = []
    notes = [NOTE]
    final, final_over_seeds = at_the_end(rates), at_the_end(over_seeds)
    for variant in dict.fromkeys(rates["variant"]):
        seeds = final[final["variant"] == variant]
        episodes = int(seeds["episodes"].iloc[0])
        decimals = _decimals(episodes)
        rows += [_seed_row(row, decimals) for _, row in seeds.iterrows()]
        rows += _over_seeds_rows(final_over_seeds[final_over_seeds["variant"] == variant].iloc[0], decimals)
        notes.append(f"{variant}: {episodes} episodes per seed, {count_of(len(seeds))}.")
        own = rates[rates["variant"] == variant]
        for seed in sorted(set(own["seed"]) - set(seeds["seed"])):
            last = own.loc[own["seed"] == seed, "iteration"].max()
            notes.append(
                f"{variant}: seed {seed} is left out, its last checkpoint is {last} and not {own['iteration'].max()}."
            )
    return Grid(
        ("Variant", "Seed", "Iteration", "Reached (%)", "Held (%)", "Dropped (%)", "First reached (s)"),
        "llrllrr",
        tuple(rows),
        tuple(row[1].startswith("mean") for row in rows),
        tuple(notes),
    )


def compared_grid(comparisons: pd.DataFrame) -> Grid:
    """A row per pair of variants, from `manyseeds.analysis.comparison.compared`."""
    rows = []
    outcomes = {str(outcome): table for outcome, table in comparisons.groupby("outcome", sort=False)}
    for (_, reached), (_, held) in zip(*(outcomes[name].iterrows() for name in ("reached", "held")), strict=True):
        needed = "" if pd.isna(reached["seeds_needed"]) else str(reached["seeds_needed"])
        rows.append((reached["a"], reached["b"], *difference(reached), *difference(held)[:2], needed))
    return Grid(
        (
            "A",
            "B",
            "Reached, A - B (points)",
            "p",
            "Reached, A above B (%)",
            "Held, A - B (points)",
            "p",
            "Further seeds",
        ),
        "lllrllrr",
        tuple(rows),
        (False,) * len(rows),
        (COMPARED_NOTE,),
    )


def difference(row: pd.Series) -> tuple[str, str, str]:
    """The difference of two rates in points with its interval, its p, and how often A is above B."""
    p = "" if pd.isna(row["p_corrected"]) else "< 0.001" if row["p_corrected"] < 0.001 else f"{row['p_corrected']:.3f}"
    return (
        with_interval(row["difference"], row["low"], row["high"], 1, sign="+"),
        p,
        with_interval(row["improvement"], row["improvement_low"], row["improvement_high"], 0),
    )


def _seed_row(row: pd.Series, decimals: int) -> tuple[str, ...]:
    return (
        str(row["variant"]),
        str(row["seed"]),
        str(row["iteration"]),
        with_interval(row["reached"], row["reached_low"], row["reached_high"], decimals),
        with_interval(row["held"], row["held_low"], row["held_high"], decimals),
        _percent(row["dropped"], decimals),
        _seconds(row["first_reached_s_mean"]),
    )


def _over_seeds_rows(row: pd.Series, decimals: int) -> list[tuple[str, ...]]:
    variant, iteration, seeds = str(row["variant"]), str(row["iteration"]), int(row["seeds"])
    flags = ("reached", "held")

    def intervals(center: str, prefix: str) -> list[str]:
        names = [(f"{flag}_{center}", f"{flag}_{prefix}low", f"{flag}_{prefix}high") for flag in flags]
        return [with_interval(row[mid], row[low], row[high], decimals) for mid, low, high in names]

    others = (_percent(row["dropped"], decimals), _seconds(row["first_reached_s_mean"]))
    rows: list[tuple[str, ...]] = [(variant, f"mean, {count_of(seeds)}", iteration, *intervals("mean", ""), *others)]
    if seeds > 1:
        extremes = [
            f"{_percent(row[f'{flag}_min'], decimals)} to {_percent(row[f'{flag}_max'], decimals)}" for flag in flags
        ]
        rows.append((variant, f"IQM, {count_of(seeds)}", iteration, *intervals("iqm", "iqm_"), "", ""))
        rows.append((variant, "min to max", iteration, *extremes, "", ""))
    return rows


def count_of(seeds: int) -> str:
    """So many seeds, in words."""
    return "1 seed" if seeds == 1 else f"{seeds} seeds"


def _decimals(episodes: int) -> int:
    """So many decimals of a percentage that one episode more or less shows."""
    return max(0, math.ceil(math.log10(max(episodes, 1))) - 2)


def _percent(share: float, decimals: int, sign: str = "-") -> str:
    return f"{100 * share:{sign}.{decimals}f}"


def with_interval(share: float, low: float, high: float, decimals: int, sign: str = "-") -> str:
    """A share as a percentage with its interval, if it has one."""
    text = _percent(share, decimals, sign)
    if pd.isna(low) or pd.isna(high):
        return text
    return f"{text} [{_percent(low, decimals, sign)}, {_percent(high, decimals, sign)}]"


def _seconds(value: float) -> str:
    return "" if pd.isna(value) else f"{value:.2f}"
