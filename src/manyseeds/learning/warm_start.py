"""Start a training from the networks of a checkpoint: of this package, or of any release of RSL-RL."""

from collections.abc import Mapping
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from manyseeds.core.errors import UserError
from manyseeds.learning.checkpoint import read_plain
from manyseeds.learning.rsl_rl import MLPModel, resolve_class
from manyseeds.simulators.vec_env import TensorDict

ROLES = ("actor", "critic")
_NORMALIZERS = {
    "actor": ("obs_norm_state_dict",),
    "critic": ("privileged_obs_norm_state_dict", "critic_obs_norm_state_dict"),
}
"""Where releases 1 and 2 of RSL-RL keep the statistics of observations."""

Networks = dict[str, dict[str, Tensor]]
"""The parameters of actor and critic, the statistics of their observations included, by RSL-RL 5's names."""


def read_networks(path: str | Path, name: str = "") -> Networks:
    """Read actor and critic of a checkpoint of this package or of RSL-RL 1 to 5.

    The actor is the one that evaluations play: where this package averaged it, the average.

    Args:
        path: the checkpoint.
        name: what errors call it; by default its path.

    Raises:
        UserError: when the file is missing, damaged, would run code, or holds no such networks.
    """
    name = name or str(path)
    content = read_plain(path, name)
    if isinstance(content, dict) and all(f"{role}_state_dict" in content for role in ROLES):
        return {role: dict(content[f"{role}_state_dict"]) for role in ROLES}
    old = content.get("model_state_dict") if isinstance(content, dict) else None
    if not isinstance(old, Mapping):
        raise UserError(f"{name} is not a checkpoint of RSL-RL: it holds no networks of an actor and a critic.")
    return {role: _of_older_release(role, old, content) for role in ROLES}


def take_over(models: Mapping[str, MLPModel], networks: Networks, name: str) -> None:
    """Give models the parameters of a checkpoint.

    Args:
        models: the actor and the critic.
        networks: from `read_networks`.
        name: what errors call the checkpoint.

    Raises:
        UserError: naming the first parameter that does not fit.
    """
    for role, model in models.items():
        if problem := _misfit(role, model.state_dict(), networks[role]):
            raise UserError(f"{name} does not fit: {problem}.")
        model.load_state_dict(networks[role])


def check(
    path: str | Path, agent: Mapping[str, Any], observation_width: int, action_width: int, name: str = ""
) -> None:
    """Check that a checkpoint fits the networks that an agent would train.

    Args:
        path: the checkpoint.
        agent: the complete configuration, from `learning.agent.resolve_agent`.
        observation_width: numbers of an observation.
        action_width: numbers of an action.
        name: what errors call the checkpoint; by default its path.

    Raises:
        UserError: when it does not.
    """
    obs = TensorDict({"policy": torch.zeros(1, observation_width)}, batch_size=1)
    models = {}
    for role, width in (("actor", action_width), ("critic", 1)):
        cls, options = resolve_class(dict(agent[role]))
        with redirect_stdout(StringIO()):
            models[role] = cls(obs, agent["obs_groups"], role, width, **options)
    take_over(models, read_networks(path, name), name or str(path))


def _of_older_release(role: str, networks: Mapping[str, Tensor], content: Mapping[str, Any]) -> dict[str, Tensor]:
    """Return one network of an ActorCritic by RSL-RL 5's names."""
    found = {}
    for name, tensor in networks.items():
        own, _, rest = name.partition(".")
        if own == role:
            found[f"mlp.{rest}"] = tensor
        elif own == f"{role}_obs_normalizer":
            found[f"obs_normalizer.{rest}"] = tensor
        elif role == "actor" and name in ("std", "log_std"):
            found[f"distribution.{name}_param"] = tensor
    for key in _NORMALIZERS[role]:
        found |= {f"obs_normalizer.{name}": tensor for name, tensor in (content.get(key) or {}).items()}
    return found


def _misfit(role: str, wanted: Mapping[str, Tensor], given: Mapping[str, Tensor]) -> str | None:
    """Say what of a checkpoint's network is other than in the network that shall have it; None if nothing is."""
    for name in dict.fromkeys((*wanted, *given)):
        if name not in given:
            return f"its {role} has no {name}, which the agent's {role} has"
        if name not in wanted:
            return f"its {role} has {name}, which the agent's {role} does not have"
        shapes = [" x ".join(map(str, one[name].shape)) or "one number" for one in (given, wanted)]
        if shapes[0] != shapes[1]:
            return f"{name} of its {role} is {shapes[0]}; that of this agent and task is {shapes[1]}"
    return None
