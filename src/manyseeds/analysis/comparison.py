"""Every two variants compared at their last checkpoints."""

from collections.abc import Mapping
from dataclasses import asdict

import numpy as np
import pandas as pd

from manyseeds import statistics
from manyseeds.analysis.rates import column
from manyseeds.analysis.results import ResultsFolder, Run, same_episodes
from manyseeds.core.description import Outcome

COLUMNS = (
    "outcome",
    "a",
    "b",
    "difference",
    "low",
    "high",
    "p",
    "p_corrected",
    "improvement",
    "improvement_low",
    "improvement_high",
    "episode_error",
    "seeds_a",
    "seeds_b",
    "seeds_needed",
)


def comparisons(folder: ResultsFolder, episodes: Mapping[Run, pd.DataFrame], final: pd.DataFrame) -> pd.DataFrame:
    """Differences of the seeds' rates between variants.

    Args:
        folder: the outcomes.
        episodes: the evaluation episodes of each run; empty for runs that are not evaluated.
        final: the rates at the last checkpoints, from `manyseeds.analysis.rates.at_the_end`.

    Returns:
        One row per compared outcome and pair of variants, `COLUMNS` as in `manyseeds.statistics.Comparison` and
        `manyseeds.statistics.seeds_needed`; no row for one variant. Limits and p are missing with one seed, and where
        they would have no width. An outcome that a seed has no number of is left out.
    """
    rows: list[dict[str, object]] = []
    for outcome in folder.compared:
        values = _values(folder, episodes, final, outcome)
        if not any(np.isnan(own).any() for own in values.values()):
            rows += _rows(outcome.name, values)
    return pd.DataFrame(rows, columns=list(COLUMNS)).astype({"seeds_needed": "Int64"})


def _rows(outcome: str, outcomes: dict[str, np.ndarray]) -> list[dict[str, object]]:
    """The rows of one outcome: of each variant (seeds, episodes), or one number per seed (seeds,)."""
    rows = []
    means = {variant: values.reshape(len(values), -1).mean(axis=1) for variant, values in outcomes.items()}
    for comparison in statistics.compare_all(outcomes):
        row: dict[str, object] = {"outcome": outcome, **asdict(comparison)}
        a, b = means[comparison.a], means[comparison.b]
        row["seeds_needed"] = statistics.seeds_needed(a, b) if min(len(a), len(b)) > 1 else None
        if np.ptp(a) == 0 and np.ptp(b) == 0:
            row |= dict.fromkeys(("low", "high", "p", "p_corrected", "seeds_needed"))
        # Where every seed of one beats every seed of the other, so does every resample.
        if comparison.improvement_low == comparison.improvement_high:
            row |= dict.fromkeys(("improvement_low", "improvement_high"))
        rows.append(row)
    return rows


def _values(
    folder: ResultsFolder, episodes: Mapping[Run, pd.DataFrame], final: pd.DataFrame, outcome: Outcome
) -> dict[str, np.ndarray]:
    """Of each variant (seeds, episodes) for a share whose episodes are the same in all variants, else (seeds,)."""
    starts = [start.name for start in folder.description.starts]
    tables: dict[str, list[pd.DataFrame]] = {}
    numbers: dict[str, np.ndarray] = {}
    for variant, rows in final.groupby("variant", sort=False):
        last, seeds = rows["iteration"].iloc[0], set(rows["seed"])
        numbers[str(variant)] = rows[column(outcome)].to_numpy(float)
        tables[str(variant)] = [
            table[table["iteration"] == last].set_index("episode")
            for run, table in episodes.items()
            if run.variant == variant and run.seed in seeds
        ]
    paired = episodes and outcome.kind == "share" and same_episodes(own[0][starts] for own in tables.values())
    if not paired:
        return numbers
    return {
        variant: np.stack([own[outcome.name].to_numpy(float) for own in seeds]) for variant, seeds in tables.items()
    }
