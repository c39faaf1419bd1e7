"""Say how long an experiment takes on this machine, from a second of training on it."""

import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from manyseeds.config.conditions import conditions
from manyseeds.config.experiment import Experiment, Variant
from manyseeds.config.loading import load
from manyseeds.core.arguments import verb_parser
from manyseeds.core.description import Description
from manyseeds.core.errors import UserError
from manyseeds.core.layout import EPISODES, FACTORS, RESULTS, run_folder
from manyseeds.launch.status import Watcher
from manyseeds.workflow.plan import threads_of_runs
from manyseeds.workflow.resources import speedup
from manyseeds.workflow.summary import since_start

MEASURED_S = 1.0
"""How long iterations are measured, over all variants; each has at least one."""
MOST_ENVS = 512
"""Of more environments so many are measured, and the time of an iteration grows with their number."""
SLOWER = 1.7
"""How many times as long as the first iterations the mean one may take: for lift_object it is 1.6, because a grasp has
many contacts."""
JOB_STARTS, FIGURES_STARTS = 2.0, 4.0
"""What a run's jobs, and what the tables, figures and pages take besides their work, as multiples of a start of Python
with all packages: guesses that fit cart_pole on two cores."""


@dataclass(frozen=True)
class Speed:
    """How fast a variant is here, on one core.

    Attributes:
        iteration_s: seconds of an iteration.
        sample_s: seconds of a step of one environment with the policy, without learning.
    """

    iteration_s: float
    sample_s: float


def measure(experiment: Experiment, variant: Variant, seconds: float) -> Speed:
    """Train for a moment, on one thread and with the variant's own numbers.

    Args:
        experiment: the resolved experiment.
        variant: one of its variants.
        seconds: how long; at least one iteration is measured.

    Raises:
        UserError: when the task, its numbers or the agent are not allowed.
    """
    import torch

    from manyseeds.learning.agent import resolve_agent
    from manyseeds.learning.runner import Runner
    from manyseeds.simulators import make_env

    torch.set_num_threads(1)
    agent = resolve_agent(variant.agent, f"variant {variant.name}: agent {variant.agent_file}")
    envs = min(variant.train.num_envs, MOST_ENVS)
    env = make_env("mujoco", experiment.task, task_cfg=variant.task_cfg, num_envs=envs, seed=0, threads=1)
    try:
        runner = Runner(env, agent, seed=0, device="cpu", threads=1)
        runner.iterate()  # the first one allocates and compiles
        began, found = time.perf_counter(), [runner.iterate()]
        while time.perf_counter() - began < seconds:
            found.append(runner.iterate())
    finally:
        env.close()
    collection = sum(iteration.collection_time for iteration in found) / len(found)
    learning = sum(iteration.learning_time for iteration in found) / len(found)
    larger = variant.train.num_envs / envs
    return Speed(larger * (collection + learning), collection / (envs * agent["num_steps_per_env"]))


def makespan(jobs: Sequence[tuple[float, int]], cores: int) -> float:
    """Return when the last job ends if each starts, in the order given, as soon as it has its cores.

    Args:
        jobs: seconds and threads of each.
        cores: how many there are.
    """
    free = [0.0] * cores
    for seconds, threads in jobs:
        free.sort()
        used = min(threads, cores)
        free[:used] = [free[used - 1] + seconds] * used
    return max(free)


def forecast(experiment: Experiment, cores: int, start_s: float) -> str:
    """Return what is to be done and how long it takes, in sentences.

    Args:
        experiment: the resolved experiment.
        cores: CPU cores that it may use.
        start_s: seconds in which Python starts here with all packages.

    Raises:
        UserError: when the task, its numbers or an agent are not allowed.
    """
    variants = experiment.variants
    runs = len(variants) * len(experiment.seeds)
    lengths = sorted({variant.train.max_iterations for variant in variants})
    said = " or ".join(f"{length:,}" for length in lengths[:: max(1, len(lengths) - 1)])
    what = f"{experiment.experiment}: {runs} run{'s' if runs > 1 else ''} of {said} iterations."
    if not experiment.trainer.is_ours:
        return f"{what} How long {experiment.trainer.name} takes is not known here; `make watch` shows what is left."
    if experiment.simulator != "mujoco":
        return f"{what} How fast {experiment.simulator} is shows only while it runs; `make watch` shows what is left."
    jobs = _jobs_left(experiment, cores, start_s)
    least = makespan([(low, threads) for low, _, threads in jobs], cores) + FIGURES_STARTS * start_s
    most = makespan([(high, threads) for _, high, threads in jobs], cores) + FIGURES_STARTS * start_s
    if not jobs:
        return f"{what} All are trained and evaluated; tables and figures take {_rounded(least)} if any are missing."
    end = datetime.now() + timedelta(seconds=most)
    left = "" if len(jobs) == runs else f" {runs - len(jobs)} are finished."
    return (
        f"{what}{left} The rest takes {_rounded(least)} to {_rounded(most)} with {cores}"
        f" core{'s' if cores > 1 else ''} as busy as now, until {end:%H:%M}."
    )


def _jobs_left(experiment: Experiment, cores: int, start_s: float) -> list[tuple[float, float, int]]:
    """Return the least and the greatest seconds, and the threads, of every run that is not trained and evaluated."""
    folder = Path(RESULTS) / experiment.experiment
    progress = Watcher(folder).of_experiment(experiment, time.time())
    names = [(variant, seed) for variant in experiment.variants for seed in experiment.seeds]
    steps = Description.from_dict(experiment.description or {}).episode_steps
    factors = experiment.evaluate.factors
    speeds: dict[str, Speed] = {}
    jobs = []
    for (variant, seed), threads, run in zip(names, threads_of_runs(len(names), cores), progress, strict=True):
        made = [EPISODES, *([FACTORS] if factors else [])]
        evaluated = all((folder / run_folder(variant.name, seed) / name).is_file() for name in made)
        left = run.max_iterations - run.iteration
        if evaluated and not left:
            continue
        if variant.name not in speeds:
            speeds[variant.name] = measure(experiment, variant, MEASURED_S / len(experiment.variants))
        threads = threads if variant.train.threads == "auto" else int(variant.train.threads)
        speed = speeds[variant.name]
        played = experiment.episodes_of(variant)
        played += experiment.evaluate.episodes * (len(conditions(factors)) if factors else 0)
        work = (left * speed.iteration_s + played * steps * speed.sample_s) / speedup(threads)
        jobs.append((JOB_STARTS * start_s + work, JOB_STARTS * start_s + SLOWER * work, threads))
    return jobs


def _rounded(seconds: float) -> str:
    """Return a time as one would say it."""
    if seconds < 90:
        return f"{max(10, 10 * round(seconds / 10))} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def _cores(text: str) -> int:
    here = len(os.sched_getaffinity(0))
    if text == "all":
        return here
    if not text.isdecimal() or not int(text):
        raise UserError(f"--cores is {text}; it must be a number of at least 1, or all.")
    return int(text)


def _start_s() -> float:
    """Return the seconds since this process began, with the packages of a training imported."""
    import mujoco.batch  # noqa: F401

    import manyseeds.learning.ppo  # noqa: F401

    return since_start()


def _said(experiment: Experiment, cores: int) -> str:
    """Return the forecast, or a sentence where training does not work: the workflow's own check says why."""
    try:
        return forecast(experiment, cores, _start_s())
    except UserError:
        raise
    except Exception as error:
        return f"{experiment.experiment}: how long it takes cannot be measured: {error}"


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; return 0."""
    parser = verb_parser("forecast", __doc__, "config.yaml --cores 2")
    parser.add_argument("config", nargs="*", default=["config.yaml"], help="the experiment file (config.yaml)")
    parser.add_argument("--cores", default="all", help="CPU cores that Snakemake may use (all)")
    arguments: Any = parser.parse_args(argv)
    cores, experiment = _cores(arguments.cores), load(arguments.config)
    if experiment.trainer.is_ours:
        from manyseeds.tasks import registry

        experiment = experiment.described(registry.describe(experiment.task))
    print(_said(experiment, cores), flush=True)
    return 0
