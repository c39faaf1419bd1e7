"""How the benchmarks take times and print them."""

import os
import platform
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

CONFIG = Path(__file__).resolve().parents[1] / "config.yaml"


@dataclass(frozen=True)
class Time:
    """Seconds that something took: by the clock, and of this process's CPU over all of its threads."""

    wall: float
    cpu: float


def measure(function: Callable[[], object]) -> Time:
    """Time one call."""
    wall, cpu = time.perf_counter(), time.process_time()
    function()
    return Time(time.perf_counter() - wall, time.process_time() - cpu)


def mean(times: Sequence[Time]) -> Time:
    """Return the mean of several times."""
    return Time(sum(t.wall for t in times) / len(times), sum(t.cpu for t in times) / len(times))


def median(times: Sequence[Time]) -> Time:
    """Return the medians of several times."""
    return Time(statistics.median(t.wall for t in times), statistics.median(t.cpu for t in times))


class Measurements:
    """Times of several things, taken in turn so that whatever else the machine does disturbs all of them alike.

    Args:
        contestants: what is timed, by name; each returns the time it took.
        repeats: rounds, in each of which everybody has a turn.
    """

    def __init__(self, contestants: Mapping[str, Callable[[], Time]], repeats: int) -> None:
        self.rounds = [{name: run() for name, run in contestants.items()} for _ in range(repeats)]

    def best(self, name: str) -> Time:
        """Return the least seconds of each kind."""
        return Time(min(r[name].wall for r in self.rounds), min(r[name].cpu for r in self.rounds))

    def ratio(self, a: str, b: str) -> Time:
        """Return how many times as long `a` took as `b`: the median over the rounds."""
        pairs = [(r[a], r[b]) for r in self.rounds]
        return Time(
            statistics.median(x.wall / y.wall for x, y in pairs), statistics.median(x.cpu / y.cpu for x, y in pairs)
        )


def cores() -> int:
    """Return the cores this process may use."""
    return len(os.sched_getaffinity(0))


def thread_counts() -> list[int]:
    """Return one thread and, where there are more cores, all of them."""
    return sorted({1, cores()})


def machine() -> str:
    """Return what the numbers were measured on, in one line."""
    with open("/proc/cpuinfo", encoding="utf-8") as stream:
        names = [line.split(":", 1)[1].strip() for line in stream if line.startswith("model name")]
    load = os.getloadavg()[0]
    busy = "; OTHER PROGRAMS KEEP IT BUSY: trust ratios of CPU time only" if load > 0.5 * cores() else ""
    return f"{cores()} cores, {names[0] if names else platform.machine()}; load average {load:.1f}{busy}"


class Table:
    """A Markdown table that shows each row as soon as it is known."""

    def __init__(self, *columns: str) -> None:
        self._columns = columns
        print("|", " | ".join(columns), "|", flush=True)
        print("|---" * len(columns) + "|", flush=True)

    def row(self, *cells: object) -> None:
        """Print one row."""
        if len(cells) != len(self._columns):
            raise ValueError(f"{len(cells)} cells for {len(self._columns)} columns")
        print("|", " | ".join(str(cell) for cell in cells), "|", flush=True)


def integers(text: str) -> list[int]:
    """Read a command line's list such as 64,512."""
    return [int(part) for part in text.split(",")]


def share(part: float) -> str:
    """Return a percentage."""
    return f"{100 * part:.1f} %"


def task_overrides() -> dict[str, Any]:
    """Return what config.yaml, the default experiment, changes about the task."""
    import yaml  # which the peers' environments lack

    return yaml.safe_load(CONFIG.read_text())["task"]["overrides"]
