"""A task of one file: a cart on a rail pushes a puck to a commanded place. Tests copy this file and train it."""

from dataclasses import dataclass

import mujoco
import torch

from manyseeds.core.description import Description, Outcome, Start
from manyseeds.tasks.base import Starts, State, Task, TaskCfg, Term, Trace, positive, shared, uniform

MJCF = """
<mujoco>
  <option timestep="0.01" integrator="implicitfast"/>
  <worldbody>
    <camera name="above" pos="0 -1 1" xyaxes="1 0 0 0 0.7 0.7"/>
    <geom type="plane" size="2 2 0.1"/>
    <body name="cart" pos="0 0 0.1">
      <joint name="rail" type="slide" axis="1 0 0" range="-1 1" damping="1"/>
      <geom name="cart" type="box" size="0.05 0.05 0.05" mass="1"/>
      <body pos="0.1 0 0">
        <joint name="swing" type="hinge" axis="0 1 0" pos="-0.02 0 0" damping="0.1"/>
        <geom type="capsule" fromto="0 0 0 0.1 0 0" size="0.02" mass="0.1" contype="0" conaffinity="0"/>
        <site name="tip" pos="0.1 0 0" quat="0.8 0.6 0 0"/>
      </body>
    </body>
    <body name="puck" pos="0.5 0 0.05">
      <freejoint/>
      <geom type="sphere" size="0.05" mass="0.1"/>
      <site name="puck"/>
    </body>
    <body name="goal" mocap="true">
      <geom type="sphere" size="0.02" group="2" contype="0" conaffinity="0" mass="0"/>
    </body>
  </worldbody>
  <actuator><motor name="rail" joint="rail" gear="5"/></actuator>
</mujoco>
"""


@dataclass(frozen=True)
class PushCfg(TaskCfg):
    """Lengths in m, times in s."""

    episode_length_s: float = 1.0
    goal: tuple[float, float] = (0.2, 0.8)
    near_weight: float = 1.0
    near_std: float = 0.2
    effort_weight: float = -0.01
    close: float = 0.1


@shared
def distance(cfg: PushCfg, state: State) -> torch.Tensor:
    return (state.sites["puck"][:, 0] - state.command[:, 0]).abs()


def start(cfg: PushCfg, n: int, generator: torch.Generator) -> Starts:
    draws = uniform((cfg.goal, (-0.1, 0.1)), n, generator)
    rest = torch.tensor([0.0, 0.0, 0.5, 0.0, 0.05, 1.0, 0.0, 0.0, 0.0], device=generator.device)
    qpos = rest.repeat(n, 1)
    qpos[:, 0] = draws[:, 1]
    return Starts(qpos, draws[:, :1], {"goal_x": draws[:, 0]})


def judge(cfg: PushCfg, trace: Trace) -> dict[str, torch.Tensor]:
    gap = (trace.sites["puck"][:, :, 0] - trace.command[:, 0]).abs()
    return {"pushed": gap[-1] < cfg.close, "gap": gap[-1], "first_s": trace.first_time(gap < cfg.close)}


TASK = Task(
    name="push",
    cfg=PushCfg,
    description=Description(
        starts=(Start("goal_x", "goal", "m"),),
        outcomes=(
            Outcome("pushed", "Pushed", "share", "the puck was at its goal at the last step"),
            Outcome("gap", "Gap", "measure", "distance at the last step", "m", "lower"),
            Outcome("first_s", "First", "measure", "when it first was there", "s", "lower"),
        ),
        summary="a cart pushes a puck to a commanded place",
    ),
    model=lambda cfg: mujoco.MjSpec.from_string(MJCF),
    action_width=1,
    command_width=1,
    act=lambda cfg, actions: actions.clamp(-1, 1),
    observations={
        "cart": Term(lambda cfg, state: state.qpos[:, :2], 2, "m, rad"),
        "tip": Term(lambda cfg, state: torch.cat((state.sites["tip"], state.rotations["tip"]), 1), 7, "m; quaternion"),
        "puck": Term(lambda cfg, state: state.sites["puck"], 3, "m"),
        "goal": Term(lambda cfg, state: state.command, 1, "m"),
    },
    rewards={
        "near": Term(lambda cfg, state: 1 - torch.tanh(distance(cfg, state) / cfg.near_std)),
        "effort": Term(lambda cfg, state: state.action.square().sum(1)),
    },
    terminations={"off": Term(lambda cfg, state: state.qpos[:, 2] > 1.5)},
    success=lambda cfg, state: distance(cfg, state) < cfg.close,
    metrics={"gap": Term(distance)},
    start=start,
    judge=judge,
    check_cfg=lambda cfg: positive(cfg, "near_std"),
    sites=("tip", "puck"),
    show=lambda cfg, command: torch.cat((command, torch.zeros_like(command), torch.zeros_like(command)), 1)[:, None],
)
