"""A line per run while runs are going, read from their event files."""

import math
import time
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from manyseeds.config import Experiment, Variant, read_resolved
from manyseeds.core.arguments import at_least, verb_parser
from manyseeds.core.errors import UserError
from manyseeds.core.files import parse_json
from manyseeds.core.layout import CONFIG, EVENT_FILE, EXTERNAL_WORK, RUN_RECORD, SEED_FOLDER, run_folder
from manyseeds.core.race import Stop, stopped_so_far
from manyseeds.core.text import duration
from manyseeds.eventfiles.log import RunLog, read_log
from manyseeds.launch.external import events_in_progress

RECENT_ITERATIONS = 50
QUIET_AFTER_S = 120.0
ENDED = ("finished", "stopped")
STYLES = {"training": "green", "quiet": "yellow", **dict.fromkeys(ENDED, "dim")}
HEADER = ("run", "state", "iteration", "done", "reward", "success", "steps/s", "ETA")


@dataclass(frozen=True)
class Progress:
    """How far a run is.

    Attributes:
        run: `<variant>/seed_<seed>`.
        state: waiting, training, quiet (nothing new for two minutes), finished, stopped (by the race).
        iteration: completed iterations.
        max_iterations: iterations of the whole run, or up to where the race stopped it.
        reward: mean return of recent training episodes, NaN when none has ended.
        success: success rate of recent training episodes, NaN when none has ended.
        steps_per_s: environment steps per second, NaN when unknown.
        left_s: seconds until the end at the recent pace, NaN when unknown.
    """

    run: str
    state: str
    iteration: int
    max_iterations: int
    reward: float = math.nan
    success: float = math.nan
    steps_per_s: float = math.nan
    left_s: float = math.nan

    def cells(self) -> tuple[str, ...]:
        """Return the run's line as one text per column of HEADER."""
        return (
            self.run,
            self.state,
            f"{self.iteration}/{self.max_iterations}",
            f"{self.iteration / self.max_iterations:.0%}",
            _number(self.reward, ".2f"),
            _number(self.success, ".1%"),
            _number(self.steps_per_s, ",.0f"),
            duration(self.left_s),
        )


class Watcher:
    """Reads the progress of an experiment's runs; files that did not change are not read again."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._seen: dict[Path, tuple[tuple[int, int], RunLog | None]] = {}

    def progress(self, now: float) -> list[Progress]:
        """Return the progress of every run, in the order of the config.

        Args:
            now: the time, s since 1970.

        Raises:
            UserError: when the folder holds no readable config.json.
        """
        return self.of_experiment(read_resolved(self.folder / CONFIG), now)

    def of_experiment(self, experiment: Experiment, now: float) -> list[Progress]:
        """Return the progress of every run of an experiment whose results are in the folder, or will be."""
        stopped = stopped_so_far(self.folder, experiment.race.rungs if experiment.race else ())
        return [
            self._of_run(experiment, variant, seed, now, stopped.get(variant.name))
            for variant in experiment.variants
            for seed in experiment.seeds
        ]

    def _of_run(self, experiment: Experiment, variant: Variant, seed: int, now: float, stop: Stop | None) -> Progress:
        """Return how far a run is; one whose event file is moved at this moment is starting."""
        try:
            return self._look(experiment, variant, seed, now, stop)
        except FileNotFoundError:
            return Progress(run_folder(variant.name, seed), "starting", 0, variant.train.max_iterations)

    def _look(self, experiment: Experiment, variant: Variant, seed: int, now: float, stop: Stop | None) -> Progress:
        scalars = experiment.trainer.scalars
        name = run_folder(variant.name, seed)
        folder = self.folder / name
        total = stop.iteration if stop else variant.train.max_iterations
        known = (folder / EVENT_FILE, events_in_progress(folder / EXTERNAL_WORK))
        events = next((path for path in known if path is not None and path.is_file()), None)
        if events is None:
            return Progress(name, "waiting", 0, total)
        log = self._read(events, scalars.reward)
        if log is None or not log.step.size:
            return Progress(name, "starting", 0, total)
        iteration = int(log.step.max()) + 1 - experiment.trainer.first_iteration
        recorded = _recorded_iterations(folder / RUN_RECORD)
        if recorded is not None and max(iteration, recorded) >= total:
            state, iteration = "stopped" if stop else "finished", total
        else:
            state = "training" if now - events.stat().st_mtime < QUIET_AFTER_S else "quiet"
        pace = _recent(log, "Perf/collection_time") + _recent(log, "Perf/learning_time")
        return Progress(
            run=name,
            state=state,
            iteration=iteration,
            max_iterations=total,
            reward=_last(log, scalars.reward),
            success=_last(log, scalars.success),
            steps_per_s=_recent(log, "Perf/total_fps"),
            left_s=0.0 if state in ENDED else pace * max(total - iteration, 0),
        )

    def _read(self, events: Path, reward: str) -> RunLog | None:
        stat = events.stat()
        version = (stat.st_mtime_ns, stat.st_size)
        if events not in self._seen or self._seen[events][0] != version:
            try:
                log = read_log(events.parent, iterations_of=reward, allow_corrupt=True)
            except UserError:  # nothing whole in it yet
                log = None
            self._seen[events] = (version, log)
        return self._seen[events][1]


def _recorded_iterations(path: Path) -> int | None:
    """Return how many iterations a run's record says it has; None without a record, 0 where it does not say."""
    if not path.is_file():
        return None
    try:
        return int(parse_json(path.read_text(encoding="utf-8"))["config"]["train"]["max_iterations"])
    except (OSError, ValueError, KeyError, TypeError):
        return 0


def table(folder: Path, rows: Sequence[Progress]) -> Group:
    """Return the lines of an experiment's runs in columns below a header."""
    lines = Table(*HEADER[:2], box=None, padding=(0, 2, 0, 0), header_style="bold")
    for name in HEADER[2:]:
        lines.add_column(name, justify="right")
    for column in lines.columns:
        column.no_wrap = True
    for row in rows:
        lines.add_row(*row.cells(), style=STYLES.get(row.state))
    return Group(Text(str(folder)), lines)


def _values(log: RunLog, tag: str) -> np.ndarray:
    if tag not in log.tags:
        return np.zeros(0)
    chosen = log.tag == log.tags.index(tag)
    return log.value[chosen][np.argsort(log.step[chosen], kind="stable")]


def _last(log: RunLog, tag: str) -> float:
    values = _values(log, tag)
    return float(values[-1]) if values.size else math.nan


def _recent(log: RunLog, tag: str) -> float:
    values = _values(log, tag)[-RECENT_ITERATIONS:]
    return float(values.mean()) if values.size else math.nan


def _number(value: float, form: str) -> str:
    return format(value, form) if math.isfinite(value) else "-"


def _experiments(folder: Path) -> list[Path]:
    # Those of a benchmark are one folder deeper.
    deeper = (
        path
        for path in sorted(folder.glob(f"*/*/{CONFIG}"))
        if not SEED_FOLDER.fullmatch(path.parent.name) and path.parent.parent.name != "published"
    )
    paths = (folder / CONFIG, *sorted(folder.glob(f"*/{CONFIG}")), *deeper)
    found = [path.parent for path in paths if path.is_file()]
    if not found:
        raise UserError(f"{folder} holds no experiment; a run of the workflow makes one, such as results/lift_object")
    return found


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; return 0 when all runs are finished or after one look."""
    parser = verb_parser("status", __doc__, "results/lift_object")
    parser.add_argument("results", nargs="?", type=Path, default=Path("results"), help="an experiment's folder (all)")
    parser.add_argument("--once", action="store_true", help="print the lines once and end")
    parser.add_argument("--every", type=at_least(0, float), default=5.0, help="seconds between two looks (5)")
    arguments = parser.parse_args(argv)
    try:
        watchers = [Watcher(folder) for folder in _experiments(arguments.results)]
        console = Console(highlight=False)
        if not console.is_terminal:
            console.width = 200  # whatever reads the lines has no width
        with Live(console=console, auto_refresh=False) if console.is_terminal else nullcontext() as live:
            while True:
                rows = [(watcher.folder, watcher.progress(time.time())) for watcher in watchers]
                shown = Group(*(table(*lines) for lines in rows))
                if live:
                    live.update(shown, refresh=True)
                else:
                    console.print(shown)
                if arguments.once or all(line.state in ENDED for _, lines in rows for line in lines):
                    return 0
                time.sleep(arguments.every)
    except KeyboardInterrupt:
        return 0
