"""The kinds of logs that can be read: one function each, and one table of all.

A reader returns what the log holds at its own steps. What the steps count is found here, too, because it depends on the
program that wrote them.
"""

import csv
import zipfile
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from manyseeds.core.errors import UserError
from manyseeds.core.layout import EVENT_FILE
from manyseeds.eventfiles.log import RENAMED_TAGS, REWARD, read_log
from manyseeds.eventfiles.table import ITERATION, to_table

RSL_RL, STABLE_BASELINES, OTHER = "RSL-RL", "Stable-Baselines3", "another program"
TIMESTEPS = "time/total_timesteps"
"""Stable-Baselines3's name of what its steps count."""


@dataclass(frozen=True)
class Log:
    """What one run left in one place.

    Attributes:
        table: a float column for each tag, indexed by rising step; NaN where nothing was logged.
        program: what wrote it, as tables call it.
        counts: what a step is: an iteration, an environment step, or what only the program knows.
        began: when, in s since 1970; it orders the logs of a run that was resumed.
        first: the step of the first iteration.
    """

    table: pd.DataFrame
    program: str
    counts: Literal["iterations", "samples", "steps"]
    began: float
    first: int = 0


@dataclass(frozen=True)
class Format:
    """A kind of log.

    Attributes:
        title: what the list of runs calls it.
        pattern: the names of its files.
        read: reads files that lie in one folder; takes the tag of the return, and whether to read on behind damage.
        is_one: whether a file with such a name is one.
        by_file: whether each file is a run, and not all files of a folder together.
        runs: for files that hold several runs each: returns the names of those in a file; `read` then takes the `run`.
    """

    title: str
    pattern: str
    read: Callable[..., Log]
    is_one: Callable[[Path], bool] = lambda _: True
    by_file: bool = False
    runs: Callable[[Path], Sequence[str]] | None = None


def read_events(files: Sequence[Path], reward: str, allow_corrupt: bool) -> Log:
    """Read TensorBoard event files; several in a folder are one run that was restarted there."""
    place = files[0] if len(files) == 1 else files[0].parent
    log = read_log(place, iterations_of=reward, allow_corrupt=allow_corrupt)
    found = to_table(log)
    columns = {name: found[name].to_numpy(zero_copy_only=False) for name in found.column_names if name != ITERATION}
    table = pd.DataFrame(columns, index=pd.Index(found[ITERATION].to_numpy(), name=ITERATION), dtype=np.float64)
    ours = any(file.name == EVENT_FILE for file in log.files)
    return _log(table, log.files[0].first_wall_time or 0.0, first=1 if ours else 0)


def read_progress(files: Sequence[Path], reward: str, allow_corrupt: bool) -> Log:
    """Read the progress.csv of Stable-Baselines3, a row a dump of its logger."""
    table = _read_csv(files[0])
    if TIMESTEPS not in table:
        raise UserError(f"{files[0]}: column {TIMESTEPS!r} is missing; it is not a progress.csv of Stable-Baselines3")
    return _log(_by_step(table, TIMESTEPS, files[0]), files[0].stat().st_mtime)


def read_evaluations(files: Sequence[Path], reward: str, allow_corrupt: bool) -> Log:
    """Read the evaluations.npz of Stable-Baselines3's EvalCallback, which RL Zoo uses: means over its episodes."""
    tags = {"results": "eval/mean_reward", "ep_lengths": "eval/mean_ep_length", "successes": "eval/success_rate"}
    try:
        with np.load(files[0], allow_pickle=False) as arrays:
            steps = arrays["timesteps"]
            columns = {tag: arrays[name].astype(float).mean(axis=1) for name, tag in tags.items() if name in arrays}
        table = pd.DataFrame({TIMESTEPS: steps, **columns})
    except (ValueError, KeyError, TypeError, IndexError, EOFError, zipfile.BadZipFile) as error:
        raise UserError(
            f"{files[0]}: not an evaluations.npz with 'timesteps' and 'results' as EvalCallback writes it"
        ) from error
    return _log(_by_step(table, TIMESTEPS, files[0]), files[0].stat().st_mtime)


def read_history(files: Sequence[Path], reward: str, allow_corrupt: bool) -> Log:
    """Read the history of a Weights & Biases run as CSV, as `run.history().to_csv(...)` writes it."""
    table = _read_csv(files[0])
    # A run that was synchronized from event files has their step in a column of its own.
    step = next(name for name in ("global_step", *STEP_COLUMNS) if name in table)
    began = pd.to_numeric(table.get("_timestamp", pd.Series(dtype=float)), errors="coerce").min()
    kept = table[[name for name in table if name == step or not str(name).startswith(("_", "Unnamed:"))]]
    return _log(_by_step(kept, step, files[0]), files[0].stat().st_mtime if np.isnan(began) else float(began))


def read_panels(files: Sequence[Path], reward: str, allow_corrupt: bool, run: str = "") -> Log:
    """Read one run of what the web pages of Weights & Biases export of charts as CSV: a file for each chart.

    Columns are the steps and, for each run, `<run> - <tag>`, `<run> - <tag>__MIN` and `<run> - <tag>__MAX`.
    """
    table = pd.DataFrame()
    for path in files:
        step, *columns = _header(path)
        if twice := next((name for name, count in Counter(columns).items() if count > 1), None):
            raise UserError(f"{path}: {twice!r} is there twice; give each run a name of its own and export it again")
        if step not in PANEL_STEPS:
            raise UserError(f"{path}: its rows are by {step!r}; export the chart again with Step as its x axis")
        content = _read_csv(path)
        own = {name: tag for name in columns if (tag := _panel_column(name)[1]) and _panel_column(name)[0] == run}
        rows = content[[step, *own]].rename(columns=own).dropna(how="all", subset=list(own.values()))
        if not rows.empty:
            table = table.combine_first(_by_step(rows, step, path))
    if table.empty:
        raise UserError(f"{files[0]}: no row of {run} has a step and a number")
    table.index = pd.Index(table.index.to_numpy(np.int64), name=ITERATION)
    return _log(table, min(path.stat().st_mtime for path in files))


STEP_COLUMNS = ("_step", "Step")
PANEL_STEPS = ("Step", "global_step")
_BETWEEN = " - "


def _header(path: Path) -> list[str]:
    try:
        with path.open(encoding="utf-8", errors="replace", newline="") as stream:
            return [name.strip() for name in next(csv.reader(stream), [])]
    except (OSError, csv.Error):
        return []


def _is_history(path: Path) -> bool:
    return any(name in STEP_COLUMNS for name in _header(path)) and not _is_panel(path)


def _is_panel(path: Path) -> bool:
    columns = _header(path)[1:]
    return bool(columns) and all(_BETWEEN in name for name in columns)


def _panel_column(name: str) -> tuple[str, str]:
    """Return the run and the tag of a column; no tag for the range within which W&B took the mean."""
    run, _, tag = name.rpartition(_BETWEEN)
    return run, "" if tag.endswith(("__MIN", "__MAX")) else tag


def _panel_runs(path: Path) -> list[str]:
    return list(dict.fromkeys(_panel_column(name)[0] for name in _header(path)[1:]))


FORMATS = (
    Format("event files", "*tfevents*", read_events),
    Format("evaluations.npz", "evaluations.npz", read_evaluations),
    Format("progress.csv", "progress.csv", read_progress),
    Format("W&B history", "*.csv", read_history, _is_history, by_file=True),
    Format("W&B chart", "*.csv", read_panels, _is_panel, runs=_panel_runs),
)
"""In the order in which they are read: of a tag that two files of a folder have, the first counts."""


def _log(table: pd.DataFrame, began: float, first: int = 0) -> Log:
    table = table.rename(columns={old: new for old, new in RENAMED_TAGS.items() if new not in table})
    tags = set(map(str, table.columns))
    if REWARD in tags or {"Loss/value", "Perf/total_fps"} <= tags:
        return Log(table, RSL_RL, "iterations", began, first)
    if any(tag.startswith(("rollout/", "eval/", "time/")) for tag in tags):
        return Log(table, STABLE_BASELINES, "samples", began)
    return Log(table, OTHER, "steps", began)


def _read_csv(path: Path) -> pd.DataFrame:
    try:
        return pd.read_csv(path, low_memory=False)
    except (ValueError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: not readable as a CSV file: {str(error).splitlines()[0]}") from error


def _by_step(table: pd.DataFrame, step: str, path: Path) -> pd.DataFrame:
    """The numbers of a table by step; of several rows with one step, the last number of each column counts."""
    steps = pd.to_numeric(table[step], errors="coerce")
    numbers = table.drop(columns=step).apply(pd.to_numeric, errors="coerce")
    numbers = numbers.dropna(axis="columns", how="all")[steps.notna()]
    if numbers.empty:
        raise UserError(f"{path}: no row has a step and a number")
    index: NDArray[np.int64] = steps.dropna().to_numpy(np.float64).astype(np.int64)
    return numbers.astype(np.float64).groupby(pd.Index(index, name=ITERATION)).last()
