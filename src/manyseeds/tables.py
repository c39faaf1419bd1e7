"""Success rates per seed and over seeds, from the evaluation episodes of all runs of an experiment.

The seed is the unit: episodes are never pooled over seeds, and the last checkpoint is reported, never the
best.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from manyseeds import statistics
from manyseeds.errors import UserError
from manyseeds.files import write_atomic
from manyseeds.results import Experiment, Run, describe, find_experiments, read_episodes
from manyseeds.table_formats import FORMATS, FinalTable, final_table

# Which resamples of the seeds the bootstrap draws; fixed, so that a table repeated is the same to the byte.
BOOTSTRAP_SEED = 0


def success_rates(experiment: Experiment) -> pd.DataFrame:
    """Rates of every checkpoint of every run.

    Returns:
        One row per variant, seed and iteration: `samples` (environment steps in training until then, missing
        when unknown), `episodes`, the shares (0 to 1) `reached` and `held` with their Wilson 95 % limits,
        `dropped`, and means over the episodes: `first_reached_s_mean` (s, over the episodes that reached),
        `final_distance_mean` (m), `return_mean`.

    Raises:
        UserError: when no run was evaluated or an episodes.csv is malformed.
    """
    runs = [run for run in experiment.runs if run.episodes.is_file()]
    if not runs:
        raise UserError(f"{experiment.folder}: no run has an episodes.csv; evaluate the checkpoints first")
    return pd.concat([_rates_of_run(experiment, run) for run in runs], ignore_index=True)


def _rates_of_run(experiment: Experiment, run: Run) -> pd.DataFrame:
    groups = read_episodes(run).groupby("iteration")
    episodes = groups.size()
    per_iteration = experiment.samples_per_iteration.get(run.variant)
    columns: dict[str, object] = {
        "variant": run.variant,
        "seed": run.seed,
        "iteration": episodes.index,
        "samples": pd.array([pd.NA] * len(episodes), dtype="Int64")
        if per_iteration is None
        else (episodes.index * per_iteration).astype("Int64"),
        "episodes": episodes.to_numpy(),
    }
    for flag in ("reached", "held"):
        successes = groups[flag].sum().to_numpy()
        low, high = statistics.wilson(successes, episodes.to_numpy())
        columns |= {flag: successes / episodes.to_numpy(), f"{flag}_low": low, f"{flag}_high": high}
    columns["dropped"] = groups["dropped"].mean().to_numpy()
    for column in ("first_reached_s", "final_distance", "return"):
        columns[f"{column}_mean"] = groups[column].mean().to_numpy()
    return pd.DataFrame(columns)


def success_rates_over_seeds(rates: pd.DataFrame) -> pd.DataFrame:
    """Mean and interquartile mean of the seeds' rates at every checkpoint.

    Args:
        rates: what `success_rates` gives.

    Returns:
        One row per variant and iteration: `samples`, `seeds` (how many), and for `reached` and `held`:
        `_mean` with the 95 % t interval `_low`, `_high` cut to 0..1, `_iqm` with its bootstrap interval
        `_iqm_low`, `_iqm_high`, `_min`, `_max`; the means over seeds of the seeds' `dropped` and of the other
        means. An interval is missing with one seed, and where all seeds have the same rate: their spread,
        zero, says nothing about further seeds.
    """
    rows = []
    for (variant, iteration), group in rates.groupby(["variant", "iteration"], sort=False):
        row: dict[str, object] = {
            "variant": variant,
            "iteration": iteration,
            "samples": group["samples"].iloc[0],
            "seeds": len(group),
        }
        for flag in ("reached", "held"):
            row |= {f"{flag}_{name}": value for name, value in _over_seeds(group[flag].to_numpy()).items()}
        for column in ("dropped", "first_reached_s_mean", "final_distance_mean", "return_mean"):
            row[column] = group[column].mean()
        rows.append(row)
    table = pd.DataFrame(rows)
    order = {variant: place for place, variant in enumerate(dict.fromkeys(rates["variant"]))}
    return table.sort_values(
        ["variant", "iteration"],
        key=lambda column: column.map(order) if column.name == "variant" else column,
        ignore_index=True,
    )


def _over_seeds(shares: np.ndarray) -> dict[str, float]:
    mean, low, high = statistics.t_interval(shares)
    iqm, iqm_low, iqm_high = statistics.iqm_bootstrap(shares, seed=BOOTSTRAP_SEED)
    if np.ptp(shares) == 0:
        low = high = iqm_low = iqm_high = np.nan
    return {
        "mean": float(mean),
        "low": float(np.clip(low, 0, 1)),
        "high": float(np.clip(high, 0, 1)),
        "iqm": float(iqm),
        "iqm_low": float(iqm_low),
        "iqm_high": float(iqm_high),
        "min": float(shares.min()),
        "max": float(shares.max()),
    }


def write_tables(experiment: Experiment) -> FinalTable:
    """Write success_rates.csv, .md, .html, .tex and success_rates_over_seeds.csv beside the runs."""
    rates = success_rates(experiment)
    over_seeds = success_rates_over_seeds(rates)
    table = final_table(rates, over_seeds, describe(experiment))
    for name, frame in (("success_rates", rates), ("success_rates_over_seeds", over_seeds)):
        with write_atomic(experiment.folder / f"{name}.csv") as path:
            frame.to_csv(path, index=False, lineterminator="\n", float_format="%.9g")
    for suffix, render in FORMATS.items():
        with write_atomic(experiment.folder / f"success_rates.{suffix}") as path:
            path.write_text(render(table), encoding="utf-8")
    return table


def main(argv: Sequence[str] | None = None) -> int:
    """Command line: write the tables of every experiment in a results folder and print the final ones."""
    parser = argparse.ArgumentParser(prog="python -m manyseeds.tables", description=__doc__)
    parser.add_argument(
        "results_dir", type=Path, help="an experiment's results folder, or a folder of such folders"
    )
    arguments = parser.parse_args(argv)
    try:
        for experiment in find_experiments(arguments.results_dir):
            print(FORMATS["md"](write_tables(experiment)))
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
