"""Variants over several experiments, such as one for each task: scores, their mean, and differences to the baseline.

The score of a run is the first success rate of its task, from 0 (none of the episodes) to 1 (all of them), as the
experiment reports it: at its last checkpoint, by the estimate that its config fixes.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import pandas as pd

from manyseeds import statistics
from manyseeds.analysis.data import Data
from manyseeds.analysis.estimates import last_outcomes
from manyseeds.analysis.results import find_results
from manyseeds.core.description import Outcome
from manyseeds.core.errors import UserError
from manyseeds.core.files import read_object
from manyseeds.core.layout import BENCHMARK
from manyseeds.statistics import RateMoments

ALL = "all tasks"
"""In the column `task`: the row over all of them. No folder of a benchmark has a space in its name."""
HELPS, HURTS, DOES_NOT_HELP, CANNOT_TELL = "helps", "hurts", "does not help", "cannot tell with these seeds"
COLUMNS = (
    "variant",
    "task",
    "success",
    "seeds",
    "mean",
    "low",
    "high",
    "iqm",
    "iqm_low",
    "iqm_high",
    "baseline",
    "difference",
    "difference_low",
    "difference_high",
    "improvement",
    "verdict",
)


@dataclass(frozen=True)
class Task:
    """One experiment of several.

    Attributes:
        name: its folder, as seen from theirs.
        data: its numbers.
    """

    name: str
    data: Data

    @property
    def success(self) -> Outcome:
        """What its score is the rate of."""
        return self.data.successes[0]

    @cached_property
    def scores(self) -> dict[str, pd.Series]:
        """The score of each seed, by variant; a variant without any is left out."""
        final = self.data.final
        own = {
            variant: rows.set_index("seed")[self.success.name].dropna()
            for variant, rows in final.groupby("variant", sort=False)
        }
        return {str(variant): scores for variant, scores in own.items() if len(scores)}

    def moments(self, variant: str, *, new_episodes: bool) -> RateMoments:
        """What the interval of the mean score of a variant is computed from.

        Args:
            variant: which.
            new_episodes: whether it is for new episodes too, where the single episodes are known.
        """
        data, extra = self.data, 0.0
        table = last_outcomes(data.folder, data.episodes, data.rates, variant, self.success) if new_episodes else None
        if table is not None and min(table.shape) > 1:
            extra = statistics.crossed(table).episode_variance
        rates = self.scores[variant].to_numpy(float)
        return statistics.rate_moments(rates, self.episodes, extra_variance=extra)

    @property
    def episodes(self) -> int | None:
        """How many episodes a score is of; None where nobody knows."""
        return int(self.data.final["episodes"].min()) if "episodes" in self.data.final else None

    def episode_variance(self, a: str, b: str) -> float:
        """What new episodes would add to the variance of the difference of two variants, as far as it is known."""
        table = self.data.comparisons
        rows = table[(table["outcome"] == self.success.name) & table["a"].isin((a, b)) & table["b"].isin((a, b))]
        errors = rows["episode_error"].dropna()
        return float(errors.iloc[0]) ** 2 if len(errors) else 0.0


@dataclass(frozen=True)
class OverTasks:
    """Several experiments, in the order in which tables and figures show them.

    Attributes:
        folder: the folder that holds theirs.
        tasks: those with results.
        absent: names of experiments of the benchmark that left no results.
    """

    folder: Path
    tasks: tuple[Task, ...]
    absent: tuple[str, ...] = ()

    @property
    def problem(self) -> str:
        """Why there is nothing over tasks, as a sentence; "" where there is."""
        if len(self.tasks) < 2:
            return f"{self.folder}: only {self.tasks[0].name} has results; a table over tasks needs two experiments"
        for task in self.tasks:
            if not task.data.successes:
                return (
                    f"{task.data.folder.folder}: no outcome of its task is a success rate (a share of which more is"
                    " better), so its runs have no score from 0 to 1; give its task such an outcome, or leave the"
                    " experiment out"
                )
        if not self.variants:
            return f"{self.folder}: the experiments have no variant in common; each must have the same ones"
        return ""

    @cached_property
    def variants(self) -> list[str]:
        """The variants that every experiment names and at least one has runs of."""
        found = list(dict.fromkeys(variant for task in self.tasks for variant in task.scores))
        return [
            variant
            for variant in found
            if all(
                variant in task.scores or variant in {name for name, _ in task.data.folder.missing}
                for task in self.tasks
            )
        ]

    @property
    def baseline(self) -> str | None:
        """The variant that the others are compared with: the config's, or the first; None for one variant."""
        named = self.tasks[0].data.folder.baseline
        return None if len(self.variants) < 2 else named if named in self.variants else self.variants[0]

    def label(self, variant: str) -> str:
        """What tables and figures call a variant."""
        return self.tasks[0].data.label(variant)

    @property
    def smallest_difference(self) -> float | None:
        """The smallest difference that matters, where all experiments name the same one."""
        named = {task.data.folder.evaluate.smallest_difference for task in self.tasks}
        return named.pop() if len(named) == 1 else None

    @cached_property
    def table(self) -> pd.DataFrame:
        """A row per variant and task, and one per variant over all tasks.

        Columns are `COLUMNS`: scores as shares; the interquartile mean of all runs from
        `manyseeds.statistics.LEAST_IQM` seeds of each task on; the difference to the baseline, whose intervals hold
        together for all variants of a task; the probability that a seed beats one of the baseline; and the verdict over
        all tasks. What cannot be computed is missing, and so is all over tasks where one has no run of a variant.
        """
        rows = [row for variant in self.variants for row in self._rows(variant)]
        return pd.DataFrame(rows, columns=list(COLUMNS))

    def _rows(self, variant: str) -> list[dict[str, object]]:
        rows = [self._row(variant, task.name, [task]) for task in self.tasks]
        everywhere = not self.absent and all(variant in task.scores for task in self.tasks)
        return [*rows, self._row(variant, ALL, list(self.tasks) if everywhere else [])]

    def _row(self, variant: str, name: str, tasks: Sequence[Task]) -> dict[str, object]:
        """One row, over these tasks; where one of them has no run of the variant it has no numbers."""
        row: dict[str, object] = {"variant": variant, "task": name, "seeds": 0, "baseline": self.baseline}
        if name != ALL:
            row["success"] = tasks[0].success.name
        scores = [task.scores.get(variant, pd.Series(dtype=float)).to_numpy(float) for task in tasks]
        if not tasks or not all(map(len, scores)):
            return row
        row["seeds"] = sum(map(len, scores))
        moments = [task.moments(variant, new_episodes=True) for task in tasks]
        _put(row, ("mean", "low", "high"), statistics.mean_over_tasks(moments))
        if min(map(len, scores)) >= statistics.LEAST_IQM:
            by_task = dict(zip((task.name for task in tasks), scores, strict=True))
            _put(row, ("iqm", "iqm_low", "iqm_high"), statistics.iqm_over_tasks(by_task))
        base = self.baseline
        if base is None or base == variant or not all(base in task.scores for task in tasks):
            return row
        difference = statistics.difference_over_tasks(
            [task.moments(variant, new_episodes=False) for task in tasks],
            [task.moments(base, new_episodes=False) for task in tasks],
            sum(task.episode_variance(variant, base) for task in tasks) / len(tasks) ** 2,
            comparisons=len(self.variants) - 1,
        )
        pairs = [(own, task.scores[base].to_numpy(float)) for own, task in zip(scores, tasks, strict=True)]
        _put(row, ("difference", "difference_low", "difference_high"), difference)
        row["improvement"] = statistics.improvement_over_tasks(pairs)
        if name == ALL:
            row["verdict"] = verdict(difference, self.smallest_difference)
        return row


def verdict(difference: statistics.Interval, smallest: float | None) -> str | None:
    """Say in words what the interval of a difference to the baseline shows; None without an interval.

    Args:
        difference: with its limits.
        smallest: the smallest difference that matters, if one was fixed.
    """
    if math.isnan(difference.low):
        return None
    if difference.low > 0:
        return HELPS
    if difference.high < 0:
        return HURTS
    return DOES_NOT_HELP if smallest is not None and difference.high < smallest else CANNOT_TELL


def _put(row: dict[str, object], names: tuple[str, str, str], interval: statistics.Interval) -> None:
    row.update(zip(names, map(float, interval), strict=True))


def over_tasks(folder: Path, experiments: Mapping[Path, Data]) -> OverTasks:
    """Put experiments together.

    Args:
        folder: holds their folders, and benchmark.json if they are a benchmark's.
        experiments: at least one, by folder.

    Raises:
        UserError: when benchmark.json is damaged.
    """
    tasks = {
        path.relative_to(folder).as_posix(): Task(path.relative_to(folder).as_posix(), data)
        for path, data in experiments.items()
    }
    names = list(tasks)
    if (folder / BENCHMARK).is_file():
        content = read_object(folder / BENCHMARK, str(folder / BENCHMARK))
        names = content.get("experiments", [])
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            raise UserError(f"{folder / BENCHMARK}: experiments must be a list of names; run the benchmark again")
    found = tuple(tasks[name] for name in names if name in tasks)
    return OverTasks(folder, found or tuple(tasks.values()), tuple(name for name in names if name not in tasks))


def read_over_tasks(folder: Path) -> OverTasks:
    """Read the experiments in a folder.

    Raises:
        UserError: when there are none, or nothing can be said over them.
    """
    found = over_tasks(folder, {own.folder: Data(own) for own in find_results(folder)})
    if found.problem:
        raise UserError(found.problem)
    return found
