"""Checks of agent and task values that need the trainer's own packages, and what the task says of itself."""

import importlib.util
import json
import os
import subprocess
import sys
from typing import Any

from manyseeds.config.experiment import Experiment, from_dict
from manyseeds.core import loggers, python_path
from manyseeds.core.description import Description
from manyseeds.core.errors import UserError
from manyseeds.core.failures import guarded


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
    if not _can_check(experiment):
        return experiment
    # Imported here because it takes seconds, and what reads a config file should be quick.
    from manyseeds.learning import warm_start
    from manyseeds.learning.agent import resolve_agent
    from manyseeds.tasks import registry
    from manyseeds.tasks.base import configure
    from manyseeds.workflow import rehearsal

    task = registry.load(experiment.task)
    problems: list[str] = []
    agents: dict[str, dict[str, Any]] = {}
    overrides = [("", {}), ("evaluate.", experiment.evaluate.overrides)]
    for variant in experiment.variants:
        where = f"{source}: variant {variant.name}: "
        try:
            agent = agents[variant.name] = resolve_agent(variant.agent, f"{where}agent {variant.agent_file}")
            for section, changes in overrides:
                configure(task, variant.task_cfg | changes, f"{where}{section or 'task '}overrides")
            if problem := loggers.missing(variant.train.logger):
                raise UserError(f"{where}train.logger is {', '.join(variant.train.logger)}, but {problem}")
            if checkpoint := variant.train.init_from:
                warm_start.check(
                    checkpoint, agent, task.observation_width, task.action_width, f"{where}train.init_from {checkpoint}"
                )
        except UserError as error:
            problems.append(str(error))
    problems = problems or list(rehearsal.problems(experiment, agents, task, source, cluster))
    if problems:
        raise UserError("\n".join(dict.fromkeys(problems)))
    return experiment.described(task.description)


def checked_apart(experiment: Experiment, source: str, cluster: bool = False) -> Experiment:
    """Run `checked` in a separate process, unless the trainer's packages are already loaded here.

    They take 300 MB, which the planning of thousands of jobs does not need.
    """
    if "rsl_rl" in sys.modules or not _can_check(experiment):
        return checked(experiment, source, cluster)
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
    description: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return experiment.described(Description.from_dict(description))


def _can_check(experiment: Experiment) -> bool:
    return experiment.trainer.is_ours and importlib.util.find_spec("rsl_rl") is not None


def _main() -> int:
    """Check the resolved experiment on standard input; print its description, or what is wrong and return 2."""
    experiment = from_dict(json.load(sys.stdin))
    try:
        print(json.dumps(checked(experiment, sys.argv[1], sys.argv[2:] == ["cluster"]).description))
    except UserError as error:
        print(error)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(guarded("manyseeds config", _main))
