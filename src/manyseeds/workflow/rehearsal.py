"""What only trying shows: every agent is built, steps, learns and is judged once, on the smallest copy of the task.

A mistake in an agent or a task is then one sentence before any job starts, instead of a traceback after a queue's wait.
"""

import importlib.util
import json
from collections.abc import Iterator, Mapping
from contextlib import redirect_stdout
from io import StringIO
from typing import TYPE_CHECKING, Any

from manyseeds.config.conditions import conditions
from manyseeds.config.experiment import Experiment, Variant
from manyseeds.core.errors import UserError
from manyseeds.core.failures import is_out_of_memory
from manyseeds.tasks import registry

if TYPE_CHECKING:
    from manyseeds.tasks.base import Task

ENVS = 2
STEPS = 4
BATCHES = 2


def problems(
    experiment: Experiment, agents: Mapping[str, Mapping[str, Any]], task: "Task", source: str
) -> Iterator[str]:
    """Yield a sentence for everything that the jobs of an experiment would refuse.

    Args:
        experiment: the resolved experiment, whose agents and numbers of the task are allowed, and fit into memory.
        agents: the complete configuration of each variant's agent.
        task: its task.
        source: the config file's name.
    """
    seen: set[str] = set()
    for variant in experiment.variants if importlib.util.find_spec("mujoco") is not None else ():
        agent = agents[variant.name]
        shape = json.dumps([_shape(agent), sorted(variant.task_cfg)], sort_keys=True)
        if shape not in seen:
            seen.add(shape)
            yield from _tried(experiment, variant, agent, f"{source}: variant {variant.name}: ")


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
    from manyseeds.simulators import NonFiniteError, make_env
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
    for condition in conditions(experiment.evaluate.factors):
        numbers = {**variant.task_cfg, **overrides, **condition.overrides}
        # A few steps instead of a whole episode.
        numbers["episode_length_s"] = STEPS * configure(env.task, numbers).step_dt
        evaluation = None
        try:
            evaluation = make_env("mujoco", experiment.task, task_cfg=numbers, auto_reset=False, **options)
            evaluate_policy(evaluation, runner.alg.get_policy(), 0, evaluation_starts(evaluation, ENVS, 0))
        except Exception as error:
            if isinstance(error, NonFiniteError) or not condition.overrides:
                raise
            said = " ".join(str(error).split())
            raise UserError(f"evaluate.factors: {condition.name} cannot be played: {said or repr(error)}") from error
        finally:
            if evaluation is not None:
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
