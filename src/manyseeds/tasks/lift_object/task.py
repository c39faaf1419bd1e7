"""lift_object: a Franka arm grasps a cube and lifts it to a commanded target.

The numbers and terms are those of Isaac Lab's `IsaacContrib-Lift-Cube-Franka` (joint position control), which Isaac Lab
Arena's `lift_object` follows. Everything here is batched over `n` environments, in SI units and the robot's root frame
(x forward, y left, z up, origin in the arm's base), on whatever device the tensors live. Nothing knows a simulator.
"""

import dataclasses
from dataclasses import dataclass, fields
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from manyseeds.core.errors import UserError

MODEL_PATH = Path(__file__).parent / "panda.xml"
"""The robot, the table and the cube, as MJCF."""

Range = tuple[float, float]


@dataclass(frozen=True)
class LiftObjectCfg:
    """All numbers of the task. Lengths in m, angles in rad, times in s."""

    # Time.
    physics_dt: float = 0.01
    decimation: int = 2
    episode_length_s: float = 5.0

    # Actions: 7 joint positions around the default pose, then the gripper: a < 0 closes it, anything else opens it.
    action_scale: float = 0.5
    default_arm: tuple[float, ...] = (0.0, -0.569, 0.0, -2.810, 0.0, 3.037, 0.741)
    gripper_open: float = 0.04
    gripper_closed: float = 0.0

    # Command: where the cube shall be, uniform in a box, without rotation.
    target_x: Range = (0.4, 0.6)
    target_y: Range = (-0.25, 0.25)
    target_z: Range = (0.25, 0.5)

    # Reset: default pose; the cube a little above the table, uniform in a rectangle.
    object_x: Range = (0.4, 0.6)
    object_y: Range = (-0.25, 0.25)
    object_z: float = 0.055

    # Share of training episodes that start on the way to a grasp: the arm between home and the open hand around the
    # resting cube. 0 is the published task, and what every evaluation uses. Without such starts a policy has to meet
    # the first grasp by chance. The arm has gone u ** exponent of the way, u uniform: below 1, more are near the cube.
    grasp_start_share: float = 0.0
    grasp_start_exponent: float = 1.0
    grasp_start_tilt: Range = (0.0, 0.8)

    # Rewards; every term is multiplied by its weight and by the step's duration.
    reaching_object_weight: float = 1.0
    reaching_object_std: float = 0.1
    lifting_object_weight: float = 15.0
    lifting_object_height: float = 0.04
    # The cube counts as lifted only this near to the end effector; 0, the published task, is anywhere. Without a limit
    # it pays to bat the cube into the air.
    lifting_object_reach: float = 0.0
    object_goal_tracking_weight: float = 16.0
    object_goal_tracking_std: float = 0.3
    object_goal_tracking_fine_grained_weight: float = 5.0
    object_goal_tracking_fine_grained_std: float = 0.05
    action_rate_weight: float = -1e-4
    joint_vel_weight: float = -1e-4

    # Terminations. `success` ends an episode only where it is switched on: not in training.
    object_dropped_height: float = -0.05
    success_distance: float = 0.05
    success_ends_episode: bool = False

    @property
    def step_dt(self) -> float:
        """Duration of one environment step in s."""
        return self.physics_dt * self.decimation

    @property
    def episode_length(self) -> int:
        """Steps of a full episode."""
        return round(self.episode_length_s / self.step_dt)

    @classmethod
    def from_dict(cls, overrides: dict, source: str = "task configuration") -> "LiftObjectCfg":
        """Return the task with some numbers changed.

        Args:
            overrides: field name -> value; lists stand for tuples.
            source: what an error message names as the place of the mistake.

        Raises:
            UserError: for an unknown key, a wrong type or shape, a range upside down, a number that is not finite.
        """
        known = {f.name: f for f in fields(cls)}
        values: dict[str, Any] = {}
        for key, value in overrides.items():
            if key not in known:
                raise UserError(f"{source}: unknown key '{key}'; allowed are {', '.join(known)}.")
            values[key] = _like(known[key].default, value, f"{source}: '{key}'")
        cfg = dataclasses.replace(cls(), **values)
        for key in ("physics_dt", "decimation", "episode_length_s", "reaching_object_std", "object_goal_tracking_std",
                    "object_goal_tracking_fine_grained_std", "success_distance", "grasp_start_exponent"):  # fmt: skip
            if getattr(cfg, key) <= 0:
                raise UserError(f"{source}: '{key}' is {getattr(cfg, key)}; it must be greater than 0.")
        if cfg.lifting_object_reach < 0:
            raise UserError(f"{source}: 'lifting_object_reach' is {cfg.lifting_object_reach}; it must be 0 or greater.")
        if not 0 <= cfg.grasp_start_share <= 1:
            raise UserError(f"{source}: 'grasp_start_share' is {cfg.grasp_start_share}; it must be between 0 and 1.")
        if cfg.episode_length < 1:
            raise UserError(f"{source}: 'episode_length_s' is {cfg.episode_length_s}; it must last at least one step.")
        return cfg


def _like(default: Any, value: Any, where: str) -> Any:
    """Return `value` in the type of `default`, or raise the sentence a user can act on."""
    if isinstance(default, tuple):
        if not isinstance(value, (list, tuple)) or len(value) != len(default):
            raise UserError(f"{where} is {value!r}; it must be a list of {len(default)} numbers.")
        numbers = tuple(_like(0.0, v, where) for v in value)
        if len(default) == 2 and numbers[0] > numbers[1]:
            raise UserError(f"{where} is {value!r}; the first number must not exceed the second.")
        return numbers
    if isinstance(default, bool) or isinstance(value, bool):
        if type(value) is not type(default):
            raise UserError(f"{where} is {value!r}; it must be a {_NAMES[type(default)]}.")
        return value
    if isinstance(default, int) and not isinstance(value, int):
        raise UserError(f"{where} is {value!r}; it must be an integer.")
    if not isinstance(value, (int, float)) or value != value or value in (float("inf"), float("-inf")):
        raise UserError(f"{where} is {value!r}; it must be a finite number.")
    return type(default)(value)


_NAMES = {bool: "true or false", int: "integer", float: "number"}


@dataclass
class State:
    """What observations, rewards and terminations are functions of; n environments."""

    joint_pos: Tensor
    """(n, 9) seven arm joints in rad, two fingers in m."""
    joint_vel: Tensor
    """(n, 9) rad/s, m/s."""
    object_pos: Tensor
    """(n, 3) centre of the cube."""
    end_effector_pos: Tensor
    """(n, 3) the point between the finger pads."""
    target_pos: Tensor
    """(n, 3) the command."""
    action: Tensor
    """(n, 8) as the policy gave it."""
    previous_action: Tensor
    """(n, 8) the one before; zeros after a reset."""

    @cached_property
    def goal_distance(self) -> Tensor:
        """(n,) between cube and target, m; rewards, terminations and logs all want it."""
        return torch.linalg.vector_norm(self.object_pos - self.target_pos, dim=1)


NUM_ACTIONS = 8
NUM_OBSERVATIONS = 36
REWARD_TERMS = (
    "reaching_object",
    "lifting_object",
    "object_goal_tracking",
    "object_goal_tracking_fine_grained",
    "action_rate",
    "joint_vel",
)
OBSERVATION_TERMS = {"joint_pos": 9, "joint_vel": 9, "object_position": 3, "target_object_position": 7, "actions": 8}
"""Widths of the observation's parts, in their order."""
TERMINATION_TERMS = ("time_out", "object_dropped", "success")


@lru_cache(maxsize=64)
def _constant(values: tuple, device: torch.device) -> Tensor:
    """Return the numbers on a device, made once: copying them there would make every step wait for a GPU."""
    with torch.inference_mode(False):
        return torch.tensor(values, device=device)


def default_joint_pos(cfg: LiftObjectCfg, device: torch.device | str = "cpu") -> Tensor:
    """Return the default pose, (9,): seven arm joints in rad, two fingers in m. It is not to be changed."""
    return _constant((*cfg.default_arm, cfg.gripper_open, cfg.gripper_open), torch.device(device))


def joint_targets(cfg: LiftObjectCfg, action: Tensor) -> Tensor:
    """Return the joint position targets, (n, 9) in rad and m, of actions (n, 8)."""
    arm = torch.add(_constant(cfg.default_arm, action.device), action[:, :7], alpha=cfg.action_scale)
    finger = torch.where(action[:, 7:] < 0, cfg.gripper_closed, cfg.gripper_open)
    return torch.cat((arm, finger, finger), dim=1)


def observations(cfg: LiftObjectCfg, state: State) -> Tensor:
    """Return the policy's observation, (n, 36).

    joint_pos_rel 9, joint_vel_rel 9, object_position 3, target_object_position 7 (position, then the identity
    quaternion as Isaac Lab 3.0 writes it: x y z w), last action 8.
    """
    n, device = len(state.joint_pos), state.joint_pos.device
    joint_pos_rel = state.joint_pos - default_joint_pos(cfg, device)
    rotation = _constant((0.0, 0.0, 0.0, 1.0), device).expand(n, 4)
    return torch.cat(
        (joint_pos_rel, state.joint_vel, state.object_pos, state.target_pos, rotation, state.action), dim=1
    )


def rewards(cfg: LiftObjectCfg, state: State) -> Tensor:
    """Return every reward term, (n, 6) in the order of REWARD_TERMS, weighted and times the step's duration."""
    terms = unweighted_rewards(cfg, state)
    return terms * reward_weights(cfg, terms.device)


@lru_cache(maxsize=64)
def reward_weights(cfg: LiftObjectCfg, device: torch.device | str = "cpu") -> Tensor:
    """Return the weights of REWARD_TERMS times the step's duration, (6,). They are not to be changed."""
    weights = tuple(getattr(cfg, f"{name}_weight") for name in REWARD_TERMS)
    with torch.inference_mode(False):
        return _constant(weights, torch.device(device)) * cfg.step_dt


def reward_stds(cfg: LiftObjectCfg, device: torch.device | str = "cpu") -> Tensor:
    """Return the stds of the rewards for reaching, tracking and tracking finely, (3,) m. Not to be changed."""
    stds = (cfg.reaching_object_std, cfg.object_goal_tracking_std, cfg.object_goal_tracking_fine_grained_std)
    return _constant(stds, torch.device(device))


def unweighted_rewards(cfg: LiftObjectCfg, state: State) -> Tensor:
    """Return every reward term, (n, 6) in the order of REWARD_TERMS, without weights.

    Distances enter through 1 - tanh(d / std); goal tracking counts only while the cube is lifted: above the lifting
    height and, where `lifting_object_reach` sets a limit, near the end effector.
    """
    reach = torch.linalg.vector_norm(state.object_pos - state.end_effector_pos, dim=1)
    lifted = state.object_pos[:, 2:] > cfg.lifting_object_height
    if cfg.lifting_object_reach > 0:
        lifted = lifted & (reach < cfg.lifting_object_reach)[:, None]
    distances = torch.stack((reach, state.goal_distance, state.goal_distance), dim=1)
    near = 1 - torch.tanh(distances / reward_stds(cfg, reach.device))
    return torch.cat(
        (
            near[:, :1],
            lifted.float(),
            lifted * near[:, 1:],
            (state.action - state.previous_action).square().sum(1, keepdim=True),
            state.joint_vel.square().sum(1, keepdim=True),
        ),
        dim=1,
    )


def terminations(cfg: LiftObjectCfg, state: State, episode_length: Tensor) -> Tensor:
    """Return which terminations hold, (n, 3) bool in the order of TERMINATION_TERMS.

    Args:
        cfg: the task.
        state: of n environments.
        episode_length: (n,) steps done, the present one included.
    """
    return torch.stack(
        (
            episode_length >= cfg.episode_length,
            state.object_pos[:, 2] < cfg.object_dropped_height,
            (state.goal_distance < cfg.success_distance) & cfg.success_ends_episode,
        ),
        dim=1,
    )


def sample_resets(cfg: LiftObjectCfg, n: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Draw where `n` episodes start and what they command, on the generator's device.

    Returns:
        The cube's x and y, (n, 2), and its target, (n, 3).
    """
    ranges = _constant((cfg.object_x, cfg.object_y, cfg.target_x, cfg.target_y, cfg.target_z), generator.device)
    draws = (
        torch.rand(n, 5, generator=generator, device=generator.device) * (ranges[:, 1] - ranges[:, 0]) + ranges[:, 0]
    )
    return draws[:, :2], draws[:, 2:]
