"""A trained policy, loaded from a checkpoint and the parameters of its run."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from manyseeds.config.yaml_file import read_yaml
from manyseeds.core.errors import UserError
from manyseeds.core.text import shown
from manyseeds.learning import foreign
from manyseeds.learning.agent import resolve_actor
from manyseeds.learning.checkpoint import load_checkpoint
from manyseeds.learning.parallel import parallelize, thread_map
from manyseeds.learning.rsl_rl import MLPModel, resolve_class
from manyseeds.simulators.vec_env import TensorDict


@dataclass(frozen=True)
class RunParams:
    """The params folder of a run: the configurations of the agent (for RSL-RL) and of the environment."""

    agent: dict[str, Any]
    env: dict[str, Any]


def read_params(run_dir: Path) -> RunParams:
    """Read params/agent.yaml and params/env.yaml of a run.

    Raises:
        UserError: if a file is missing or malformed, or names code that is not allowed.
    """
    agent_path, env_path = (run_dir / "params" / f"{name}.yaml" for name in ("agent", "env"))
    agent, env = read_yaml(agent_path), read_yaml(env_path)
    for key, kind in (("simulator", str), ("task", str), ("task_cfg", dict)):
        if key not in env:
            raise UserError(f"{env_path}: '{key}' is missing.")
        if not isinstance(env[key], kind):
            raise UserError(f"{env_path}: '{key}' is {shown(env[key])}; it must be {_KINDS[kind]}.")
    foreign.check({}, env["task"], str(env_path))
    foreign.check(agent, None, str(agent_path))
    return RunParams(resolve_actor(agent, str(agent_path)), env)


_KINDS = {str: "text", dict: "a mapping"}


class Policy:
    """The deterministic policy of a run's checkpoints.

    Args:
        agent: the configuration for RSL-RL.
        obs: observations of the environment, for their sizes.
        num_actions: size of an action.
        threads: threads for the network on a CPU; results do not depend on the number.
        device: torch device of the network and its observations.
    """

    def __init__(
        self, agent: dict[str, Any], obs: TensorDict, num_actions: int, threads: int = 1, device: str = "cpu"
    ) -> None:
        cls, options = resolve_class(dict(agent["actor"]))
        self.model: MLPModel = cls(obs, agent["obs_groups"], "actor", num_actions, **options)
        self.model.to(device).eval()
        self._device = device
        self._run = thread_map(threads)

    def load(self, checkpoint: str | Path) -> int:
        """Load the weights of a checkpoint; return its iteration.

        Raises:
            UserError: if the file is refused, is damaged or has another network.
        """
        content = load_checkpoint(checkpoint)
        try:
            self.model.load_state_dict(content["actor_state_dict"])
        except (RuntimeError, AttributeError, TypeError) as error:
            raise UserError(f"{checkpoint} does not fit the network in params/agent.yaml of its run.") from error
        for name, values in self.model.state_dict().items():
            if not torch.isfinite(values).all():
                raise UserError(f"{checkpoint} holds numbers that are not finite, in {name}.")
        iteration = content["iter"]
        if type(iteration) is not int or not 0 <= iteration < 2**63:
            raise UserError(f"{checkpoint}: iter is {shown(iteration)}; it must be a whole number of at least 0.")
        return iteration

    def parallelize(self) -> None:
        """Use all threads, if on a CPU; afterwards the model cannot be exported."""
        if self._device == "cpu":
            parallelize(self.model.mlp, self._run)
