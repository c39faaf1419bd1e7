"""Success rates of checkpoints, per seed and over seeds."""

import numpy as np
import pandas as pd

from manyseeds import statistics
from manyseeds.analysis.results import Experiment, Run
from manyseeds.core.errors import UserError

# Which resamples of the seeds the bootstrap draws; fixed, so that a table repeated is the same to the byte.
BOOTSTRAP_SEED = 0


def success_rates(experiment: Experiment, episodes: dict[Run, pd.DataFrame]) -> pd.DataFrame:
    """Rates of every checkpoint of every run.

    Args:
        experiment: the runs.
        episodes: what `manyseeds.analysis.results.read_all_episodes` gives.

    Returns:
        One row per variant, seed and iteration: `samples` (environment steps in training until then, missing
        when unknown), `episodes`, the shares (0 to 1) `reached` and `held` with their Wilson 95 % limits,
        `dropped`, and means over the episodes: `first_reached_s_mean` (s, over the episodes that reached),
        `final_distance_mean` (m), `return_mean`.

    Raises:
        UserError: when no run was evaluated.
    """
    if not episodes:
        raise UserError(f"{experiment.folder}: no run has an episodes.csv; evaluate the checkpoints first")
    return pd.concat([_rates_of_run(experiment, run, table) for run, table in episodes.items()], ignore_index=True)


def _rates_of_run(experiment: Experiment, run: Run, table: pd.DataFrame) -> pd.DataFrame:
    groups = table.groupby("iteration")
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
            row |= {f"{flag}_{name}": value for name, value in over_seeds(group[flag].to_numpy()).items()}
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


def over_seeds(numbers: np.ndarray, bounds: tuple[float, float] = (0.0, 1.0)) -> dict[str, float]:
    """Mean, interquartile mean, their 95 % intervals, and the extremes of one number per seed (seeds,).

    The t interval is cut to `bounds`. All are NaN where a number is.
    """
    names = ("mean", "low", "high", "iqm", "iqm_low", "iqm_high", "min", "max")
    if np.isnan(numbers).any():
        return dict.fromkeys(names, float("nan"))
    mean, low, high = statistics.t_interval(numbers)
    iqm, iqm_low, iqm_high = statistics.iqm_bootstrap(numbers, seed=BOOTSTRAP_SEED)
    if np.ptp(numbers) == 0:
        low = high = iqm_low = iqm_high = np.nan
    values = (mean, *np.clip((low, high), *bounds), iqm, iqm_low, iqm_high, numbers.min(), numbers.max())
    return {name: float(value) for name, value in zip(names, values, strict=True)}


def at_the_end(table: pd.DataFrame) -> pd.DataFrame:
    """The rows of a table of rates that belong to each variant's last checkpoint.

    That is the greatest iteration that any seed of the variant was evaluated at; a seed that lacks it does not count.
    """
    return table[table["iteration"] == table.groupby("variant")["iteration"].transform("max")]
