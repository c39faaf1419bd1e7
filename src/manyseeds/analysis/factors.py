"""How success falls when numbers of the task change: what the `factors.csv` of the seeds say together."""

import json
import math
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from manyseeds import statistics
from manyseeds.analysis.estimates import Failure
from manyseeds.analysis.rates import Sample, column, mean_of
from manyseeds.analysis.results import ResultsFolder, Run, read_csv
from manyseeds.config.conditions import ALL, NOMINAL, conditions, level_text
from manyseeds.core.description import Outcome
from manyseeds.core.errors import UserError
from manyseeds.statistics import Interval

KEYS = ("condition", "factor", "value")


def read_factors(run: Run, outcomes: Sequence[Outcome]) -> pd.DataFrame:
    """Read how a run's last checkpoint did under each condition.

    Args:
        run: the run.
        outcomes: which columns there must be.

    Returns:
        The rows of its factors.csv in their order: the nominal condition first, `value` as JSON text.

    Raises:
        UserError: when a column is missing, the nominal row is not the first, a condition appears twice, or a number is
            not possible.
    """
    path = run.factors
    table = read_csv(path, dtype=dict.fromkeys(KEYS, str))
    numbers = ["iteration", "episodes", *map(column, outcomes)]
    if missing := [name for name in (*KEYS, *numbers) if name not in table]:
        raise UserError(f"{path}: column {missing[0]!r} is missing; expected {', '.join((*KEYS, *numbers))}")
    table[list(KEYS)] = table[list(KEYS)].fillna("")
    if list(table["condition"][:1]) != [NOMINAL] or table["condition"].duplicated().any():
        raise UserError(f"{path}: the first row must be of the condition {NOMINAL}, and each condition has one row")
    for name in numbers:
        if not pd.api.types.is_numeric_dtype(table[name]):
            raise UserError(f"{path}: column {name!r} holds something that is not a number")
    for share in (outcome.name for outcome in outcomes if outcome.kind == "share"):
        if not table[share].between(0, table["episodes"]).all():
            raise UserError(f"{path}: column {share!r} counts episodes; each number must be from 0 to those played")
    return table


def factor_rates(
    folder: ResultsFolder, final: pd.DataFrame, failed: Sequence[Failure]
) -> tuple[pd.DataFrame, list[Failure]]:
    """Rates of every reported seed under each condition.

    Args:
        folder: the runs and their outcomes.
        final: the reported numbers of each seed, from `manyseeds.analysis.estimates.final_rates`.
        failed: the runs in `final` that count as zero.

    Returns:
        One row per variant, seed and condition: `KEYS`, `iteration`, `episodes`, and by outcome `<share>` (from 0 to 1)
        or `<measure>_mean`; and the seeds without such rows, with the reason.
    """
    runs = {(run.variant, run.seed): run for run in folder.runs}
    zeros = {(failure.variant, failure.seed) for failure in failed}
    found: dict[tuple[str, int], pd.DataFrame] = {}
    left_out: list[Failure] = []
    reported = {
        (str(variant), int(seed)): int(iteration)
        for variant, seed, iteration in zip(final["variant"], final["seed"], final["iteration"], strict=True)
    }
    wanted = [own.name for own in conditions(folder.evaluate.factors)] if folder.evaluate.factors else None
    episodes = None
    for key in (key for key in reported if key not in zeros):
        run = runs[key]
        if not run.factors.is_file():
            left_out.append(Failure(*key, f"it has no {run.factors.name}"))
            continue
        table = read_factors(run, folder.outcomes)
        if (table["iteration"] != reported[key]).any():
            left_out.append(Failure(*key, f"its {run.factors.name} is of another checkpoint"))
            continue
        wanted = wanted or list(table["condition"])
        episodes = episodes or int(table["episodes"].iloc[0])
        if list(table["condition"]) != wanted or (table["episodes"] != episodes).any():
            left_out.append(Failure(*key, f"its {run.factors.name} has other conditions or episodes"))
            continue
        shares = [outcome.name for outcome in folder.outcomes if outcome.kind == "share"]
        found[key] = table.assign(**{name: table[name] / table["episodes"] for name in shares})
    rows = []
    for variant, seed in reported:
        own = [table for (name, _), table in found.items() if name == variant]
        if (variant, seed) in found:
            table = found[variant, seed]
        elif (variant, seed) in zeros and own:
            unknown = {column(o): math.nan for o in folder.outcomes} | {o.name: 0.0 for o in folder.successes}
            table = own[0].assign(**unknown)
        else:
            continue
        rows.append(table.assign(variant=variant, seed=seed))
    columns = ["variant", "seed", *KEYS, "iteration", "episodes", *map(column, folder.outcomes)]
    return pd.concat(rows, ignore_index=True)[columns] if rows else pd.DataFrame(columns=columns), left_out


def under_factors(folder: ResultsFolder, rates: pd.DataFrame) -> pd.DataFrame:
    """Statistics of the seeds' rates under each condition, and how much they differ from the nominal one.

    Args:
        folder: the outcomes.
        rates: what `factor_rates` gives.

    Returns:
        One row per variant and condition: `KEYS`, `iteration`, `seeds`, `episodes`; for each compared outcome
        `<outcome>_mean` with its limits `_low` and `_high` for new seeds on these episodes, `_min`, `_max`, and
        `_difference` to the nominal condition of the same seeds with `_difference_low` and `_difference_high`; for
        every other outcome its mean. Limits are missing where there are too few seeds, or none differs from another.
    """
    rows = []
    for variant, of_variant in rates.groupby("variant", sort=False):
        nominal = of_variant[of_variant["condition"] == NOMINAL]
        for _, own in of_variant.groupby("condition", sort=False):
            first = own.iloc[0]
            row: dict[str, object] = {
                "variant": variant,
                **{key: first[key] for key in KEYS},
                "iteration": first["iteration"],
                "seeds": len(own),
                "episodes": first["episodes"],
            }
            for outcome in folder.outcomes:
                if outcome not in folder.compared:
                    row[column(outcome)] = own[column(outcome)].mean()
                    continue
                numbers = {
                    "": mean_of(_sample(outcome, own)),
                    "_difference": _difference(outcome, own, nominal),
                }
                for ending, interval in numbers.items():
                    row |= _columns(f"{outcome.name}{ending}", interval, "_mean" if not ending else "")
                row |= {f"{outcome.name}_{end}": getattr(own[column(outcome)], end)() for end in ("min", "max")}
            rows.append(row)
    return pd.DataFrame(rows)


def spread_sentence(folder: ResultsFolder, rates: pd.DataFrame) -> str:
    """Name the variants and conditions whose intervals are too narrow, because their seeds differ too much; or ""."""
    wide: dict[str, list[str]] = {}
    for (variant, condition), own in rates.groupby(["variant", "condition"], sort=False):
        for outcome in folder.successes:
            numbers = own[outcome.name]
            if len(numbers) > 1 and numbers.std() > statistics.spread_limit(numbers.mean()):
                wide.setdefault(f"{folder.label(str(variant))}, {outcome.title}", []).append(str(condition))
    if not wide:
        return ""
    named = "; ".join(f"{name}: {', '.join(conditions)}" for name, conditions in wide.items())
    return (
        "Where the seeds differ by more than about their mean failure rate (or success rate, where that is less), "
        f"intervals cover less than 95 % (docs/coverage.md): {named}."
    )


def together(rates: pd.DataFrame) -> str:
    """Say which levels the condition `all` has; "" without it."""
    if ALL not in set(rates["condition"]):
        return ""
    levels: Mapping[str, str] = {
        factor: level_text(json.loads(value))
        for factor, value in zip(rates["factor"], rates["value"], strict=True)
        if factor
    }
    return ", ".join(f"{factor} = {level}" for factor, level in levels.items())


def _sample(outcome: Outcome, own: pd.DataFrame) -> Sample:
    return Sample(own[column(outcome)].to_numpy(float), outcome.kind == "share", int(own["episodes"].iloc[0]))


def _difference(outcome: Outcome, own: pd.DataFrame, nominal: pd.DataFrame) -> Interval:
    """The change from the nominal condition, without an interval for the nominal condition itself."""
    a, b = (table.sort_values("seed")[column(outcome)].to_numpy(float) for table in (own, nominal))
    few = len(a) < statistics.LEAST_PAIRED or own["condition"].iloc[0] == NOMINAL or np.isnan(a - b).any()
    if few:
        return Interval((a - b).mean(), math.nan, math.nan)
    if outcome.kind == "share":
        return statistics.paired_rate_difference(a, b, int(own["episodes"].iloc[0]))
    return statistics.t_interval(a - b)


def _columns(name: str, interval: Interval, ending: str) -> dict[str, float]:
    estimate, low, high = map(float, interval)
    low, high = (math.nan, math.nan) if low == high else (low, high)  # that seeds agree says nothing about others
    return {f"{name}{ending}": estimate, f"{name}_low": low, f"{name}_high": high}
