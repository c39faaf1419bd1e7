"""Runs' tables to learning curves over seeds."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv
from numpy.typing import NDArray

from manyseeds.config.experiment import read_resolved
from manyseeds.core.errors import UserError
from manyseeds.core.files import write_atomic
from manyseeds.eventfiles.table import Scalars, read_scalars
from manyseeds.statistics import Interval, iqm_interval, rate_interval, t_interval

SCHEMA = pa.schema(
    [
        ("variant", pa.string()),
        ("tag", pa.string()),
        ("iteration", pa.int64()),
        ("samples", pa.int64()),
        ("n", pa.int32()),
        *((name, pa.float32()) for name in ("mean", "low", "high", "iqm", "iqm_low", "iqm_high")),
    ]
)


ENDED = "Train/episodes"
"""The tag that says how many episodes ended in an iteration."""


def band_of_rates(rates: NDArray[np.float64], episodes: NDArray[np.float64], confidence: float = 0.95) -> Interval:
    """Pointwise band of a success rate in training.

    Args:
        rates: (seeds, points); NaN is a missing value.
        episodes: (seeds, points) that each is of; NaN where nobody knows.
        confidence: in (0, 1).

    Returns:
        Arrays (points,). Limits are NaN where all seeds agree and the number of episodes is not known.
    """
    present = ~np.isnan(rates)
    if np.nanmin(rates, initial=0) < 0 or np.nanmax(rates, initial=1) > 1:  # what is called a rate is none
        return t_interval(rates, confidence)
    known = rate_interval(rates, np.nan_to_num(episodes), confidence)
    unknown = rate_interval(rates, None, confidence)
    counted = (~present | (episodes > 0)).all(axis=0)
    return Interval(known.estimate, *(np.where(counted, a, b) for a, b in zip(known[1:], unknown[1:], strict=True)))


@dataclass(frozen=True)
class VariantRuns:
    """The tables of one variant's seeds.

    `samples_per_iteration` is num_envs * steps per environment, or None when unknown; `success` is the tag of a success
    rate, "" for none.
    """

    name: str
    tables: Mapping[str, Path]  # name of the run -> its table
    samples_per_iteration: int | None
    success: str = ""


def runs_of_experiment(config: Path) -> list[VariantRuns]:
    """The runs that `results/<experiment>/config.json` names, in its order; tables need not exist yet."""
    experiment = read_resolved(config)
    return [
        VariantRuns(
            variant.name,
            {
                f"{variant.name}/seed_{seed}": config.parent / variant.name / f"seed_{seed}" / "scalars.csv"
                for seed in experiment.seeds
            },
            experiment.samples_per_iteration(variant.name),
            experiment.trainer.scalars.success,
        )
        for variant in experiment.variants
    ]


def named_runs(runs: Sequence[str], samples_per_iteration: int | None) -> list[VariantRuns]:
    """The runs of a list of VARIANT=FILE.

    Raises:
        UserError: when an entry has another form.
    """
    tables: dict[str, dict[str, Path]] = {}
    for run in runs:
        name, equals, path = run.partition("=")
        if not (name and equals and path):
            raise UserError(f"--runs {run}: must be NAME=FILE")
        tables.setdefault(name, {})[path] = Path(path)
    return [VariantRuns(name, paths, samples_per_iteration) for name, paths in tables.items()]


def aggregate(
    variants: Sequence[VariantRuns],
    output: Path,
    *,
    confidence: float = 0.95,
    resamples: int = 2000,
    seed: int = 0,
    allow_missing: bool = False,
    warn: Callable[[str], None] = lambda _: None,
    progress: Callable[[str], None] = lambda _: None,
) -> int:
    """Write one row per variant, tag and iteration that some run logged.

    Columns: `variant`, `tag`, `iteration`, `samples` (environment steps until then, empty when unknown), `n`
        (seeds with a number there), `mean` with its interval over seeds `low`, `high` (Student's t; of a success rate
        `band_of_rates`), `iqm` with its bootstrap interval over seeds `iqm_low`, `iqm_high`; float32. A NaN that a run
        logged counts as no number. Where there is no number the field is empty; limits are with one seed, and the
        interquartile mean is with few. Runs of unequal length and tags that a run lacks are reported to `warn`, and
        show in `n`.

    Args:
        variants: the runs.
        output: the CSV file.
        confidence: of all intervals.
        resamples: bootstrap draws.
        seed: of these draws.
        allow_missing: leave out runs without a table instead of raising.
        warn: takes a sentence.
        progress: takes a sentence.

    Returns:
        The number of rows.

    Raises:
        UserError: when a table is missing or malformed, or there is none at all.
    """
    rows = 0
    with write_atomic(output) as partial, pa.csv.CSVWriter(partial, SCHEMA) as writer:
        for variant in variants:
            runs = _read(variant, allow_missing, warn)
            if not runs:
                continue
            _warn_of_differences(variant.name, runs, warn)
            ended = next((values for tag, _, values in _by_tag(list(runs.values())) if tag == ENDED), None)
            for tag, iteration, values in _by_tag(list(runs.values())):
                progress(f"{variant.name}: {tag}")
                n = np.isfinite(values).sum(axis=0) if np.isinf(values).any() else (~np.isnan(values)).sum(axis=0)
                if tag == variant.success:
                    counts = np.full_like(values, np.nan) if ended is None else ended
                    mean = band_of_rates(values, counts, confidence)
                else:
                    mean = t_interval(values, confidence)
                center = iqm_interval(values, confidence, resamples, seed)
                samples = None if variant.samples_per_iteration is None else iteration * variant.samples_per_iteration
                columns = [
                    pa.array([variant.name]).take(pa.array(np.zeros(len(iteration), np.int8))),
                    pa.array([tag]).take(pa.array(np.zeros(len(iteration), np.int8))),
                    pa.array(iteration),
                    pa.nulls(len(iteration), pa.int64()) if samples is None else pa.array(samples),
                    pa.array(n.astype(np.int32)),
                    *(_floats(column) for column in (*mean, *center)),
                ]
                writer.write_batch(pa.record_batch(columns, schema=SCHEMA))
                rows += len(iteration)
        if not rows:
            raise UserError(f"no run has a table of scalars: {', '.join(variant.name for variant in variants)}")
    return rows


def _read(variant: VariantRuns, allow_missing: bool, warn: Callable[[str], None]) -> dict[str, Scalars]:
    runs = {}
    for name, path in variant.tables.items():
        if allow_missing and not path.exists():
            warn(f"{path}: no such file; variant {variant.name} is computed without it")
            continue
        runs[name] = read_scalars(path)
        if not len(runs[name].iteration):
            raise UserError(f"{path}: no rows")
        if np.any(np.diff(runs[name].iteration) <= 0):
            raise UserError(f"{path}: the iterations must increase, without repeats")
    if not runs and not allow_missing:
        raise UserError(f"variant {variant.name} has no run with a table of scalars")
    return runs


def _by_tag(runs: list[Scalars]) -> Iterator[tuple[str, NDArray[np.int64], NDArray[np.float64]]]:
    """Each tag with the iterations at which some run has a row, and its values (seeds, iterations)."""
    iteration = np.unique(np.concatenate([run.iteration for run in runs]))
    places = [np.searchsorted(iteration, run.iteration) for run in runs]
    for tag in sorted({tag for run in runs for tag in run.columns}):
        values = np.full((len(runs), len(iteration)), np.nan)
        for row, run, place in zip(values, runs, places, strict=True):
            if tag in run.columns:
                row[place] = run.columns[tag]
        yield tag, iteration, values


def _warn_of_differences(variant: str, runs: Mapping[str, Scalars], warn: Callable[[str], None]) -> None:
    lengths = {name: int(run.iteration[-1]) for name, run in runs.items()}
    if len(set(lengths.values())) > 1:
        warn(
            f"variant {variant}: runs end at different iterations: " + ", ".join(f"{k} {v}" for k, v in lengths.items())
        )
    if len(runs) == 1:
        warn(f"variant {variant}: only one run, so there is no interval")
    tags = {tag for run in runs.values() for tag in run.columns}
    for tag in sorted(tags):
        lacking = [name for name, run in runs.items() if tag not in run.columns]
        empty = [name for name, run in runs.items() if tag in run.columns and np.isnan(run.columns[tag]).all()]
        if lacking:
            warn(f"variant {variant}: {', '.join(lacking)} did not log {tag}")
        if empty:
            warn(f"variant {variant}: {', '.join(empty)} logged no number under {tag}")


def _floats(values: NDArray[np.float64]) -> pa.Array:
    with np.errstate(over="ignore"):
        return pa.array(values.astype(np.float32), mask=np.isnan(values))
