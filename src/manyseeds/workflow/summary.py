"""What a finished workflow says: the table, where the results are, where the time went, and what to do next."""

import csv
import math
import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

from manyseeds.core.layout import FAILURES_FILM, FIGURES, REPORT, run_folder
from manyseeds.workflow.plan import Plan

STAGES = {
    "race_run": "training to rungs",
    "race": "decisions of the race",
    "train_run": "training",
    "evaluate_run": "evaluation",
    "evaluate_factors": "evaluation under factors",
    "export": "scalars to CSV",
    "aggregate": "curves over seeds",
    "tables": "tables",
    "draw": "figures and pages",
    "animate": "films",
    "film_failures": "films of failures",
    "write_report": "report",
}
"""What the rules are called, in the order in which they are shown."""
LONGEST_TABLE = 40
"""Lines; a longer table is not printed."""


@dataclass(frozen=True)
class Done:
    """A job that has ended: its rule, and the file that Snakemake's benchmark wrote."""

    rule: str
    benchmark: Path


def since_start() -> float:
    """Return the seconds since this process began."""
    return time.time() - psutil.Process().create_time()


def lines(plan: Plan, jobs: Sequence[Done], planning_s: float, total_s: float) -> list[str]:
    """Return what is printed at the end.

    Args:
        plan: the plan.
        jobs: what was done.
        planning_s: seconds until the first job started.
        total_s: seconds of everything.
    """
    results = Path(plan.results)
    shown = [*_table(results), ""] if any(job.rule == "all" for job in jobs) else []
    return [*shown, *stages(jobs, planning_s, total_s), *([""] if shown else []), *(_places(plan) if shown else [])]


def stages(jobs: Sequence[Done], planning_s: float, total_s: float) -> list[str]:
    """Return a line for every stage: how many jobs, and their seconds by the clock.

    The CPU seconds of Snakemake's benchmarks are left out: they lack what a job did after the last look at it.
    """
    rows = [("planning and checks", 1, planning_s)]
    for rule, name in STAGES.items():
        times = [_seconds(job.benchmark) for job in jobs if job.rule == rule]
        if times:
            rows.append((name, len(times), sum(times)))
    head = "Where the time went, in seconds. Jobs that run at once are added up."
    cells = [("", "jobs", "clock"), *((name, str(number), _shown(clock)) for name, number, clock in rows)]
    cells.append(("from start to end", "", _shown(total_s)))
    return [head, *(f"  {name:20}{number:>5}{clock:>9}" for name, number, clock in cells)]


def _seconds(benchmark: Path) -> float:
    """Return the seconds by the clock of a job; NaN where Snakemake wrote none."""
    try:
        with benchmark.open(encoding="utf-8", newline="") as stream:
            return float(next(csv.DictReader(stream, delimiter="\t"))["s"])
    except (OSError, StopIteration, KeyError, ValueError):
        return math.nan


def _shown(seconds: float) -> str:
    return f"{seconds:.1f}" if math.isfinite(seconds) else "-"


def _table(results: Path) -> Iterator[str]:
    """Yield the lines of the table of success rates, where it is not too long for a screen."""
    path = results / "success_rates.md"
    rows = [line for line in path.read_text(encoding="utf-8").split("\n\n", 1)[0].splitlines() if line]
    yield from rows if len(rows) <= LONGEST_TABLE else [f"The table has {len(rows)} lines: {path}"]


def _places(plan: Plan) -> Iterator[str]:
    """Yield where the results are and what to do next."""
    results, experiment = plan.results, plan.experiment
    first = experiment.variants[0]
    run = f"{results}/{run_folder(first.name, experiment.seeds[0])}"
    rows = [
        (f"{results}/{REPORT}", "everything on one page, the answer first; look at it in a browser, send or print it"),
        (f"{results}/success_rates.html", "the table and its notes; beside it as .md, .tex and .csv"),
        (f"{results}/{FIGURES}/", "every figure as SVG, PNG and PDF; learning_curves.png is the first to look at"),
        (f"{results}/curves.html", "all curves, to look at in a browser"),
        (f"{run}/", "a run: checkpoints, curves, episodes, and run.json, which says how it was made"),
    ]
    if plan.is_ours:
        rows.insert(4, (f"{results}/{first.name}/policy.gif", "a film of the policy"))
        rows.insert(5, (f"{results}/{first.name}/{FAILURES_FILM}", "what its worst seed fails at"))
    # Who typed `make` has no `snakemake` on the PATH.
    made = "MAKELEVEL" in os.environ
    report = (
        f"make report CONFIG={plan.source}" if made else f"snakemake --report report.html --configfile {plan.source}"
    )
    again = "make run CONFIG=mine.yaml" if made else "snakemake --cores all --configfile mine.yaml"
    todo = [
        (report, "Snakemake's report: all files, and the rules and jobs that made them"),
        (again, "your own experiment: a copy of config.yaml, which explains every key"),
    ]
    yield "Where things are:"
    yield from _columns(rows)
    yield "What to do next:"
    yield from _columns(todo)


def _columns(rows: Sequence[tuple[str, str]]) -> Iterator[str]:
    width = max(len(left) for left, _ in rows)
    yield from (f"  {left:{width}}  {right}" for left, right in rows)
