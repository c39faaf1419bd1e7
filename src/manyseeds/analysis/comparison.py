"""Every two variants compared, by the reported numbers of their seeds."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict

import numpy as np
import pandas as pd

from manyseeds import statistics
from manyseeds.analysis.estimates import Failure, final_rates, last_outcomes
from manyseeds.analysis.rates import column
from manyseeds.analysis.results import ResultsFolder, Run, same_episodes
from manyseeds.core.description import Outcome

COLUMNS = (
    "outcome",
    "a",
    "b",
    "iteration",
    "difference",
    "low",
    "high",
    "p",
    "p_corrected",
    "improvement",
    "improvement_low",
    "improvement_high",
    "detectable",
    "seeds_for_smallest",
    "exact_p",
    "episode_error",
    "widening",
    "look",
    "spent",
    "shown",
    "seeds_a",
    "seeds_b",
)


def comparisons(
    folder: ResultsFolder,
    episodes: Mapping[Run, pd.DataFrame],
    rates: pd.DataFrame,
    final: pd.DataFrame,
    failed: Sequence[Failure] = (),
) -> pd.DataFrame:
    """Differences of the seeds' rates between variants.

    Where a race stopped a variant, a pair is compared at the last checkpoint that both have.

    Args:
        folder: the outcomes, and what config.json says of the smallest difference and of looks.
        episodes: the evaluation episodes of each run; empty for runs that are not evaluated.
        rates: of every checkpoint.
        final: of each seed, from `manyseeds.analysis.estimates.final_rates`.
        failed: the runs that count as zero in `final`.

    Returns:
        One row per compared outcome and pair of variants, or each variant and the baseline where config.json names one:
        `COLUMNS` as in `manyseeds.statistics.Comparison`; `iteration` of the checkpoints that are compared, missing
        where it is each variant's last; `seeds_for_smallest` from `manyseeds.statistics.seeds_for_difference`; `look`,
        `spent` and `shown` (0 or 1) of the last planned look so far. No row for one variant. What cannot be computed is
        missing. An outcome that a seed has no number of is left out.
    """
    variants = [str(variant) for variant in dict.fromkeys(final["variant"])]
    pairs = statistics.pairs_of(variants, folder.baseline if folder.baseline in variants else None)
    ends = rates.groupby("variant")["iteration"].max()
    common = {pair: int(ends[list(pair)].min()) if folder.stopped else None for pair in pairs}
    rows: list[dict[str, object]] = []
    for outcome in folder.compared:
        found: dict[tuple[str, str], dict[str, object]] = {}
        for at in dict.fromkeys(common.values()):
            until, numbers = rates, final
            if at is not None:
                until = rates[(rates["iteration"] <= at) & (rates["variant"].map(ends) >= at)]
                numbers = final_rates(folder, until, failed=failed)
            chosen = [pair for pair in pairs if common[pair] == at]
            found |= _rows(folder, episodes, until, numbers, outcome, chosen, len(pairs))
        rows += [found[pair] | {"iteration": common[pair]} for pair in pairs if pair in found]
    whole = {"iteration": "Int64", "look": "Int64", "shown": "Int64", "seeds_for_smallest": "Int64"}
    return pd.DataFrame(rows, columns=list(COLUMNS)).astype(whole)


def _rows(
    folder: ResultsFolder,
    episodes: Mapping[Run, pd.DataFrame],
    rates: pd.DataFrame,
    final: pd.DataFrame,
    outcome: Outcome,
    pairs: Sequence[tuple[str, str]],
    comparisons: int,
) -> dict[tuple[str, str], dict[str, object]]:
    """The rows of one outcome, of these pairs of all that are compared together."""
    scores = {
        str(variant): own.sort_values("seed")[column(outcome)].to_numpy(float)
        for variant, own in final.groupby("variant", sort=False)
    }
    if any(np.isnan(own).any() for own in scores.values()):
        return {}
    values = _with_episodes(folder, episodes, rates, final, outcome) or scores
    rows: dict[tuple[str, str], dict[str, object]] = {}
    for names in pairs:
        a, b = (scores[name] for name in names)
        pair = statistics.compare(
            values[names[0]],
            values[names[1]],
            names=names,
            rates=outcome.kind == "share",
            episodes=_episodes_of(final) if outcome.kind == "share" else None,
            comparisons=comparisons,
        )
        row: dict[str, object] = {"outcome": outcome.name, **asdict(pair)}
        smallest = folder.evaluate.smallest_difference if outcome == folder.compared[0] else None
        if smallest is not None and min(len(a), len(b)) > 1:
            row["seeds_for_smallest"] = statistics.seeds_for_difference(a, b, smallest, comparisons=comparisons)
        if folder.evaluate.looks:
            looks = statistics.sequential_test(a, b, folder.evaluate.looks, comparisons=comparisons)
            if looks:
                row |= {"look": looks[-1].seeds, "spent": looks[-1].spent, "shown": int(looks[-1].rejected)}
        rows[names] = {name: None if isinstance(v, float) and math.isnan(v) else v for name, v in row.items()}
    return rows


def _episodes_of(final: pd.DataFrame) -> int | None:
    return int(final["episodes"].min()) if "episodes" in final else None


def _with_episodes(
    folder: ResultsFolder,
    episodes: Mapping[Run, pd.DataFrame],
    rates: pd.DataFrame,
    final: pd.DataFrame,
    outcome: Outcome,
) -> dict[str, np.ndarray] | None:
    """Of each variant (seeds, episodes), if all variants met the same episodes; None where they did not."""
    if not episodes or outcome.kind != "share" or folder.evaluate.checkpoints > 1:
        return None
    starts = [start.name for start in folder.description.starts]
    variants = [str(variant) for variant in dict.fromkeys(final["variant"])]
    first = {variant: next(table for run, table in episodes.items() if run.variant == variant) for variant in variants}
    last = [own[own["iteration"] == own["iteration"].max()].set_index("episode")[starts] for own in first.values()]
    if not same_episodes(last):
        return None
    found = {}
    for variant in variants:
        table = last_outcomes(folder, episodes, rates, variant, outcome)
        if table is None:
            return None
        zeros = int((final["variant"] == variant).sum()) - len(table)  # failed runs that count as zero
        found[variant] = np.vstack([table, np.zeros((zeros, table.shape[1]))])
    return found
