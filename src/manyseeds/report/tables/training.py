"""Success and return in training, of runs whose checkpoints are not evaluated here: those of other trainers."""

import math

import numpy as np
import pandas as pd

from manyseeds.analysis.comparison import COLUMNS, comparisons
from manyseeds.analysis.rates import at_the_end, over_seeds
from manyseeds.analysis.results import Experiment, Run, read_scalars
from manyseeds.core.errors import UserError
from manyseeds.report.tables.text import Grid, count_of, difference, with_interval

SHARE = 0.1
"""A run's number is the mean over this last share of its iterations."""
OUTCOMES = ("success", "return")


def training_rates(experiment: Experiment) -> pd.DataFrame:
    """Success and return of every run at the end of its training.

    Args:
        experiment: the runs, and which of their scalars are meant.

    Returns:
        One row per variant and seed: `iteration` (how many the run completed), `samples` (environment steps until then,
        missing when unknown), `averaged` (over how many last iterations), `success` (0 to 1; missing where the
        trainer names none or the run logged none) and `return`.

    Raises:
        UserError: when no run has scalars, one is malformed, or a success rate is not between 0 and 1.
    """
    rows = [_rates_of_run(experiment, run) for run in experiment.runs if run.scalars.is_file()]
    if not rows:
        raise UserError(f"{experiment.folder}: no run has a scalars.csv; export the event files first")
    return pd.DataFrame(rows).astype({"samples": "Int64", "success": float, "return": float})


def _rates_of_run(experiment: Experiment, run: Run) -> dict[str, object]:
    table = read_scalars(run)
    last = int(table.index[-1])
    averaged = max(1, math.ceil(SHARE * len(table)))
    per_iteration = experiment.samples_per_iteration.get(run.variant)
    means = {
        outcome: _mean(table[tag].iloc[-averaged:]) if tag in table else math.nan
        for outcome, tag in _tags(experiment).items()
    }
    if not math.isnan(means["success"]) and not 0 <= means["success"] <= 1:
        raise UserError(
            f"{run.scalars}: {experiment.scalars.success}, which trainer.scalars.success names, is"
            f" {means['success']:.6g} at the end; a success rate is from 0 to 1"
        )
    samples = pd.NA if per_iteration is None else last * per_iteration
    return {
        "variant": run.variant,
        "seed": run.seed,
        "iteration": last,
        "samples": samples,
        "averaged": averaged,
    } | means


def _tags(experiment: Experiment) -> dict[str, str]:
    return dict(zip(OUTCOMES, (experiment.scalars.success, experiment.scalars.reward), strict=True))


def _mean(values: pd.Series) -> float:
    finite = values[np.isfinite(values)]
    return float(finite.mean()) if len(finite) else math.nan


def training_rates_over_seeds(rates: pd.DataFrame) -> pd.DataFrame:
    """The same over seeds.

    Args:
        rates: what `training_rates` gives.

    Returns:
        One row per variant and iteration: `samples`, `seeds` (how many), and for `success` and `return` the columns
        `_mean`, `_low`, `_high`, `_iqm`, `_iqm_low`, `_iqm_high`, `_min`, `_max` as in
        `manyseeds.analysis.rates.success_rates_over_seeds`; missing where a seed has no number.
    """
    rows = []
    for (variant, iteration), group in rates.groupby(["variant", "iteration"], sort=False):
        row: dict[str, object] = {
            "variant": variant,
            "iteration": iteration,
            "samples": group["samples"].iloc[0],
            "seeds": len(group),
        }
        for outcome, bounds in zip(OUTCOMES, ((0.0, 1.0), (-math.inf, math.inf)), strict=True):
            numbers = over_seeds(group[outcome].to_numpy(float), bounds)
            row |= {f"{outcome}_{name}": value for name, value in numbers.items()}
        rows.append(row)
    return pd.DataFrame(rows)


def compared_in_training(rates: pd.DataFrame) -> pd.DataFrame:
    """Every two variants compared, as `manyseeds.analysis.comparison.compared` does; outcomes `success`, `return`."""
    rows: list[dict[str, object]] = []
    for outcome in OUTCOMES:
        groups = at_the_end(rates).groupby("variant", sort=False)[outcome]
        values = {str(variant): group.to_numpy(float) for variant, group in groups}
        if not any(np.isnan(own).any() for own in values.values()):
            rows += comparisons(outcome, values)
    return pd.DataFrame(rows, columns=list(COLUMNS)).astype({"seeds_needed": "Int64"})


def training_grid(experiment: Experiment, rates: pd.DataFrame, seeds: pd.DataFrame) -> Grid:
    """A row per seed and rows over seeds, of each variant.

    Args:
        experiment: the runs.
        rates: what `training_rates` gives.
        seeds: what `training_rates_over_seeds` gives.
    """
    shown = [outcome for outcome in OUTCOMES if rates[outcome].notna().any()]
    rows: list[tuple[str, ...]] = []
    final, final_over_seeds = at_the_end(rates), at_the_end(seeds)
    for variant in experiment.variants:
        own = final[final["variant"] == variant]
        if own.empty:
            continue
        rows += [
            (variant, str(row["seed"]), str(row["iteration"]), *(_number(outcome, row[outcome]) for outcome in shown))
            for _, row in own.iterrows()
        ]
        rows += _over_seeds_rows(final_over_seeds[final_over_seeds["variant"] == variant].iloc[0], shown)
    titles = {"success": "Success in training (%)", "return": "Return in training"}
    return Grid(
        ("Variant", "Seed", "Iteration", *(titles[outcome] for outcome in shown)),
        "llr" + "l" * len(shown),
        tuple(rows),
        tuple(row[1].startswith("mean") for row in rows),
        tuple(_notes(experiment, rates)),
    )


def compared_in_training_grid(table: pd.DataFrame) -> Grid:
    """A row per pair of variants, from `compared_in_training`."""
    outcomes = {
        str(outcome): [row for _, row in own.iterrows()] for outcome, own in table.groupby("outcome", sort=False)
    }
    rows = []
    for pair in zip(*outcomes.values(), strict=True):
        cells = [str(pair[0]["a"]), str(pair[0]["b"])]
        for outcome, row in zip(outcomes, pair, strict=True):
            gap, p, _ = difference(row)
            if outcome == "return":
                gap = _interval(row["difference"], row["low"], row["high"])
            cells += [gap, p]
        rows.append(tuple(cells))
    titles = {"success": "Success, A - B (points)", "return": "Return, A - B"}
    return Grid(
        ("A", "B", *(title for outcome in outcomes for title in (titles[outcome], "p"))),
        "ll" + "lr" * len(outcomes),
        tuple(rows),
        (False,) * len(rows),
        (
            "Difference: mean of A minus that of B in training, with Welch's 95 % interval over seeds. p: of no "
            "difference, corrected for all comparisons of its column (Holm).",
        ),
    )


def _notes(experiment: Experiment, rates: pd.DataFrame) -> list[str]:
    tags, trainer = _tags(experiment), experiment.trainer
    notes = [
        f"Training, not an evaluation: these are numbers that the trainer {trainer} logged with its exploring policy; "
        "its checkpoints are not evaluated here."
    ]
    if not tags["success"]:
        notes.append(f"Success is left out: no scalar of {trainer} is named as one (trainer.scalars.success).")
    for outcome, tag in tags.items():
        missing = rates[rates[outcome].isna()] if tag else rates[:0]
        if len(missing) == len(rates):
            notes.append(f"{outcome.capitalize()} is left out: no run logged {tag} at its end.")
        elif tag:
            notes.append(f"{outcome.capitalize()}: {tag}.")
        if 0 < len(missing) < len(rates):
            runs = ", ".join(f"{row['variant']} seed {row['seed']}" for _, row in missing.iterrows())
            notes.append(f"{tag} was not logged at the end of {runs}.")
    last = " or ".join(map(str, sorted(set(rates["averaged"]))))
    notes.append(
        f"Row of a seed: mean over the last tenth of its iterations ({last}). Mean: mean of the seeds' numbers, with "
        "the 95 % t interval over seeds. IQM: their interquartile mean, with the 95 % bootstrap interval over seeds. "
        "No interval is given for one seed, or where all seeds have the same number."
    )
    for variant in experiment.variants:
        own = at_the_end(rates)
        notes.append(f"{variant}: {count_of(int((own['variant'] == variant).sum()))}.")
    return notes


def _over_seeds_rows(row: pd.Series, shown: list[str]) -> list[tuple[str, ...]]:
    def cells(center: str, prefix: str) -> list[str]:
        columns = [(f"{outcome}_{center}", f"{outcome}_{prefix}low", f"{outcome}_{prefix}high") for outcome in shown]
        return [
            _number(outcome, *(float(row[name]) for name in names))
            for outcome, names in zip(shown, columns, strict=True)
        ]

    start = (str(row["variant"]), str(row["iteration"]))
    rows: list[tuple[str, ...]] = [(start[0], f"mean, {count_of(int(row['seeds']))}", start[1], *cells("mean", ""))]
    if row["seeds"] > 1:
        extremes = [f"{_number(o, row[f'{o}_min'])} to {_number(o, row[f'{o}_max'])}" for o in shown]
        rows.append((start[0], f"IQM, {count_of(int(row['seeds']))}", start[1], *cells("iqm", "iqm_")))
        rows.append((start[0], "min to max", start[1], *extremes))
    return rows


def _number(outcome: str, value: float, low: float = math.nan, high: float = math.nan) -> str:
    if math.isnan(value):
        return ""
    return with_interval(value, low, high, 1) if outcome == "success" else _interval(value, low, high)


def _interval(value: float, low: float, high: float) -> str:
    text = f"{value:.4g}"
    return text if pd.isna(low) or pd.isna(high) else f"{text} [{low:.4g}, {high:.4g}]"
