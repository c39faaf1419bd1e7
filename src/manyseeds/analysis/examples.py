"""Which episodes show best what a variant fails at: of its worst seed, where that fails most, and one for all seeds."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from manyseeds.analysis.data import Data
from manyseeds.core.description import RETURN, Outcome

EPISODES_PER_FIELD = 20
"""So many episodes fall into a field of a map, on average."""
FIELDS = (2, 8)
"""The fewest and most fields along a side of a map."""
LEAST = 3
"""A field with fewer episodes says nothing of a region."""


@dataclass(frozen=True)
class Examples:
    """Episodes of a variant's last checkpoints.

    Attributes:
        variant: which variant.
        iteration: the checkpoint of every seed.
        outcome: what success is; the return where the task has no success.
        rates: the mean of the outcome of each seed, the worst first.
        region: where the failing episodes were taken from, in words; "" for no region.
        failing: episodes that the worst seed fails; without a success, those with the lowest return.
        succeeding: for each of these one that `succeeding_seed` succeeds in and that starts close to it. Where none
            fails: those with the lowest return. Without a success: those with the highest return.
        succeeding_seed: the worst seed; the best one where the worst succeeds in nothing.
        shared: the episode on which the seeds differ most.
        failed: how many of the seeds' episodes failed, over all seeds; 0 without a success.
        episodes: how many episodes there are, over all seeds.
    """

    variant: str
    iteration: int
    outcome: Outcome
    rates: Mapping[int, float]
    region: str
    failing: tuple[int, ...]
    succeeding: tuple[int, ...]
    succeeding_seed: int
    shared: int
    failed: int
    episodes: int

    @property
    def worst_seed(self) -> int:
        """The seed with the lowest rate, or return."""
        return next(iter(self.rates))


def fields_along(episodes: int) -> int:
    """Return how many fields a map of so many episodes has along each side."""
    return int(np.clip(np.sqrt(episodes / EPISODES_PER_FIELD), *FIELDS))


def judged_by(data: Data) -> Outcome:
    """Return what says whether an episode failed: the first share of which more is better, or else the return."""
    return next((outcome for outcome in data.successes if outcome.better == "higher"), RETURN)


def examples(data: Data, variant: str, number: int, seeds: Sequence[int] | None = None) -> Examples | None:
    """Choose episodes of a variant's last checkpoints.

    Args:
        data: the experiment.
        variant: which variant.
        number: the most episodes that fail, and that succeed.
        seeds: which seeds are looked at; all without it.

    Returns:
        The episodes; None where none of these seeds has the last checkpoint's episodes.
    """
    tables = {
        run.seed: table for run, table in data.final_episodes(variant).items() if seeds is None or run.seed in seeds
    }
    if not tables:
        return None
    outcome = judged_by(data)
    has_success = outcome is not RETURN
    means = {seed: float(table[outcome.name].mean()) for seed, table in tables.items()}
    rates = dict(sorted(means.items(), key=lambda item: (item[1], item[0])))
    worst = tables[next(iter(rates))]
    values = pd.DataFrame({seed: table[outcome.name] for seed, table in tables.items()})
    region, failing, succeeding = "", list[int](), list[int]()
    good = next(iter(rates))
    by_return = worst["return"].sort_values(kind="stable").index
    if has_success:
        starts = _normalized(data, worst)
        region, failing = _in_worst_region(data, worst, outcome.name, starts, number)
        if not worst[outcome.name].any():
            good = next(reversed(rates))
        succeeded = worst.index[tables[good].loc[worst.index, outcome.name] == 1]
        succeeding = _closest(starts, failing, succeeded) if failing else list(by_return[:number])
    else:
        failing, succeeding = list(by_return[:number]), list(by_return[: -number - 1 : -1])
    return Examples(
        variant,
        int(worst["iteration"].iloc[0]),
        outcome,
        rates,
        region,
        tuple(map(int, failing)),
        tuple(map(int, succeeding)),
        good,
        _shared(values, pd.DataFrame({seed: table["return"] for seed, table in tables.items()}), has_success),
        int((values == 0).to_numpy().sum()) if has_success else 0,
        values.size,
    )


def _normalized(data: Data, table: pd.DataFrame) -> pd.DataFrame:
    """Starts from 0 to 1, a row per episode; no columns where the task names none."""
    starts = table[[start.name for start in data.folder.description.starts]].astype(float)
    spans = starts.max() - starts.min()
    return (starts - starts.min()) / spans.where(spans > 0, 1.0)


def _in_worst_region(
    data: Data, table: pd.DataFrame, success: str, starts: pd.DataFrame, number: int
) -> tuple[str, list[int]]:
    """The field of a map that fails most often, in words, and failing episodes: those in it, then close to it."""
    failed = table.index[table[success] == 0]
    if not len(failed):
        return "", []
    if len(failed) == len(table):
        return "", list(failed[:number])
    fields, best = fields_along(len(table)), (-1.0, -1)
    region, center = "", pd.Series(dtype=float)
    titles = {start.name: start for start in data.folder.description.starts}
    for item in data.folder.description.maps:
        places = {axis: np.minimum(starts[axis] * fields, fields - 1).astype(int) for axis in (item.across, item.up)}
        for (across, up), own in table.groupby([places[item.across], places[item.up]]):
            misses = int((own[success] == 0).sum())
            if len(own) >= LEAST and (misses / len(own), misses) > best:
                best = misses / len(own), misses
                low = {item.across: int(str(across)) / fields, item.up: int(str(up)) / fields}
                center = pd.Series({axis: at + 0.5 / fields for axis, at in low.items()})
                parts = [
                    _between(titles[axis].title, titles[axis].unit, table[axis], low[axis], fields) for axis in low
                ]
                region = f"{' and '.join(parts)}: {misses} of {len(own)} episodes fail"
    if not region:
        return "", list(failed[:number])
    distance = (starts.loc[failed, list(center.index)] - center).abs().max(axis=1)
    return region, list(distance.sort_values(kind="stable").index[:number])


def _between(title: str, unit: str, values: pd.Series, low: float, fields: int) -> str:
    first, span = float(values.min()), float(np.ptp(values))
    decimals = max(0, 1 - math.floor(math.log10(span / fields))) if span else 3
    ends = (f"{first + span * end:.{decimals}f}" for end in (low, low + 1 / fields))
    return f"{title} {' to '.join(ends)}{' ' + unit if unit else ''}"


def _closest(starts: pd.DataFrame, wanted: Sequence[int], among: "pd.Index[int]") -> list[int]:
    """For each episode the one that starts closest to it, each once."""
    found: list[int] = []
    for episode in wanted:
        left = among.difference(found, sort=False)
        if len(left):
            distance = ((starts.loc[left] - starts.loc[episode]) ** 2).sum(axis=1)
            found.append(int(distance.sort_values(kind="stable").index[0]))
    return found


def _shared(values: pd.DataFrame, returns: pd.DataFrame, has_success: bool) -> int:
    """The episode that divides the seeds most evenly; of several the one that most fail, or of the lowest return."""
    if not has_success:
        return int(values.index.to_numpy()[(values.max(axis=1) - values.min(axis=1)).to_numpy().argmax()])
    failed = (values == 0).sum(axis=1)
    order = pd.DataFrame(
        {
            "divided": -np.minimum(failed, values.shape[1] - failed),
            "failed": -failed,
            "return": returns.mean(axis=1),
        },
        index=values.index,
    )
    return int(order.sort_values(["divided", "failed", "return"], kind="stable").index[0])
