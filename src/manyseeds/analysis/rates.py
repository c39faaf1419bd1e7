"""Rates of checkpoints and their statistics over seeds."""

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from manyseeds import statistics
from manyseeds.analysis.results import ResultsFolder, Run, read_checkpoints
from manyseeds.core.description import Outcome
from manyseeds.core.errors import UserError
from manyseeds.statistics import Interval

SHARE = 0.1
"""A run that is not evaluated has one number an outcome: the mean over this last share of its iterations."""


@dataclass(frozen=True)
class Sample:
    """One number per seed, and what is known of it.

    Attributes:
        numbers: (seeds,).
        share: whether they are rates, from 0 to 1.
        episodes: how many each rate is of; None where nobody knows.
        episode_variance: what new episodes would add to the variance of the mean.
    """

    numbers: np.ndarray
    share: bool = True
    episodes: int | None = None
    episode_variance: float = 0.0


@dataclass(frozen=True)
class Statistic:
    """A statistic over seeds. It makes three columns of each compared outcome, and a row of the final table.

    Attributes:
        label: what the table calls its row.
        columns: endings of the columns of estimate, lower and upper limit.
        function: estimate and limits of a sample; NaN where there are too few seeds for them.
        note: the sentence below the table.
    """

    label: str
    columns: tuple[str, str, str]
    function: Callable[[Sample], Interval]
    note: str


def mean_of(sample: Sample) -> Interval:
    """Mean over seeds with the interval that suits what the numbers are."""
    if sample.share:
        return statistics.rate_interval(sample.numbers, sample.episodes, extra_variance=sample.episode_variance)
    return statistics.t_interval(sample.numbers)


STATISTICS = (
    Statistic(
        "mean",
        ("mean", "low", "high"),
        mean_of,
        "Mean: over seeds, with its 95 % interval for new seeds (rates: Student's t on the logit of the mean; other "
        "numbers: Student's t).",
    ),
    Statistic(
        "IQM",
        ("iqm", "iqm_low", "iqm_high"),
        # A fixed seed: a table written again is the same to the byte.
        lambda sample: statistics.iqm_interval(sample.numbers, seed=0),
        f"IQM: interquartile mean over seeds, from {statistics.LEAST_IQM} seeds on, with its 95 % bootstrap interval "
        "(expanded percentiles).",
    ),
)


def column(outcome: Outcome) -> str:
    """The column of an outcome in a table of rates."""
    return outcome.name if outcome.kind == "share" else f"{outcome.name}_mean"


def evaluation_rates(folder: ResultsFolder, episodes: Mapping[Run, pd.DataFrame]) -> pd.DataFrame:
    """Rates of every checkpoint of every run.

    Args:
        folder: the runs and their outcomes.
        episodes: what `manyseeds.analysis.results.read_all_episodes` gives.

    Returns:
        One row per variant, seed and iteration: `samples` (environment steps in training until then, missing
        when unknown), `episodes`, and by outcome: `<share>` from 0 to 1, for a compared one with its Wilson 95 % limits
        `<share>_low` and `<share>_high`; `<measure>_mean` over the episodes that have one.

    Raises:
        UserError: when no run was evaluated.
    """
    if not episodes:
        raise UserError(f"{folder.folder}: no run has an episodes.csv; evaluate the checkpoints first")
    return pd.concat([_evaluated_run(folder, run, table) for run, table in episodes.items()], ignore_index=True)


def _evaluated_run(folder: ResultsFolder, run: Run, table: pd.DataFrame) -> pd.DataFrame:
    checkpoints = pd.concat([read_checkpoints(run), summaries(folder.outcomes, table)]).sort_values("iteration")
    iterations, episodes = checkpoints["iteration"].to_numpy(), checkpoints["episodes"].to_numpy()
    columns: dict[str, object] = {
        "variant": run.variant,
        "seed": run.seed,
        "iteration": iterations,
        "samples": _samples(folder, run, iterations),
        "episodes": episodes,
    }
    for outcome in folder.outcomes:
        numbers = checkpoints[column(outcome)].to_numpy()
        if outcome.kind == "share":
            columns[outcome.name] = numbers / episodes
            if outcome in folder.compared:
                low, high = statistics.wilson(numbers, episodes)
                columns |= {f"{outcome.name}_low": low, f"{outcome.name}_high": high}
        else:
            columns[column(outcome)] = numbers
    return pd.DataFrame(columns)


def summaries(outcomes: Iterable[Outcome], table: pd.DataFrame) -> pd.DataFrame:
    """Sum up the episodes of every checkpoint.

    Args:
        outcomes: which columns.
        table: episodes, from `manyseeds.analysis.results.read_episodes`.

    Returns:
        One row per iteration: `episodes` (how many), and by outcome: `<share>`, the number of episodes that have it;
        `<measure>_mean` over the episodes that have one.
    """
    groups = table.groupby("iteration")
    columns: dict[str, pd.Series] = {"episodes": groups.size()}
    for outcome in outcomes:
        group = groups[outcome.name]
        columns[column(outcome)] = group.sum() if outcome.kind == "share" else group.mean()
    return pd.DataFrame(columns).reset_index()


def training_rates(folder: ResultsFolder, scalars: Mapping[Run, pd.DataFrame]) -> pd.DataFrame:
    """Outcomes of every run at the end of its training, for runs that are not evaluated.

    Args:
        folder: the runs, and outcomes with the tags of the scalars that they are read from.
        scalars: what `manyseeds.analysis.results.read_scalars` gives of each run.

    Returns:
        One row per variant and seed: `iteration` (how many the run completed, or `folder.at`), `samples` (environment
        steps until then, missing when unknown), `averaged` (over how many last iterations), and `<share>` or
        `<measure>_mean` by outcome; missing where the run logged none.

    Raises:
        UserError: when no run has scalars, or a share is not between 0 and 1.
    """
    if not scalars:
        raise UserError(f"{folder.folder}: no run has a scalars.csv; export the event files first")
    tables = [_trained_run(folder, run, table) for run, table in scalars.items() if reaches(folder, table)]
    if not tables:
        raise UserError(f"{folder.folder}: no run reaches iteration {folder.at}, at which config.json compares them")
    return pd.concat(tables, ignore_index=True)


def reaches(folder: ResultsFolder, table: pd.DataFrame) -> bool:
    """Whether a run is as long as the iteration at which a folder compares its runs."""
    return not isinstance(folder.at, int) or bool(table.index[-1] >= folder.at)


def _trained_run(folder: ResultsFolder, run: Run, table: pd.DataFrame) -> pd.DataFrame:
    table = table.loc[: folder.at] if isinstance(folder.at, int) else table
    last = int(table.index[-1])
    averaged = max(1, math.ceil(SHARE * len(table)))
    columns: dict[str, object] = {
        "variant": run.variant,
        "seed": run.seed,
        "iteration": [last],
        "samples": _samples(folder, run, np.array([last])),
        "averaged": averaged,
    }
    for outcome in folder.outcomes:
        value = _mean(table[outcome.tag].iloc[-averaged:]) if outcome.tag in table else math.nan
        if outcome.kind == "share" and not (math.isnan(value) or 0 <= value <= 1):
            raise UserError(
                f"{run.scalars}: {outcome.tag}, which trainer.scalars.{outcome.name} names, is {value:.6g} at the end; "
                "a success rate is from 0 to 1"
            )
        columns[column(outcome)] = value
    return pd.DataFrame(columns)


def _samples(folder: ResultsFolder, run: Run, iterations: np.ndarray) -> pd.arrays.IntegerArray:
    per_iteration = folder.samples_per_iteration.get(run.variant)
    samples = [pd.NA if per_iteration is None else iteration * per_iteration for iteration in iterations]
    return pd.array(samples, dtype="Int64")


def _mean(values: pd.Series) -> float:
    finite = values[np.isfinite(values)]
    return float(finite.mean()) if len(finite) else math.nan


def rates_over_seeds(folder: ResultsFolder, rates: pd.DataFrame) -> pd.DataFrame:
    """Statistics of the seeds' rates at every checkpoint.

    Args:
        folder: the outcomes.
        rates: what `evaluation_rates` or `training_rates` gives.

    Returns:
        One row per variant and iteration: `samples`, `seeds` (how many), for each compared outcome the columns of
        `over_seeds`, named `<outcome>_<column>`, and for every other outcome its mean over seeds.
    """
    rows = []
    for (variant, iteration), group in rates.groupby(["variant", "iteration"], sort=False):
        row: dict[str, object] = {
            "variant": variant,
            "iteration": iteration,
            "samples": group["samples"].iloc[0],
            "seeds": len(group),
        }
        for outcome in folder.outcomes:
            numbers = group[column(outcome)]
            if outcome in folder.compared:
                episodes = int(group["episodes"].iloc[0]) if "episodes" in group else None
                sample = Sample(numbers.to_numpy(float), outcome.kind == "share", episodes)
                row |= {f"{outcome.name}_{name}": value for name, value in over_seeds(sample).items()}
            else:
                row[column(outcome)] = numbers.mean()
        rows.append(row)
    table = pd.DataFrame(rows)
    # The order of the variants is that of the rates, and not that of the alphabet.
    places = table["variant"].map({variant: place for place, variant in enumerate(dict.fromkeys(rates["variant"]))})
    return table.assign(place=places).sort_values(["place", "iteration"], ignore_index=True).drop(columns="place")


def over_seeds(sample: Sample) -> dict[str, float]:
    """The statistics of one number per seed, and the extremes.

    Returns:
        The columns of `STATISTICS`, `min` and `max`. All are NaN where a number is. The limits are NaN with one seed,
        and where they would have no width: that seeds agree says nothing about further seeds.
    """
    values: dict[str, float] = {}
    for statistic in STATISTICS:
        interval = statistic.function(sample)
        none = interval.low == interval.high
        values |= dict(zip(statistic.columns, (interval.estimate, *interval[1:]), strict=True))
        values |= dict.fromkeys(statistic.columns[1:], math.nan) if none else {}
    values |= {"min": sample.numbers.min(), "max": sample.numbers.max()}
    if np.isnan(sample.numbers).any():
        values = dict.fromkeys(values, math.nan)
    return {name: float(value) for name, value in values.items()}


def at_the_end(table: pd.DataFrame) -> pd.DataFrame:
    """The rows of a table of rates that belong to each variant's last checkpoint.

    That is the greatest iteration that any seed of the variant was evaluated at; a seed that lacks it does not count.
    """
    return table[table["iteration"] == table.groupby("variant")["iteration"].transform("max")]
