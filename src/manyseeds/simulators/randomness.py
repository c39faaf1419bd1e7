"""What is random in an episode besides its start: other masses, noisy observations, late actions, pushes.

`tasks.base` says which numbers there are. Here they act on tensors, for every simulator that steps a task.
"""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from manyseeds.core.errors import UserError
from manyseeds.tasks import base
from manyseeds.tasks.base import Factor, Task

if TYPE_CHECKING:
    import mujoco

KINDS = ("body", "geom", "pair", "dof", "actuator")
"""What the arrays that a factor multiplies begin with; the names of "dof" are those of joints."""


class StepRandomness:
    """Noise of observations, delay of actions and pushes of `n` environments.

    The numbers are drawn by a generator of its own, so that they do not depend on how many episodes end.

    Args:
        task: the task.
        cfg: its numbers.
        n: environments.
        device: where everything lives.
        model: the compiled MJCF.
    """

    def __init__(self, task: Task, cfg: Any, n: int, device: str, model: "mujoco.MjModel") -> None:
        self._generator = torch.Generator(device)
        self._limits = base.observation_noise(task, cfg, device) if cfg.observation_noise else None
        self._noise = torch.zeros(n, task.observation_width, device=device)
        self._push_speed, self._push_share = cfg.push_speed, cfg.step_dt / cfg.push_interval_s
        self.pushed_dof = _pushed_dof(task, model) if cfg.push_speed else 0

    def begin(self, seed: int) -> None:
        """Draw anew from here on."""
        self._generator.manual_seed(seed)
        self.renew_noise()

    def renew_noise(self) -> None:
        """Draw the noise of the next observation."""
        if self._limits is not None:
            torch.mul(self._uniform(*self._noise.shape) * 2 - 1, self._limits, out=self._noise)

    def blur(self, observations: Tensor) -> Tensor:
        """Return observations (n, width) with the present noise."""
        return observations if self._limits is None else observations + self._noise

    def pushes(self) -> Tensor | None:
        """Return what this step adds to the velocities in x and y, (n, 2) m/s, mostly zeros; None without pushes."""
        if not self._push_speed:
            return None
        drawn = self._uniform(len(self._noise), 3)
        speeds = (drawn[:, 1:] * 2 - 1) * self._push_speed
        return torch.where(drawn[:, :1] < self._push_share, speeds, 0.0)

    def state_dict(self) -> dict[str, Tensor]:
        """Return what determines the draws to come, and the present noise."""
        return {"step_generator": self._generator.get_state(), "noise": self._noise.to("cpu", copy=True)}

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """Take over what `state_dict` returned."""
        self._generator.set_state(state["step_generator"])
        self._noise.copy_(state["noise"])

    def _uniform(self, *shape: int) -> Tensor:
        return torch.rand(shape, generator=self._generator, device=self._noise.device)


def _pushed_dof(task: Task, model: "mujoco.MjModel") -> int:
    """Return the first degree of freedom of the body that is pushed.

    Raises:
        UserError: when there is no such body, or it does not move freely.
    """
    free = [model.body(i).name for i in range(model.nbody) if model.body_dofnum[i] == 6]
    if task.pushed not in free:
        allowed = ", ".join(free) or "no body"
        raise UserError(f"task {task.name}: pushed is '{task.pushed}'; of the MJCF, {allowed} can move freely.")
    return int(model.body_dofadr[model.body(task.pushed).id])


def delayed(late: Tensor, delay: Tensor, actions: Tensor) -> Tensor:
    """Return the actions that are applied now, and keep those of the last steps.

    Args:
        late: (n, k, a) the last k actions, the newest first; renewed.
        delay: (n,) steps, at most k - 1.
        actions: (n, a) of this step.
    """
    late.copy_(torch.cat((actions[:, None], late[:, :-1]), dim=1))
    return late[torch.arange(len(late), device=late.device), delay.long()]


class Scaling:
    """Numbers of the model that each episode has of its own: those of its command, multiplied by its factors.

    Args:
        task: names the numbers, by its `adapt` and its `factors`.
        cfg: its numbers.
        model: the compiled MJCF.
        device: where the numbers live.
        dtype: of the simulator's numbers.

    Attributes:
        arrays: the arrays of the model that differ.
        derived: whether other constants of the model follow from these.

    Raises:
        UserError: when the model lacks what a factor or `adapt` names.
    """

    @classmethod
    def of(cls, task: Task, cfg: Any, model: "mujoco.MjModel", device: str, dtype: torch.dtype) -> "Scaling | None":
        """Return the same; None where all episodes have the numbers of the MJCF."""
        return cls(task, cfg, model, device, dtype) if task.adapt or base.differs(task, cfg) else None

    def __init__(self, task: Task, cfg: Any, model: "mujoco.MjModel", device: str, dtype: torch.dtype) -> None:
        self._task, self._cfg = task, cfg
        adapted = self._adapted(torch.zeros(1, task.command_width, device=device))
        self._rows = {(array, name): row_of(task, "adapt", array, name, model) for array, name in adapted}
        multiplied = list(_multiplied(task, model)) if base.differs(task, cfg) else []
        names = dict.fromkeys([*(array for array, _ in adapted), *(array for _, array, _ in multiplied)])
        masks = [(place, name, torch.from_numpy(mask).to(device)) for place, name, mask in multiplied]
        self.arrays = tuple(names)
        self.derived = bool(set(names) & set(type(model)._setconst_inputs))
        self._unchanged = {name: torch.tensor(getattr(model, name), dtype=dtype, device=device) for name in names}
        self._masks = {name: [(place, mask) for place, own, mask in masks if own == name] for name in names}

    def products(self, command: Tensor, factors: Tensor) -> Iterator[tuple[str, Tensor]]:
        """Yield each array's name and its numbers in k episodes, (k, ...).

        Args:
            command: (k, c).
            factors: (k, factors + 1); (k, 0) where no factor differs.
        """
        adapted = self._adapted(command)
        for name, values in self._unchanged.items():
            product = values.repeat(len(command), *[1] * values.dim())
            for key in (key for key in adapted if key[0] == name):
                product[:, self._rows[key]] = adapted[key].to(values.dtype)
            for place, mask in self._masks[name]:
                own = factors[:, place].to(values.dtype).view(-1, *[1] * mask.dim())
                product = torch.where(mask, product * own, product)
            yield name, product

    def _adapted(self, command: Tensor) -> Mapping[tuple[str, str], Tensor]:
        return self._task.adapt(self._cfg, command) if self._task.adapt else {}


def _multiplied(task: Task, model: "mujoco.MjModel") -> Iterator[tuple[int, str, np.ndarray]]:
    """Yield for each factor and array: the factor's place, the array's name, and which of its numbers are multiplied.

    These are a mask of the array's shape.
    """
    for place, (name, factor) in enumerate(task.factors.items()):
        for array, columns in factor.fields.items():
            values = getattr(model, array, None)
            if array.split("_")[0] not in KINDS or not isinstance(values, np.ndarray):
                raise _unfit(task, name, f"the array '{array}'", f"one of MuJoCo's model that begins with {KINDS}")
            mask = np.zeros(values.shape, bool)
            for row in _rows(task, name, factor, array, model):
                mask[(row, list(columns)) if columns else row] = True
            yield place, array, mask


def row_of(task: Task, what: str, array: str, name: str, model: "mujoco.MjModel") -> int:
    """Return the row of an array of the model that belongs to a body, geom, pair or actuator.

    Raises:
        UserError: naming the task's part `what`, when the model has no such array or name.
    """
    kind = array.split("_")[0]
    if kind not in KINDS or kind == "dof" or not isinstance(getattr(model, array, None), np.ndarray):
        raise UserError(f"task {task.name}: {what} names '{array}'; it must be an array of MuJoCo's model.")
    try:
        return int(getattr(model, kind)(name).id)
    except KeyError as error:
        raise UserError(f"task {task.name}: {what} names '{name}'; it must be a {kind} of the MJCF.") from error


def _rows(task: Task, name: str, factor: Factor, array: str, model: "mujoco.MjModel") -> list[int]:
    """Return the rows of an array that a factor multiplies."""
    kind = array.split("_")[0]
    if not factor.names:
        return list(range(len(getattr(model, array))))
    rows: list[int] = []
    for one in factor.names:
        try:
            if kind == "dof":
                joint = model.joint(one)
                rows += range(joint.dofadr[0], joint.dofadr[0] + len(joint.damping))
            else:
                rows.append(getattr(model, kind)(one).id)
        except KeyError as error:
            raise _unfit(task, name, f"'{one}'", f"the name of a {kind} of the MJCF") from error
    return rows


def _unfit(task: Task, name: str, what: str, allowed: str) -> UserError:
    return UserError(f"task {task.name}: factor {name} has {what}; it must be {allowed}.")
