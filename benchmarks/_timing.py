"""Timing and printing for the benchmarks."""

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
    """Seconds: wall-clock time, and CPU time of this process over all its threads."""

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
    """Times of several contestants, measured in turn, so that other load on the machine affects all of them equally.

    Args:
        contestants: functions by name; each returns the time it took.
        repeats: rounds; each contestant runs once per round.
    """

    def __init__(self, contestants: Mapping[str, Callable[[], Time]], repeats: int) -> None:
        self.rounds = [{name: run() for name, run in contestants.items()} for _ in range(repeats)]

    def best(self, name: str) -> Time:
        """Return the smallest wall-clock and CPU time."""
        return Time(min(r[name].wall for r in self.rounds), min(r[name].cpu for r in self.rounds))

    def ratio(self, a: str, b: str) -> Time:
        """Return the ratio of the times of `a` and `b`: the median over the rounds."""
        pairs = [(r[a], r[b]) for r in self.rounds]
        return Time(
            statistics.median(x.wall / y.wall for x, y in pairs), statistics.median(x.cpu / y.cpu for x, y in pairs)
        )


def cores() -> int:
    """Return the number of cores this process may use."""
    return len(os.sched_getaffinity(0))


def thread_counts() -> list[int]:
    """Return 1 and, if there are more cores, their number."""
    return sorted({1, cores()})


def machine() -> str:
    """Return a line that describes the machine and its load."""
    with open("/proc/cpuinfo", encoding="utf-8") as stream:
        names = [line.split(":", 1)[1].strip() for line in stream if line.startswith("model name")]
    load = os.getloadavg()[0]
    busy = "; OTHER PROGRAMS ARE RUNNING: trust only ratios of CPU time" if load > 0.5 * cores() else ""
    return f"{cores()} cores, {names[0] if names else platform.machine()}; load average {load:.1f}{busy}"


class Table:
    """A Markdown table that prints each row as soon as it is measured."""

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
    """Parse a list such as 64,512."""
    return [int(part) for part in text.split(",")]


def share(part: float) -> str:
    """Return a percentage."""
    return f"{100 * part:.1f} %"


def task_overrides() -> dict[str, Any]:
    """Return the task overrides of config.yaml, the default experiment."""
    import yaml  # missing in the peers' environments

    return yaml.safe_load(CONFIG.read_text())["task"]["overrides"]
