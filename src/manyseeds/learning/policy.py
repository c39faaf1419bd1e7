"""A trained policy, loaded from a checkpoint and the parameters of its run."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from rsl_rl.models import MLPModel
from rsl_rl.utils import resolve_class
from tensordict import TensorDict

from manyseeds.core.errors import UserError
from manyseeds.learning.agent import resolve_actor
from manyseeds.learning.checkpoint import load_checkpoint
from manyseeds.learning.parallel import parallelize, thread_map


@dataclass(frozen=True)
class RunParams:
    """The params folder of a run: the configurations of the agent (for RSL-RL) and of the environment."""

    agent: dict[str, Any]
    env: dict[str, Any]


def read_params(run_dir: Path) -> RunParams:
    """Read params/agent.yaml and params/env.yaml of a run.

    Raises:
        UserError: if a file is missing or malformed.
    """
    contents = {}
    for name in ("agent", "env"):
        path = run_dir / "params" / f"{name}.yaml"
        try:
            contents[name] = yaml.safe_load(path.read_text(encoding="utf-8"))
        except OSError as error:
            raise UserError(f"{path} cannot be read: {error.strerror}.") from error
        except (yaml.YAMLError, UnicodeDecodeError) as error:
            raise UserError(f"{path} is not valid YAML.") from error
    env_path = run_dir / "params" / "env.yaml"
    for key in ("simulator", "task", "task_cfg"):
        if not isinstance(contents["env"], dict) or key not in contents["env"]:
            raise UserError(f"{env_path}: '{key}' is missing.")
    return RunParams(resolve_actor(contents["agent"], str(run_dir / "params" / "agent.yaml")), contents["env"])


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
        return int(content["iter"])

    def parallelize(self) -> None:
        """Use all threads, if on a CPU; afterwards the model cannot be exported."""
        if self._device == "cpu":
            parallelize(self.model.mlp, self._run)
