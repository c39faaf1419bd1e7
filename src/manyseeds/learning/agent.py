"""Agent files: JSON in the policy-training guide's layout or in RSL-RL's, checked and completed for RSL-RL.

The guide is Isaac Lab Arena's (https://isaac-sim.github.io/IsaacLab-Arena/); its layout has `policy`, as in older
releases of RSL-RL, and Arena's own files call it `policy_cfg`. The keys of a class are the arguments of its `__init__`,
so there is no second list of them here. Missing keys get the defaults of the class.
"""

import difflib
import importlib
import inspect
import json
import math
import types
import typing
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from manyseeds.config.errors import LARGEST
from manyseeds.config.settings import NUM_STEPS_PER_ENV
from manyseeds.core.errors import UserError
from manyseeds.core.files import read_object
from manyseeds.learning import ppo
from manyseeds.learning.rsl_rl import (
    algorithms,
    distribution,
    models,
    resolve_nn_activation,
    resolve_optimizer,
)
from manyseeds.tasks.base import Task

DEFAULT_AGENT = Path(__file__).with_name("generic_policy.json")
"""The guide's hyper-parameters."""
OUR_PPO = f"{ppo.PPO.__module__}:{ppo.PPO.__name__}"
"""What `PPO` means as the class of the algorithm."""
STOCK_PPO = f"{algorithms.__name__}:{algorithms.PPO.__name__}"
"""The name of RSL-RL's own."""

WIDEST = 100_000
"""Units of a layer."""

_TOP_KEYS = ("num_steps_per_env", "obs_groups", "algorithm")
_ARENAS_NAMES = {"policy_cfg": "policy", "algorithm_cfg": "algorithm"}
_POLICY_KEYS: dict[str, tuple[type, Any]] = {
    "class_name": (str, "ActorCritic"),
    "activation": (str, "elu"),
    "actor_hidden_dims": (list, [256, 256, 256]),
    "critic_hidden_dims": (list, [256, 256, 256]),
    "init_noise_std": (float, 1.0),
    "noise_std_type": (str, "scalar"),
    "actor_obs_normalization": (bool, False),
    "critic_obs_normalization": (bool, False),
}
_OBS_GROUPS = {"actor": ["policy"], "critic": ["policy"]}
# Arena observes the robot in "policy" and the object in "task_obs"; our "policy" has both.
_ALLOWED_GROUPS = (["policy"], ["policy", "task_obs"])
_NOT_IN_FILES = {
    "self", "actor", "critic", "storage", "device", "multi_gpu_cfg", "grad_reduce_bucket_mb",
    "obs", "obs_groups", "obs_set", "output_dim",
}  # fmt: skip
# An exact resume would have to save their state too.
_UNSUPPORTED = {"rnd_cfg", "symmetry_cfg"}
_POSITIVE = {"clip_param", "learning_rate", "max_grad_norm", "desired_kl", "init_std", "init_noise_std"}
_RANGES: dict[str, tuple[float, float | None]] = {
    "num_steps_per_env": (1, None),
    "num_learning_epochs": (1, None),
    "num_mini_batches": (1, None),
    "gamma": (0, 1),
    "lam": (0, 1),
    "value_loss_coef": (0, None),
    "entropy_coef": (0, None),
}
_CHOICES: dict[str, Callable[[str], object] | tuple[str, ...]] = {
    "schedule": ("adaptive", "fixed"),
    "std_type": ("scalar", "log"),
    "noise_std_type": ("scalar", "log"),
    "optimizer": resolve_optimizer,
    "activation": resolve_nn_activation,
}


def load_agent(path: str | Path) -> dict[str, Any]:
    """Read an agent file and return the complete configuration for RSL-RL.

    Returns:
        A dictionary of num_steps_per_env, obs_groups, actor, critic and algorithm, with every key filled in.

    Raises:
        UserError: if the file cannot be read, or a key or value is not allowed.
    """
    name = f"agent file {path}"
    return resolve_agent(read_object(path, name), name)


def resolve_agent(content: Any, source: str = "agent") -> dict[str, Any]:
    """Check the content of an agent file and return the complete configuration; see `load_agent`."""
    _require(content, dict, source)
    content = _with_guides_names(content, source)
    layout = ("policy",) if "policy" in content else ("actor", "critic")
    _check_keys(content, (*_TOP_KEYS, *layout), source)
    for key in ("algorithm", *layout):
        if key not in content:
            raise UserError(f"{source}: '{key}' is missing; a file has algorithm, actor and critic (RSL-RL 5), "
                            "or algorithm and policy (older).")  # fmt: skip
    steps = content.get("num_steps_per_env", NUM_STEPS_PER_ENV)
    _check_value(steps, int, "num_steps_per_env", f"{source}: num_steps_per_env", {})
    if "policy" in content:
        actor, critic = _from_policy(content["policy"], f"{source}: policy")
    else:
        actor, critic = content["actor"], content["critic"]
    agent = {
        "num_steps_per_env": steps,
        "obs_groups": _obs_groups(content.get("obs_groups", _OBS_GROUPS), f"{source}: obs_groups"),
        "actor": _model(actor, f"{source}: actor", stochastic=True),
        "critic": _model(critic, f"{source}: critic", stochastic=False),
        "algorithm": _algorithm(content["algorithm"], f"{source}: algorithm"),
    }
    if agent["algorithm"]["class_name"] == OUR_PPO and (problem := ppo.unsupported(agent)):
        raise UserError(f"{source}: {problem}; to train with RSL-RL's own, set algorithm.class_name to '{STOCK_PPO}'.")
    return agent


def too_few_samples(agent: Mapping[str, Any], num_envs: int) -> str | None:
    """Say that a process collects fewer samples in an iteration than there are mini-batches; None if it does not.

    Args:
        agent: the complete configuration.
        num_envs: environments of one process.
    """
    samples, batches = num_envs * agent["num_steps_per_env"], agent["algorithm"]["num_mini_batches"]
    if samples >= batches:
        return None
    return (
        f"algorithm.num_mini_batches is {batches}; it must be at most num_envs (of one process) times"
        f" num_steps_per_env, {samples}."
    )


def without_mirror(agent: Mapping[str, Any], task: Task) -> str | None:
    """Say that an agent learns from the mirror images of a task that has none; None if it does not.

    Args:
        agent: the complete configuration.
        task: the task.
    """
    if not agent["algorithm"].get("mirror_augmentation") or task.mirror is not None:
        return None
    return f"algorithm.mirror_augmentation is true; it must be false, because the task {task.name} has no mirror."


def resolve_actor(content: Any, source: str) -> dict[str, Any]:
    """Check what acting needs of a run's params/agent.yaml: obs_groups and actor.

    The rest concerns training alone, so a checkpoint can be played by a version that trains by other options.

    Raises:
        UserError: for a key or value that is not allowed.
    """
    _require(content, dict, source)
    if "actor" not in content:
        raise UserError(f"{source}: 'actor' is missing.")
    return {
        "obs_groups": _obs_groups(content.get("obs_groups", _OBS_GROUPS), f"{source}: obs_groups"),
        "actor": _model(content["actor"], f"{source}: actor", stochastic=True),
    }


def _with_guides_names(content: Mapping[str, Any], source: str) -> dict[str, Any]:
    """Return the content with the guide's names of sections in place of those in Arena's own files."""
    for theirs, name in _ARENAS_NAMES.items():
        if theirs in content and name in content:
            raise UserError(f"{source} has both '{theirs}' and '{name}', which mean the same; it must have one.")
    return {_ARENAS_NAMES.get(key, key): value for key, value in content.items()}


def _algorithm(content: Any, where: str) -> dict[str, Any]:
    _require(content, dict, where)
    if content.get("class_name", "PPO") == "PPO":
        content = {**content, "class_name": OUR_PPO}
    return _section(content, algorithms.PPO, algorithms, OUR_PPO, where)


def _from_policy(policy: Any, where: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Translate `policy` of the older layout into RSL-RL 5's actor and critic."""
    _require(policy, dict, where)
    _check_keys(policy, _POLICY_KEYS, where)
    for key, value in policy.items():
        _check_value(value, _POLICY_KEYS[key][0], key, f"{where}.{key}", {})
    full = {key: default for key, (_, default) in _POLICY_KEYS.items()} | policy
    if full["class_name"] != "ActorCritic":
        raise UserError(f"{where}.class_name is '{full['class_name']}'; it must be ActorCritic.")
    models_of = {
        role: {
            "class_name": "MLPModel",
            "hidden_dims": full[f"{role}_hidden_dims"],
            "activation": full["activation"],
            "obs_normalization": full[f"{role}_obs_normalization"],
        }
        for role in ("actor", "critic")
    }
    models_of["actor"]["distribution_cfg"] = {
        "class_name": "GaussianDistribution",
        "init_std": full["init_noise_std"],
        "std_type": full["noise_std_type"],
    }
    return models_of["actor"], models_of["critic"]


def _model(content: Any, where: str, stochastic: bool) -> dict[str, Any]:
    section = _section(content, models.MLPModel, models, "MLPModel", where)
    if stochastic:
        gaussian = section["distribution_cfg"] or {"class_name": "GaussianDistribution"}
        section["distribution_cfg"] = _section(
            gaussian,
            distribution.Distribution,
            distribution,
            "GaussianDistribution",
            f"{where}.distribution_cfg",
        )
    elif section["distribution_cfg"] is not None:
        raise UserError(f"{where}.distribution_cfg must be null: the critic is deterministic.")
    return section


def _section(content: Any, base: type, home: types.ModuleType, default: str, where: str) -> dict[str, Any]:
    """Check one section against the `__init__` of the class it names; fill in the defaults of the class."""
    _require(content, dict, where)
    name = content.get("class_name", default)
    cls = _resolve_class(name, base, home, f"{where}.class_name")
    parameters, hints = _parameters(cls)
    keys = [key for key in parameters if key not in _NOT_IN_FILES]
    _check_keys(content, ("class_name", *keys), where)
    section = {"class_name": name}
    for key in keys:
        if key in content:
            _check_value(content[key], hints.get(key, Any), key, f"{where}.{key}", getattr(cls, "RANGES", {}))
        elif parameters[key].default is inspect.Parameter.empty:
            raise UserError(f"{where}: '{key}' is missing; {name} needs it.")
        if key in _UNSUPPORTED:
            if content.get(key) is not None:
                raise UserError(f"{where}.{key} must be null: it is not supported.")
            continue
        section[key] = _plain(content.get(key, parameters[key].default))
    return section


def _parameters(cls: type) -> tuple[dict[str, inspect.Parameter], dict[str, Any]]:
    """Return the arguments of a class and their types, with those of its base if it takes `**kwargs`."""
    parameters: dict[str, inspect.Parameter] = {}
    hints: dict[str, Any] = {}
    variadic = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    for ancestor in cls.__mro__:
        if "__init__" not in vars(ancestor):
            continue
        own = inspect.signature(vars(ancestor)["__init__"]).parameters
        parameters = {key: part for key, part in own.items() if part.kind not in variadic} | parameters
        hints = typing.get_type_hints(vars(ancestor)["__init__"]) | hints
        if inspect.Parameter.VAR_KEYWORD not in (part.kind for part in own.values()):
            break
    return parameters, hints


def _resolve_class(name: Any, base: type, home: types.ModuleType, where: str) -> type:
    _check_value(name, str, "class_name", where, {})
    try:
        if ":" in name:
            module, attribute = name.split(":", 1)
            cls = getattr(importlib.import_module(module), attribute)
        else:
            cls = getattr(home, name)
    except Exception as error:  # the module is the user's, and may raise anything
        raise UserError(
            f"{where} is '{name}'; it must be a class of RSL-RL or a 'module:Class' that is installed or on PYTHONPATH "
            f"({type(error).__name__}: {error})."
        ) from error
    if not (isinstance(cls, type) and issubclass(cls, base)) or getattr(cls, "is_recurrent", False):
        raise UserError(f"{where} is '{name}'; it must be {base.__name__} or a subclass that is not recurrent.")
    return cls


def _check_value(
    value: Any, hint: Any, key: str, where: str, ranges: Mapping[str, tuple[float | None, float | None]]
) -> None:
    if not _conforms(value, hint):
        raise UserError(f"{where} is {_shown(value)}; it must be {_type_name(hint)}.")
    if key == "init_std" and isinstance(value, list):
        for index, item in enumerate(value):
            _check_value(item, float, key, f"{where}[{index}]", ranges)
    if isinstance(value, int) and abs(value) >= LARGEST:
        raise UserError(f"{where} is {str(value)[:20]}...; it must be less than {LARGEST}.")
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        low, high = {**_RANGES, **ranges}.get(key, (None, None))
        if not math.isfinite(value) or (key in _POSITIVE and value <= 0):
            raise UserError(f"{where} is {value}; it must be a finite number{' greater than 0' * (key in _POSITIVE)}.")
        if (low is not None and value < low) or (high is not None and value > high):
            limits = [f"at least {low}"] * (low is not None) + [f"at most {high}"] * (high is not None)
            raise UserError(f"{where} is {value}; it must be {' and '.join(limits)}.")
    if key.endswith("hidden_dims") and (not value or min(value) < 1 or max(value) > WIDEST):
        raise UserError(
            f"{where} is {_shown(value)}; it must be a list of at least one layer width, from 1 to {WIDEST}."
        )
    if key in _CHOICES:
        choices = _CHOICES[key]
        try:
            allowed = choices(value) is not None if callable(choices) else value in choices
        except ValueError as error:
            raise UserError(f"{where} is '{value}'; {str(error).split('. ')[-1]}.") from error
        if not allowed:
            raise UserError(f"{where} is '{value}'; it must be {' or '.join(choices)}.")  # type: ignore[arg-type]


def _conforms(value: Any, hint: Any) -> bool:
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if hint is Any:
        return True
    if origin in (typing.Union, types.UnionType):
        return any(_conforms(value, arg) for arg in args)
    if origin in (list, tuple):
        if not isinstance(value, list):
            return False
        if origin is tuple and Ellipsis not in args:
            return len(value) == len(args) and all(map(_conforms, value, args))
        return all(_conforms(item, args[0]) for item in value)
    if origin is dict:
        return isinstance(value, dict)
    if hint is float:
        return isinstance(value, (int, float)) and not isinstance(value, bool)
    if hint is int:
        return isinstance(value, int) and not isinstance(value, bool)
    if hint is list:
        return isinstance(value, list) and all(_conforms(item, int) for item in value)
    return isinstance(value, hint)


def _type_name(hint: Any) -> str:
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        return " or ".join(dict.fromkeys(_type_name(arg) for arg in args))
    if origin in (list, tuple) or hint is list:
        item = args[0] if args else int
        count = f"{len(args)} " if origin is tuple and Ellipsis not in args else ""
        return f"a list of {count}{'whole numbers' if item is int else 'numbers'}"
    names = {int: "a whole number", float: "a number", str: "text", bool: "true or false", dict: "an object",
             type(None): "null"}  # fmt: skip
    return names.get(origin or hint, "another type")


def _obs_groups(groups: Any, where: str) -> dict[str, list[str]]:
    _require(groups, dict, where)
    # The older layout calls the actor's groups "policy".
    renamed = {("actor" if key == "policy" else key): value for key, value in groups.items()}
    _check_keys(renamed, _OBS_GROUPS, where)
    for key, value in renamed.items():
        if value not in _ALLOWED_GROUPS:
            raise UserError(
                f"{where}.{key} is {_shown(value)}; it must be ['policy'], the task's only group, or Arena's"
                " ['policy', 'task_obs'], which means the same here."
            )
    return {key: list(value) for key, value in _OBS_GROUPS.items()}


def _require(content: Any, kind: type, where: str) -> None:
    if not isinstance(content, kind):
        raise UserError(f"{where} is {_shown(content)}; it must be {_type_name(kind)}.")


def _check_keys(content: Mapping[str, Any], known: typing.Iterable[str], where: str) -> None:
    known = list(known)
    for key in content:
        if key not in known:
            close = difflib.get_close_matches(key, known, n=1)
            hint = f"did you mean '{close[0]}'?" if close else f"known are {', '.join(known)}."
            raise UserError(f"{where}: unknown key '{key}'; {hint}")


def _plain(value: Any) -> Any:
    return [_plain(item) for item in value] if isinstance(value, (list, tuple)) else value


def _shown(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
