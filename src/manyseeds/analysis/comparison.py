"""Every two variants compared at their last checkpoints."""

from dataclasses import asdict

import numpy as np
import pandas as pd

from manyseeds import statistics
from manyseeds.analysis.results import START_COLUMNS, Run, same_episodes

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


def compared(episodes: dict[Run, pd.DataFrame], final: pd.DataFrame) -> pd.DataFrame:
    """Differences of the seeds' success rates between variants.

    Args:
        episodes: the evaluation episodes of each run.
        final: the rates at the last checkpoints, from `manyseeds.analysis.rates.at_the_end`.

    Returns:
        One row per outcome (`reached`, `held`) and pair of variants, `COLUMNS` as in
        `manyseeds.statistics.Comparison` and `manyseeds.statistics.seeds_needed`; no row for one variant. Limits and p
        are missing with one seed, and where they would have no width.
    """
    rows: list[dict[str, object]] = []
    for outcome in ("reached", "held"):
        rows += comparisons(outcome, _outcomes(episodes, final, outcome))
    return pd.DataFrame(rows, columns=list(COLUMNS)).astype({"seeds_needed": "Int64"})


def comparisons(outcome: str, outcomes: dict[str, np.ndarray]) -> list[dict[str, object]]:
    """Return the rows of one outcome: of each variant (seeds, episodes), or one number per seed (seeds,)."""
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


def _outcomes(episodes: dict[Run, pd.DataFrame], final: pd.DataFrame, outcome: str) -> dict[str, np.ndarray]:
    """Outcomes (seeds, episodes) of each variant, or rates (seeds,) where variants met different episodes."""
    last = final.groupby("variant", sort=False)["iteration"].first()
    tables: dict[str, list[pd.DataFrame]] = {str(variant): [] for variant in last.index}
    for run, table in episodes.items():
        own = table[table["iteration"] == last[run.variant]].set_index("episode")
        if len(own):
            tables[run.variant].append(own)
    first = next(iter(tables.values()))[0]
    paired = all(same_episodes(own[0][START_COLUMNS], first) for own in tables.values())
    values = {variant: np.stack([own[outcome].to_numpy(float) for own in seeds]) for variant, seeds in tables.items()}
    return values if paired else {variant: shares.mean(axis=1) for variant, shares in values.items()}
