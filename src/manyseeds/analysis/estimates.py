"""The reported numbers: each seed's rate, its statistics over seeds, and what makes them uncertain.

Which rate a seed has (of its last checkpoint, or the mean of its last ones) and what becomes of runs that failed is
fixed in config.yaml, before training. Nothing here picks a checkpoint by its rate.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from manyseeds import statistics
from manyseeds.analysis.rates import Sample, at_the_end, column, mean_of, over_seeds
from manyseeds.analysis.results import ResultsFolder, Run
from manyseeds.core.description import Outcome
from manyseeds.core.text import flatten

OTHER = 3
"""Next to the last checkpoint stands the mean of so many last ones."""
SOURCES = (
    "variant",
    "outcome",
    "seeds",
    "episodes",
    "from_seeds",
    "from_episodes",
    "from_rest",
    "widening",
    "twice_the_seeds",
    "twice_the_episodes",
)
EFFECTS = ("outcome", "factors", "levels", "compared_with", "estimate", "low", "high", "p_corrected")


@dataclass(frozen=True)
class Failure:
    """A run that config.json names and that has no rate at the last checkpoint of its variant; `reason` says why."""

    variant: str
    seed: int
    reason: str


def failures(folder: ResultsFolder, rates: pd.DataFrame) -> list[Failure]:
    """The runs that did not get to the last checkpoint, or to where trainings are compared.

    Args:
        folder: the runs.
        rates: of every checkpoint, from `manyseeds.analysis.rates`.
    """
    found = [Failure(variant, seed, "no results") for variant, seed in folder.missing]
    for run in folder.runs:
        own = rates[rates["variant"] == run.variant]
        mine = own.loc[own["seed"] == run.seed, "iteration"]
        if mine.empty:
            what = f"it ends before iteration {folder.at}" if isinstance(folder.at, int) else "no scalars"
            found.append(Failure(run.variant, run.seed, "not evaluated" if folder.evaluated else what))
        elif folder.at != "end" and mine.max() < own["iteration"].max():
            kind = "checkpoint" if folder.evaluated else "iteration"
            reason = f"its last {kind} is {mine.max()} and not {own['iteration'].max()}"
            found.append(Failure(run.variant, run.seed, reason))
    return sorted(found, key=lambda failure: (failure.variant, failure.seed))


def failure_sentences(folder: ResultsFolder, failed: Sequence[Failure]) -> list[str]:
    """Say of each failed run what becomes of it."""
    zero = folder.evaluate.failed_runs == "count_as_zero" and bool(folder.successes)
    verb = "counts as zero" if zero else "is left out"
    return [f"{folder.label(failure.variant)} seed {failure.seed} {verb}: {failure.reason}." for failure in failed]


def spread_sentences(folder: ResultsFolder, final: pd.DataFrame) -> list[str]:
    """Name the means whose intervals are too narrow, because their seeds differ too much."""
    sentences = []
    for outcome in folder.successes:
        for variant, own in final.groupby("variant", sort=False):
            numbers = own[column(outcome)].dropna()
            if len(numbers) > 1 and numbers.std() > statistics.spread_limit(numbers.mean()):
                sentences.append(
                    f"{folder.label(str(variant))}, {outcome.title}: the seeds differ by more than about their mean "
                    "failure rate, so the interval of the mean covers less than 95 % (docs/coverage.md)."
                )
    return sentences


def estimate_words(checkpoints: int) -> str:
    """What the rate of a seed is of, in words."""
    return "last checkpoint" if checkpoints == 1 else f"mean of the last {checkpoints} checkpoints"


def final_rates(
    folder: ResultsFolder, rates: pd.DataFrame, checkpoints: int | None = None, failed: Sequence[Failure] = ()
) -> pd.DataFrame:
    """One row per variant and seed: the seed's numbers as they are reported.

    Args:
        folder: the outcomes, and what config.json says of the estimate and of failed runs.
        rates: of every checkpoint, from `manyseeds.analysis.rates`.
        checkpoints: how many last checkpoints of the variant to average; None: as config.json says.
        failed: runs that get a row in which every success is 0.

    Returns:
        The columns of `rates`; `iteration` is the last one. A mean of several checkpoints has no Wilson limits. A seed
        that lacks one of the checkpoints has no row.
    """
    wanted = checkpoints or (folder.evaluate.checkpoints if folder.evaluated else 1)
    if folder.at == "end":
        final = rates
    elif wanted == 1:
        final = at_the_end(rates)
    else:
        rows = [_averaged(folder, own, wanted) for _, own in rates.groupby("variant", sort=False)]
        final = pd.concat(rows, ignore_index=True)
    if not failed:
        return final
    zero = {column(outcome): 0.0 for outcome in folder.successes}
    extra = []
    for failure in failed:
        own = final[final["variant"] == failure.variant]
        if len(own):
            kept = ("variant", "iteration", "samples", "episodes")
            extra.append({name: own[name].iloc[0] for name in kept if name in own} | {"seed": failure.seed} | zero)
    places = {variant: place for place, variant in enumerate(dict.fromkeys(final["variant"]))}
    whole = pd.concat([final, pd.DataFrame(extra).reindex(columns=final.columns).astype({"seed": int})])
    return whole.sort_values(["variant", "seed"], key=lambda c: c.map(places) if c.name == "variant" else c)


def _averaged(folder: ResultsFolder, own: pd.DataFrame, wanted: int) -> pd.DataFrame:
    """The means of a variant's last checkpoints, a row per seed that has all of them."""
    iterations = sorted(own["iteration"].unique())[-wanted:]
    kept = own[own["iteration"].isin(iterations)]
    kept = kept[kept.groupby("seed")["iteration"].transform("size") == len(iterations)]
    last = kept[kept["iteration"] == iterations[-1]].set_index("seed")
    means = kept.groupby("seed")[[column(outcome) for outcome in folder.outcomes]].mean()
    limits = [name for name in own.columns if name.endswith(("_low", "_high"))]
    fewest = {"episodes": kept.groupby("seed")["episodes"].min()} if "episodes" in kept else {}
    last = last.assign(**{name: means[name] for name in means.columns}, **dict.fromkeys(limits, math.nan), **fewest)
    return last.reset_index().reindex(columns=own.columns)


def last_outcomes(
    folder: ResultsFolder, episodes: Mapping[Run, pd.DataFrame], rates: pd.DataFrame, variant: str, outcome: Outcome
) -> np.ndarray | None:
    """Outcomes (seeds, episodes) of a variant's last checkpoint, in the order of `rates`.

    None where the single episodes of a seed are not known.
    """
    if not episodes:
        return None
    own = at_the_end(rates[rates["variant"] == variant])
    tables = {run.seed: table for run, table in episodes.items() if run.variant == variant}
    rows = []
    for seed, iteration in zip(own["seed"], own["iteration"], strict=True):
        table = tables[seed]
        rows.append(table.loc[table["iteration"] == iteration, outcome.name].to_numpy(float))
    return np.stack(rows) if all(map(len, rows)) else None


def sources(folder: ResultsFolder, episodes: Mapping[Run, pd.DataFrame], rates: pd.DataFrame) -> pd.DataFrame:
    """What the uncertainty of each variant's success is made of, at its last checkpoint.

    Returns:
        One row per variant and success, `SOURCES` as in `manyseeds.statistics.Crossed`: shares of the variance of the
        mean, and by which factor twice the seeds or episodes would shrink its standard error. No row with one seed or
        one episode, or where nothing varies.
    """
    rows = []
    for variant in dict.fromkeys(rates["variant"]):
        for outcome in folder.successes:
            table = last_outcomes(folder, episodes, rates, str(variant), outcome)
            if table is None or min(table.shape) < 2:
                continue
            found = statistics.crossed(table)
            if found.variance() > 0:
                values = (found.seeds, found.episodes, *found.shares, found.widening, *found.gains)
                rows.append(dict(zip(SOURCES, (variant, outcome.name, *values), strict=True)))
    return pd.DataFrame(rows, columns=list(SOURCES))


def estimates(
    folder: ResultsFolder,
    episodes: Mapping[Run, pd.DataFrame],
    rates: pd.DataFrame,
    final: pd.DataFrame,
    failed: Sequence[Failure],
) -> pd.DataFrame:
    """The reported numbers over seeds: what the table shows, with the interval for new seeds and new episodes.

    Args:
        folder: the runs and their outcomes.
        episodes: the evaluation episodes of each run; empty for runs that are not evaluated.
        rates: of every checkpoint.
        final: of each seed, from `final_rates`.
        failed: from `failures`.

    Returns:
        One row per variant: `iteration`, `samples` (the largest of its seeds'), `seeds`, `failed` (their seeds);
        for each compared outcome `<outcome>_` with the columns of `manyseeds.analysis.rates.over_seeds` and, of a
        success, `other` with `low` and `high` (the other estimate: the mean of the last checkpoints, or the last one),
        `below` (seeds below the requirement) and `below_high` (upper limit of the share of all seeds that are); for
        every other outcome its mean.
    """
    other = 1 if folder.evaluate.checkpoints > 1 else OTHER
    zeros = failed if folder.evaluate.failed_runs == "count_as_zero" else ()
    alternative = final_rates(folder, rates, other, zeros) if folder.evaluated else rates.iloc[:0]
    rows = []
    for variant, group in final.groupby("variant", sort=False):
        others = alternative[alternative["variant"] == variant]
        enough = rates.loc[rates["variant"] == variant, "iteration"].nunique() >= other
        row: dict[str, object] = {
            "variant": variant,
            "iteration": group["iteration"].max(),
            "samples": group["samples"].max(),
            "seeds": len(group),
            "failed": " ".join(str(failure.seed) for failure in failed if failure.variant == variant),
        }
        for outcome in folder.outcomes:
            numbers = group[column(outcome)]
            if outcome not in folder.compared:
                row[column(outcome)] = numbers.mean()
                continue
            table = last_outcomes(folder, episodes, rates, str(variant), outcome) if outcome.kind == "share" else None
            sample = _sample(outcome, group, table)
            columns = over_seeds(sample)
            if outcome.kind == "share" and folder.evaluated:
                limits = mean_of(_sample(outcome, others, table)) if enough and len(others) else (math.nan,) * 3
                columns |= dict(zip(("other", "other_low", "other_high"), map(float, limits), strict=True))
                columns |= _tail(folder, sample.numbers)
            row |= {f"{outcome.name}_{name}": value for name, value in columns.items()}
        rows.append(row)
    return pd.DataFrame(rows)


def _sample(outcome: Outcome, group: pd.DataFrame, table: np.ndarray | None) -> Sample:
    variance = 0.0
    if table is not None and min(table.shape) > 1:
        variance = statistics.crossed(table).episode_variance
    return Sample(
        group[column(outcome)].to_numpy(float),
        outcome.kind == "share",
        int(group["episodes"].iloc[0]) if "episodes" in group else None,
        variance,
    )


def _tail(folder: ResultsFolder, numbers: np.ndarray) -> dict[str, float]:
    requirement = folder.evaluate.requirement
    if requirement is None:
        return {"below": math.nan, "below_high": math.nan}
    found = statistics.share_below(numbers, requirement)
    return {"below": found.below, "below_high": found.high}


def effects(folder: ResultsFolder, final: pd.DataFrame) -> pd.DataFrame:
    """Main effects and interactions, where the variants are a full grid of two or more settings.

    Returns:
        One row per compared outcome and effect, `EFFECTS` as in `manyseeds.statistics.Effect`; no row otherwise, or
        where a race stopped a variant early.
    """
    variants = list(dict.fromkeys(final["variant"]))
    factors, cells = grid_of({variant: folder.settings.get(variant, {}) for variant in variants})
    rows: list[tuple[object, ...]] = []
    if len(factors) > 1 and not folder.stopped:
        for outcome in folder.compared:
            numbers = {
                cell: final.loc[final["variant"] == variant, column(outcome)].to_numpy(float)
                for cell, variant in cells.items()
            }
            if any(np.isnan(own).any() for own in numbers.values()):
                continue
            for effect in statistics.factorial_effects(factors, numbers):
                levels, bases = (" x ".join(pair[place] for pair in effect.levels) for place in (0, 1))
                name = " x ".join(effect.factors)
                rows.append((outcome.name, name, levels, bases, effect.estimate, effect.low, effect.high, effect.p))
    return pd.DataFrame(rows, columns=list(EFFECTS))


def grid_of(
    settings: Mapping[str, Mapping[str, object]],
) -> tuple[dict[str, list[str]], dict[tuple[str, ...], str]]:
    """Find the factors of a grid in the settings of its variants.

    Settings that change together are one factor, named after the first of them.

    Args:
        settings: nested settings of each variant.

    Returns:
        The levels of each factor, in the order of the variants, and the variant of each cell; both are empty where the
        variants are no full grid.
    """
    flat = {
        variant: {
            key: str(value)
            for key, value in flatten(own).items()
            if key != "agent_file" and not isinstance(value, Mapping)
        }
        for variant, own in settings.items()
    }
    keys = list(dict.fromkeys(key for own in flat.values() for key in own))
    levels: dict[str, list[str]] = {}
    seen: set[tuple[int, ...]] = set()
    for key in keys:
        column = [flat[variant].get(key, "not set") for variant in flat]
        distinct = list(dict.fromkeys(column))
        pattern = tuple(distinct.index(value) for value in column)
        if len(distinct) > 1 and pattern not in seen:
            seen.add(pattern)
            levels[key.rsplit(".", 1)[-1] if key.rsplit(".", 1)[-1] not in levels else key] = column
    cells = {tuple(column[place] for column in levels.values()): variant for place, variant in enumerate(flat)}
    factors = {name: list(dict.fromkeys(column)) for name, column in levels.items()}
    full = len(cells) == len(flat) == math.prod(map(len, factors.values()))
    return (factors, cells) if factors and full else ({}, {})
