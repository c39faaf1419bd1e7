"""What a task is: data, and pure functions of a batched state that every simulator uses.

Everything is batched over `n` environments, in SI units and the robot's root frame (x forward, y left, z up), on
whatever device the tensors live. Nothing here knows a simulator.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import mujoco
import torch
from torch import Tensor

from manyseeds.core.description import Description


@dataclass
class State:
    """What the terms of a task are functions of; n environments.

    Attributes:
        qpos: (n, nq) coordinates of the task's MJCF, rad and m.
        qvel: (n, nv) velocities of the task's MJCF, rad/s and m/s.
        sites: (n, 3) positions of the sites that the task names, m.
        rotations: (n, 4) orientations of these sites, w x y z.
        command: (n, c) what the episode asks for.
        action: (n, a) as the policy gave it.
        previous_action: (n, a) the one before; zeros after a reset.
        episode_length: (n,) steps done in the episode, the present one included.
    """

    qpos: Tensor
    qvel: Tensor
    sites: Mapping[str, Tensor]
    rotations: Mapping[str, Tensor]
    command: Tensor
    action: Tensor
    previous_action: Tensor
    episode_length: Tensor


@dataclass(frozen=True)
class Term:
    """An observation, a reward or a termination.

    Attributes:
        func: (cfg, state) -> (n, width) for an observation, (n,) for a reward, (n,) bool for a termination.
        width: numbers of an observation.
        unit: for the documentation and for policy exports.
    """

    func: Callable[[Any, State], Tensor]
    width: int = 1
    unit: str = ""


@dataclass(frozen=True)
class Starts:
    """Where `n` episodes start and what they command.

    Attributes:
        qpos: (n, nq) float32, coordinates at rest.
        command: (n, c).
        columns: the numbers of `Description.starts` by name, (n,) each.
    """

    qpos: Tensor
    command: Tensor
    columns: dict[str, Tensor] = field(default_factory=dict)


@dataclass(frozen=True)
class Trace:
    """An episode as it was played, for `Task.judge`: the state after every step, t steps of n episodes.

    Attributes:
        qpos: (t, n, nq).
        sites: (t, n, 3) by name.
        rotations: (t, n, 4) by name, w x y z.
        command: (n, c).
        step_dt: s.
    """

    qpos: Tensor
    sites: Mapping[str, Tensor]
    rotations: Mapping[str, Tensor]
    command: Tensor
    step_dt: float


@dataclass(frozen=True)
class Task:
    """A task; everything that is known of it stands here or is reached from here.

    Attributes:
        name: what configs and logs call it.
        cfg: a frozen dataclass of numbers with `physics_dt`, `decimation` and `episode_length_s`. A reward's weight is
            its field `<term>_weight`. `check_cfg(cfg)`, where a task has one, returns sentences about bad numbers.
        description: what tables and figures say of it.
        model: makes the MJCF.
        action_width: a.
        command_width: c.
        act: (cfg, actions (n, a)) -> controls (n, nu).
        observations: the parts of the observation, in their order.
        rewards: the terms, logged as Episode_Reward/<name>.
        terminations: besides the end of time, logged as Episode_Termination/<name>.
        success: whether the goal is met in a state, (n,) bool; its share of episodes is logged as Metrics/success_rate.
        metrics: numbers logged at the end of episodes as Metrics/<name>, such as the distance to the target.
        start: (cfg, n, generator) -> where evaluation episodes, and training episodes without `train_start`, start.
        train_start: the same for training episodes only.
        judge: (cfg, trace) -> the outcomes by name, (n,) each.
        sites: the sites of the MJCF that the terms use.
        show: (cfg, command (c,)) -> positions of the MJCF's mocap bodies, (k, 3), for pictures.
        kernels: module of an optional compiled step, which tests hold against the functions above.
    """

    name: str
    cfg: type
    description: Description
    model: Callable[[Any], mujoco.MjSpec]
    action_width: int
    command_width: int
    act: Callable[[Any, Tensor], Tensor]
    observations: dict[str, Term]
    rewards: dict[str, Term]
    terminations: dict[str, Term]
    success: Callable[[Any, State], Tensor]
    start: Callable[[Any, int, torch.Generator], Starts]
    judge: Callable[[Any, Trace], dict[str, Tensor]]
    train_start: Callable[[Any, int, torch.Generator], Starts] | None = None
    metrics: dict[str, Term] = field(default_factory=dict)
    check_cfg: Callable[[Any], list[str]] = lambda cfg: []
    sites: tuple[str, ...] = ()
    show: Callable[[Any, Tensor], Tensor] | None = None
    kernels: str | None = None
