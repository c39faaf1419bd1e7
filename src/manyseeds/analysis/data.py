"""What tables, figures and pages show: the CSV files of a results folder, read once, and what follows from them."""

import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd

from manyseeds import statistics
from manyseeds.analysis.by_start import by_start
from manyseeds.analysis.comparison import comparisons
from manyseeds.analysis.curves import ENDED, band_of_rates
from manyseeds.analysis.estimates import Failure, effects, estimates, failures, final_rates, sources
from manyseeds.analysis.factors import factor_rates, under_factors
from manyseeds.analysis.rates import evaluation_rates, rates_over_seeds, training_rates
from manyseeds.analysis.results import ResultsFolder, Run, describe, read_all_episodes, read_scalars
from manyseeds.core.description import Outcome

# A curve of more points than this is finer than its line is wide.
POINTS = 200

# Names that older releases of RSL-RL gave to tags.
OLD_NAMES = {"Perf/collection_time": "Perf/collection time", "Policy/mean_std": "Policy/mean_noise_std"}


@dataclass(frozen=True)
class Curve:
    """One tag of one variant.

    `x` and `seeds` hold one array per seed (they may end at different places); `band_x`, `mean`, `low`,
    `high` cover the part that all of the seeds have; `low` and `high` are NaN for one seed.
    """

    x: list[np.ndarray]
    seeds: list[np.ndarray]
    band_x: np.ndarray
    mean: np.ndarray
    low: np.ndarray
    high: np.ndarray

    @property
    def count(self) -> int:
        """How many seeds have the tag."""
        return len(self.seeds)


class Data:
    """A results folder with its numbers; each file is read when it is first asked for, and once."""

    def __init__(self, folder: ResultsFolder, band: str | None = None) -> None:
        """Read nothing yet.

        Args:
            folder: the runs.
            band: one of `manyseeds.analysis.results.BANDS`; None takes the one in config.json.
        """
        self.folder = folder
        self.variants = folder.variants
        self.band = band or folder.band
        self.provenance = describe(folder)

    def label(self, variant: str) -> str:
        """What figures and pages call a variant."""
        return self.folder.label(variant)

    def band_of(self, tag: str) -> str:
        """The band that the curve of a tag gets, one of `manyseeds.analysis.results.BANDS`.

        A simultaneous band holds for the return alone: other curves are flat at first, and seeds that all read 0 say
        nothing of how much their mean may differ.
        """
        return "pointwise" if self.band == "simultaneous" and tag != self.folder.tags.reward else self.band

    def read_all(self) -> None:
        """Read every file now, so that a malformed one is found before anything is written.

        Raises:
            UserError: when one of the files is malformed.
        """
        _ = self.scalars, self.episodes
        if self.folder.played_under_factors:
            _ = self.factor_rates

    @cached_property
    def scalars(self) -> dict[Run, pd.DataFrame]:
        """The scalars of every run that has some."""
        return {run: _with_new_names(read_scalars(run)) for run in self.folder.runs if run.scalars.is_file()}

    @cached_property
    def episodes(self) -> dict[Run, pd.DataFrame]:
        """The evaluation episodes of every run that was evaluated."""
        return read_all_episodes(self.folder) if self.folder.evaluated else {}

    @property
    def has_rates(self) -> bool:
        """Whether there is anything to make rates of."""
        return bool(self.episodes if self.folder.evaluated else self.scalars)

    @cached_property
    def successes(self) -> tuple[Outcome, ...]:
        """The success rates that some run has a number of."""
        outcomes = self.folder.successes
        return tuple(outcome for outcome in outcomes if self.has_rates and self.rates[outcome.name].notna().any())

    @cached_property
    def rates(self) -> pd.DataFrame:
        """The rates of every checkpoint, or at the end of training; see `manyseeds.analysis.rates`.

        Raises:
            UserError: when there is nothing to make rates of.
        """
        if self.folder.evaluated:
            return evaluation_rates(self.folder, self.episodes)
        return training_rates(self.folder, self.scalars)

    @cached_property
    def rates_over_seeds(self) -> pd.DataFrame:
        """The same over seeds; see `manyseeds.analysis.rates.rates_over_seeds`."""
        return rates_over_seeds(self.folder, self.rates)

    @cached_property
    def comparisons(self) -> pd.DataFrame:
        """Every two variants compared; see `manyseeds.analysis.comparison.comparisons`."""
        return comparisons(self.folder, self.episodes, self.rates, self.final, self._zeros)

    @cached_property
    def failures(self) -> list[Failure]:
        """The runs that did not get to the last checkpoint."""
        return failures(self.folder, self.rates)

    @cached_property
    def final(self) -> pd.DataFrame:
        """The reported numbers of each seed; see `manyseeds.analysis.estimates.final_rates`."""
        return final_rates(self.folder, self.rates, failed=self._zeros)

    @property
    def _zeros(self) -> Sequence[Failure]:
        """The failed runs that count as zero."""
        return self.failures if self.folder.evaluate.failed_runs == "count_as_zero" else ()

    @cached_property
    def final_over_seeds(self) -> pd.DataFrame:
        """The reported numbers over seeds; see `manyseeds.analysis.estimates.estimates`."""
        return estimates(self.folder, self.episodes, self.rates, self.final, self.failures)

    @cached_property
    def _of_factors(self) -> tuple[pd.DataFrame, list[Failure]]:
        if not self.folder.played_under_factors:
            return pd.DataFrame(), []
        return factor_rates(self.folder, self.final, self._zeros)

    @property
    def factor_rates(self) -> pd.DataFrame:
        """The rates of each seed under factors; see `manyseeds.analysis.factors.factor_rates`."""
        return self._of_factors[0]

    @property
    def without_factors(self) -> list[Failure]:
        """The reported seeds that have no rates under factors."""
        return self._of_factors[1]

    @cached_property
    def under_factors(self) -> pd.DataFrame:
        """The same over seeds; see `manyseeds.analysis.factors.under_factors`. No row where there is none."""
        return under_factors(self.folder, self.factor_rates) if len(self.factor_rates) else pd.DataFrame()

    @cached_property
    def by_start(self) -> pd.DataFrame:
        """The reported checkpoint's success by what episodes start with; see `manyseeds.analysis.by_start`."""
        if not self.episodes:
            return pd.DataFrame()
        return by_start(self.folder, {variant: self.final_episodes(variant) for variant in self.variants})

    @cached_property
    def sources(self) -> pd.DataFrame:
        """What makes the means uncertain; see `manyseeds.analysis.estimates.sources`."""
        return sources(self.folder, self.episodes, self.rates)

    @cached_property
    def effects(self) -> pd.DataFrame:
        """Effects of the settings of a grid; see `manyseeds.analysis.estimates.effects`."""
        return effects(self.folder, self.final)

    def final_episodes(self, variant: str) -> dict[Run, pd.DataFrame]:
        """The last checkpoint's episodes of each seed of a variant that has it, indexed by episode."""
        final = self.final[self.final["variant"] == variant]
        return {
            run: table[table["iteration"] == final["iteration"].iloc[0]].set_index("episode")
            for run, table in self.episodes.items()
            if run.variant == variant
            and run.seed in set(final["seed"])
            and (table["iteration"] == final["iteration"].iloc[0]).any()
        }

    @property
    def knows_samples(self) -> bool:
        """Whether every variant's samples per iteration are known (learning_curves.csv says them)."""
        return all(variant in self.folder.samples_per_iteration for variant in self.variants)

    @cached_property
    def sample_axis(self) -> tuple[float, str]:
        """What to divide samples by (iterations, when samples are unknown), and the axis' label."""
        if not self.knows_samples:
            return 1.0, "iterations"
        ends = [
            iterations * self.folder.samples_per_iteration[variant] for variant, iterations in self._last_iterations()
        ]
        for size, word in ((1e9, "billions"), (1e6, "millions"), (1e3, "thousands")):
            if max(ends) >= 2 * size:
                return size, f"{word} of {self.folder.unit}"
        return 1.0, self.folder.unit

    def _last_iterations(self) -> list[tuple[str, int]]:
        ends = [(run.variant, int(table.index[-1])) for run, table in self.scalars.items()]
        played = zip(self.rates["variant"], self.rates["iteration"], strict=True) if self.episodes else ()
        return ends + [(str(variant), int(iteration)) for variant, iteration in played]

    def to_axis(self, variant: str, iterations: np.ndarray) -> np.ndarray:
        """Iterations as values on the axis of samples."""
        factor = self.folder.samples_per_iteration[variant] if self.knows_samples else 1
        return np.asarray(iterations) * (factor / self.sample_axis[0])

    @cached_property
    def block(self) -> int:
        """How many successive iterations make one point of a drawn curve."""
        longest = max((table.index[-1] for table in self.scalars.values()), default=1)
        return max(1, math.ceil(longest / POINTS))

    def tags(self, prefix: str) -> list[str]:
        """The tags beginning with `prefix` that some run logged, in the order of the files."""
        found = dict.fromkeys(
            tag
            for table in self.scalars.values()
            for tag in table.columns
            if tag.startswith(prefix) and table[tag].notna().any()
        )
        return list(found)

    def runs_with(self, variant: str, tag: str) -> list[Run]:
        """The runs of a variant that logged a tag at least once."""
        return [
            run
            for run, table in self.scalars.items()
            if run.variant == variant and tag in table and np.isfinite(table[tag]).any()
        ]

    def curve_by_samples(self, variant: str, tag: str) -> Curve | None:
        """A tag against samples, or None when no run of the variant has it."""
        runs = self.runs_with(variant, tag)
        if not runs:
            return None
        length = max(self.scalars[run].index[-1] for run in runs)
        values = np.stack([self.scalars[run][tag].reindex(range(1, length + 1)).to_numpy(np.float64) for run in runs])
        values = block_means(values, self.block)
        x = self.to_axis(variant, block_means(np.arange(1.0, length + 1)[None], self.block)[0])
        counts = np.stack([self._episodes_ended(run, length) for run in runs])
        # A point that stands for several iterations has the episodes of all of them.
        return self._curve(tag, [x] * len(runs), list(values), x, values, self.block * block_means(counts, self.block))

    def _episodes_ended(self, run: Run, length: int) -> np.ndarray:
        """How many episodes ended in each iteration of a run; NaN where it does not say."""
        table = self.scalars[run]
        column = table[ENDED] if ENDED in table else pd.Series(np.nan, table.index)
        return column.reindex(range(1, length + 1)).to_numpy(np.float64)

    def curve_by_wall_clock(self, variant: str, tag: str) -> Curve | None:
        """A tag against hours in training, or None when no run of the variant has it and its clock.

        The seeds' curves are interpolated to common times, up to the end of the fastest seed, for mean and
        interval.
        """
        x, seeds, counts = [], [], []
        for run in self.runs_with(variant, tag):
            hours = self.hours(run)
            if hours is not None:
                values = self.scalars[run][tag].to_numpy(np.float64)
                x.append(block_means(hours[None], self.block)[0])
                seeds.append(block_means(values[None], self.block)[0])
                ended = self._episodes_ended(run, len(hours))
                counts.append(self.block * block_means(ended[None], self.block)[0])
        if not seeds:
            return None
        spans = [own[np.isfinite(y)][[0, -1]] for own, y in zip(x, seeds, strict=True)]
        start, end = max(span[0] for span in spans), min(span[1] for span in spans)
        grid = np.linspace(start, end, POINTS) if end > start else np.array([])
        common = np.stack(
            [np.interp(grid, own[np.isfinite(y)], y[np.isfinite(y)]) for own, y in zip(x, seeds, strict=True)]
        )
        ended = np.stack([np.interp(grid, own, count) for own, count in zip(x, counts, strict=True)])
        return self._curve(tag, x, seeds, grid, common, ended)

    def _curve(
        self,
        tag: str,
        x: list[np.ndarray],
        seeds: list[np.ndarray],
        band_x: np.ndarray,
        values: np.ndarray,
        episodes: np.ndarray,
    ) -> Curve:
        shared = np.isfinite(values).all(axis=0)
        mean, low, high = self._interval(tag, values[:, shared], episodes[:, shared])
        return Curve(x, seeds, band_x[shared], np.asarray(mean), np.asarray(low), np.asarray(high))

    def _interval(self, tag: str, values: np.ndarray, episodes: np.ndarray) -> statistics.Interval:
        """Mean and band of curves (seeds, points)."""
        band = self.band_of(tag)
        if band == "simultaneous":
            return statistics.simultaneous_band(values)
        if band == "pointwise":
            is_rate = tag == self.folder.tags.success
            return band_of_rates(values, episodes) if is_rate else statistics.pointwise_band(values)
        mean, error, _ = statistics.mean_and_error(values)
        if band == "standard-error":
            return statistics.Interval(mean, mean - error, mean + error)
        if band == "range" and len(values) > 1 and values.size:
            return statistics.Interval(mean, values.min(axis=0), values.max(axis=0))
        return statistics.Interval(mean, *np.full((2, mean.size), np.nan))

    def hours(self, run: Run) -> np.ndarray | None:
        """Hours of collection and learning up to each iteration of a run; None when it has no clock."""
        table = self.scalars.get(run)
        parts = ["Perf/collection_time", "Perf/learning_time"]
        if table is None or not all(part in table and table[part].notna().any() for part in parts):
            return None
        # An iteration that a reader lost takes as long as the one before it.
        return table[parts].ffill().bfill().sum(axis=1).cumsum().to_numpy() / 3600


def _with_new_names(table: pd.DataFrame) -> pd.DataFrame:
    return table.rename(columns={old: new for new, old in OLD_NAMES.items() if new not in table.columns})


def block_means(values: np.ndarray, size: int) -> np.ndarray:
    """Means of `size` successive columns, NaN left out; the last block may be shorter.

    Args:
        values: (rows, columns).
        size: columns per block.

    Returns:
        (rows, ceil(columns / size)); NaN where a whole block is NaN.
    """
    rows, columns = values.shape
    size = max(1, min(size, columns))
    padded = np.full((rows, math.ceil(columns / size) * size), np.nan)
    padded[:, :columns] = np.where(np.isfinite(values), values, np.nan)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # "Mean of empty slice" is the NaN we want.
        return np.nanmean(padded.reshape(rows, -1, size), axis=2)
