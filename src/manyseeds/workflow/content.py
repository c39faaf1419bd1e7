"""Checks of agent and task values that need the trainer's own packages, and what the task says of itself."""

import importlib.util
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import fields
from typing import TYPE_CHECKING, Any

from manyseeds.config.conditions import conditions
from manyseeds.config.experiment import Experiment, from_dict
from manyseeds.core import python_path
from manyseeds.core.errors import UserError
from manyseeds.core.failures import guarded
from manyseeds.core.packages import missing
from manyseeds.core.race import deciding
from manyseeds.core.simulators import SIMULATORS
from manyseeds.workflow import passed, room
from manyseeds.workflow.passed import Passed

if TYPE_CHECKING:
    from manyseeds.tasks.base import Task


def checked(experiment: Experiment, source: str, cluster: bool = False) -> Experiment:
    """Check the agent and task values of every variant by the code that will use them.

    In the analysis environment, which has no trainer, nothing can be trained and nothing is checked; what an external
    trainer allows is not known.

    Args:
        experiment: the resolved experiment.
        source: the config file's name, for the error messages.
        cluster: whether jobs get the memory that they ask a scheduler for, and not this machine's.

    Returns:
        The experiment with the description of its task.

    Raises:
        UserError: with one sentence for each variant whose values are not allowed.
    """
    return _checked(experiment, source, cluster, examine)


def checked_apart(experiment: Experiment, source: str, cluster: bool = False) -> Experiment:
    """Run `checked` in a separate process, unless the trainer's packages are already loaded here.

    They take 300 MB, which the planning of thousands of jobs does not need.
    """
    return _checked(experiment, source, cluster, examine if "rsl_rl" in sys.modules else _examine_apart)


def examine(experiment: Experiment, source: str, cluster: bool = False) -> Passed:
    """Make the check of `checked`, whether or not it was made before.

    Raises:
        UserError: with one sentence for each variant whose values are not allowed.
    """
    # Imported here because it takes seconds, and what reads a config file should be quick.
    from manyseeds.learning import warm_start
    from manyseeds.learning.agent import resolve_agent, too_few_samples, without_mirror
    from manyseeds.tasks import registry
    from manyseeds.tasks.base import configure, randomized, randomizing
    from manyseeds.workflow import rehearsal

    task = registry.load(experiment.task)
    _refuse(f"{source}: {problem}" for problem in _bare_ranges(task, experiment.evaluate.factors))
    problems: list[str] = []
    agents: dict[str, dict[str, Any]] = {}
    evaluate = experiment.evaluate
    sections = [("task overrides", {}), ("evaluate.overrides", evaluate.overrides)]
    sections += [("evaluate.factors", {**evaluate.overrides, **own.overrides}) for own in conditions(evaluate.factors)]
    for variant in experiment.variants:
        where = f"{source}: variant {variant.name}: "
        try:
            agent = agents[variant.name] = resolve_agent(variant.agent, f"{where}agent {variant.agent_file}")
            for section, changes in sections:
                cfg = configure(task, variant.task_cfg | changes, f"{where}{section}")
                if task.adapt is not None and not SIMULATORS[experiment.simulator].randomizes:
                    problems.append(
                        f"{where}episodes of the task {task.name} have objects of their own, which the simulator"
                        f" {experiment.simulator} does not change; choose another simulator."
                    )
                    break
                if randomized(task, cfg) and not SIMULATORS[experiment.simulator].randomizes:
                    problems.append(
                        f"{where}{section} makes episodes differ in what the simulator {experiment.simulator} does not"
                        f" change; leave {', '.join(randomizing(task))} as they are, or choose another"
                        " simulator."
                    )
                    break
            if checkpoint := variant.train.init_from:
                warm_start.check(
                    checkpoint, agent, task.observation_width, task.action_width, f"{where}train.init_from {checkpoint}"
                )
            few = too_few_samples(agent, variant.train.num_envs // experiment.ranks)
            if problem := few or without_mirror(agent, task):
                problems.append(f"{where}agent {variant.agent_file}: {problem}")
        except UserError as error:
            problems.append(str(error))
    if experiment.race:
        try:
            deciding(task.description, experiment.race.by)
        except UserError as error:
            problems.append(f"{source}: {error}")
    _refuse(problems)
    needs = room.needs(experiment, agents, task)
    _refuse(room.problems(experiment, needs, source, cluster))
    _refuse(rehearsal.problems(experiment, agents, task, source))
    return Passed(task.description, needs)


def _bare_ranges(task: "Task", factors: Mapping[str, Sequence[Any]]) -> Iterator[str]:
    """Yield a sentence for each factor whose levels are numbers where each must be a list of numbers."""
    for number in fields(task.cfg):
        levels = list(factors.get(number.name, ()))
        if isinstance(number.default, tuple) and not all(isinstance(level, list) for level in levels):
            yield (
                f"evaluate.factors.{number.name} is {levels}; each of its values must be a list of"
                f" {len(number.default)} numbers, which stands as a list in the list: [{list(number.default)}]"
            )


def _checked(
    experiment: Experiment, source: str, cluster: bool, check: Callable[[Experiment, str, bool], Passed]
) -> Experiment:
    if not experiment.trainer.is_ours or importlib.util.find_spec("rsl_rl") is None:
        return experiment
    _refuse(
        f"{source}: variant {variant.name}: train.logger is {', '.join(variant.train.logger)}, but {problem}"
        for variant in experiment.variants
        if (problem := missing(variant.train.logger))
    )
    environment = dict(os.environ)
    key = passed.key(experiment, environment)
    found = passed.recall(key)
    if found is None:
        found = check(experiment, source, cluster)
        if passed.key(experiment, environment) == key:  # nobody has edited the code meanwhile
            passed.keep(key, found)
    else:
        _refuse(room.problems(experiment, found.needs, source, cluster))
    return experiment.described(found.description)


def _examine_apart(experiment: Experiment, source: str, cluster: bool) -> Passed:
    done = subprocess.run(
        [sys.executable, "-P", "-m", "manyseeds.workflow.content", source, *(["cluster"] if cluster else [])],
        input=experiment.to_json(),
        env=os.environ | {"PYTHONPATH": python_path.with_package(), "PYTHONIOENCODING": "utf-8"},
        capture_output=True,
        encoding="utf-8",
        errors="replace",
        check=False,
    )
    if done.returncode == 2:
        raise UserError(done.stdout.rstrip("\n"))
    if done.returncode:
        raise UserError(f"the check of {source} failed: {(done.stderr.strip().splitlines() or ['it was killed'])[-1]}")
    # What the task's own file prints comes before the last line.
    return Passed.from_dict(json.loads(done.stdout.splitlines()[-1]))


def _refuse(problems: Iterable[str]) -> None:
    if sentences := list(dict.fromkeys(problems)):
        raise UserError("\n".join(sentences))


def _main() -> int:
    """Check the resolved experiment on standard input; print what was found, or what is wrong and return 2."""
    experiment = from_dict(json.load(sys.stdin))
    try:
        print(json.dumps(examine(experiment, sys.argv[1], sys.argv[2:] == ["cluster"]).to_dict()))
    except UserError as error:
        print(error)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(guarded("manyseeds config", _main))
