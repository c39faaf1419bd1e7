"""What only trying shows: every agent is built, steps, learns and is judged once, on the smallest copy of the task.

A mistake in an agent or a task is then one sentence before any job starts, instead of a traceback after a queue's wait.
"""

import importlib.util
import itertools
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

from manyseeds.config.experiment import Experiment, Variant
from manyseeds.core.errors import UserError
from manyseeds.core.failures import is_out_of_memory
from manyseeds.core.layout import RESULTS
from manyseeds.tasks import registry
from manyseeds.workflow.resources import memory_mb, needed_mb

if TYPE_CHECKING:
    from manyseeds.tasks.base import Task

ENVS = 2
STEPS = 4
BATCHES = 2
# Bytes of one scalar in an event file, and of one row of episodes.csv.
SCALAR_BYTES = 60
ROW_BYTES = 150


def problems(
    experiment: Experiment, agents: Mapping[str, Mapping[str, Any]], task: "Task", source: str, cluster: bool
) -> Iterator[str]:
    """Yield a sentence for everything that the jobs of an experiment would refuse.

    Args:
        experiment: the resolved experiment, whose agents and numbers of the task are allowed.
        agents: the complete configuration of each variant's agent.
        task: its task.
        source: the config file's name.
        cluster: whether a scheduler gives the memory that jobs ask for; otherwise they have this machine's.
    """
    from manyseeds.learning.agent import too_few_samples

    seen: set[str] = set()
    disk = 0.0
    for variant in experiment.variants:
        where = f"{source}: variant {variant.name}: "
        agent = agents[variant.name]
        parameters = _parameters(agent, task)
        own_envs = variant.train.num_envs // experiment.ranks
        if problem := too_few_samples(agent, own_envs):
            yield f"{where}agent {variant.agent_file}: {problem}"
            continue
        samples = own_envs * agent["num_steps_per_env"]
        batch = samples // agent["algorithm"]["num_mini_batches"]
        needed = needed_mb(
            variant.train.num_envs, samples, batch, task.observation_width, task.action_width, parameters
        )
        limit = memory_mb(variant.train.num_envs) if cluster else _machines_mb()
        if needed > limit and experiment.device != "cuda":
            has = "a job asks the cluster for" if cluster else "this machine has"
            yield (
                f"{where}a run needs about {needed:,} MB of memory, and {has} {limit:,} MB; fewer num_envs,"
                " num_steps_per_env or narrower layers need less."
            )
            continue
        disk += len(experiment.seeds) * _disk_bytes(experiment, variant, parameters)
        shape = json.dumps([_shape(agent), sorted(variant.task_cfg)], sort_keys=True)
        if shape not in seen and importlib.util.find_spec("mujoco") is not None:
            seen.add(shape)
            yield from _tried(experiment, variant, agent, where)
    free = shutil.disk_usage(".").free + _bytes_below(Path(RESULTS) / experiment.experiment)
    if disk > free:
        yield (
            f"{source}: the checkpoints, curves and episodes of {len(experiment.variants) * len(experiment.seeds)} runs"
            f" take about {disk / 1e9:,.0f} GB, and {free / 1e9:,.0f} GB are free here; a larger train.save_interval"
            " leaves fewer checkpoints."
        )


def _tried(experiment: Experiment, variant: Variant, agent: Mapping[str, Any], where: str) -> Iterator[str]:
    """Yield what goes wrong when a variant's agent is built, learns once and is judged."""
    from manyseeds.learning.runner import DivergedError
    from manyseeds.simulators import NonFiniteError

    try:
        with redirect_stdout(StringIO()):
            _try(experiment, variant, _smallest(agent), where)
    except (DivergedError, NonFiniteError):  # such a run stops with a sentence of its own
        pass
    except UserError as error:
        yield f"{where}{error}"
    except Exception as error:
        if is_out_of_memory(error):
            yield f"{where}agent {variant.agent_file}: its networks do not fit into the memory of this machine."
        else:
            said = " ".join(str(error).split())
            yield registry.mistake(error) or f"{where}agent {variant.agent_file} does not work: {said or repr(error)}."


def _try(experiment: Experiment, variant: Variant, agent: dict[str, Any], where: str) -> None:
    import torch

    from manyseeds.evaluation.evaluate import evaluate_policy, evaluation_starts
    from manyseeds.learning.runner import Runner
    from manyseeds.simulators import make_env
    from manyseeds.tasks.base import configure

    torch.set_num_threads(1)
    options: dict[str, Any] = {"num_envs": ENVS, "seed": 0, "threads": 1}
    env = make_env("mujoco", experiment.task, task_cfg=variant.task_cfg, **options)
    try:
        runner = Runner(env, agent, seed=0, device="cpu", threads=1)
        runner.iterate()
    finally:
        env.close()
    overrides = experiment.evaluate.overrides
    played = configure(env.task, variant.task_cfg | overrides, f"{where}evaluate.overrides")
    actions = torch.linspace(-1, 1, ENVS * env.num_actions).view(ENVS, -1)
    same = torch.allclose(env.task.act(env.task_cfg, actions), env.task.act(played, actions))
    if not same or abs(played.step_dt - env.task_cfg.step_dt) > 1e-9:
        raise UserError(
            f"evaluate.overrides {json.dumps(overrides)} changes what an action does or how long it lasts, which the"
            " policy has learned; change it below task: or variants:, where training has it, too."
        )
    # A few steps instead of a whole episode.
    short = {"episode_length_s": STEPS * played.step_dt}
    evaluation = make_env(
        "mujoco", experiment.task, task_cfg=variant.task_cfg | overrides | short, auto_reset=False, **options
    )
    try:
        evaluate_policy(evaluation, runner.alg.get_policy(), 0, evaluation_starts(evaluation, ENVS, 0))
    finally:
        evaluation.close()


def _smallest(agent: Mapping[str, Any]) -> dict[str, Any]:
    """Return the agent with the same networks and options, and as little work as possible."""
    algorithm = agent["algorithm"]
    batches = min(algorithm["num_mini_batches"], BATCHES)
    small = {"num_learning_epochs": 1, "num_mini_batches": batches}
    return {**agent, "num_steps_per_env": STEPS, "algorithm": algorithm | small}


def _shape(value: Any) -> Any:
    """Return an agent's configuration without the fractions in it, which change nothing that a rehearsal shows."""
    if isinstance(value, Mapping):
        return {key: _shape(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_shape(item) for item in value]
    return "number" if isinstance(value, float) else value


def _parameters(agent: Mapping[str, Any], task: "Task") -> int:
    """Return how many numbers the actor and the critic have."""
    total = 0
    for role, outputs in (("actor", task.action_width), ("critic", 1)):
        widths = [task.observation_width, *agent[role]["hidden_dims"], outputs]
        total += sum((before + 1) * after for before, after in itertools.pairwise(widths))
    return total


def _disk_bytes(experiment: Experiment, variant: Variant, parameters: int) -> float:
    checkpoints = len(variant.checkpoints)
    scalars = 40 * SCALAR_BYTES * variant.train.max_iterations
    # Parameters and Adam's two averages, as float32.
    return checkpoints * (12.0 * parameters + ROW_BYTES * experiment.evaluate.episodes) + scalars


def _machines_mb() -> int:
    """Return the memory of this machine, or of this process's control group where that is less, in MB."""
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    for path in ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"):
        try:
            total = min(total, int(Path(path).read_text(encoding="utf-8")))
        except (OSError, ValueError):
            continue
    return total >> 20


def _bytes_below(folder: Path) -> int:
    """Return the size of the files below a folder, which a repetition replaces."""
    return sum(path.stat().st_size for path in folder.rglob("*.pt") if path.is_file()) if folder.is_dir() else 0
