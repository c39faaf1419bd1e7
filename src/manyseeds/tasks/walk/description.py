"""What tables and figures say of walk, and how an episode is judged; needs no torch to be imported."""

from typing import Any

from manyseeds.core.description import Description, Map, Outcome, Start

FEET = ("FL_foot", "FR_foot", "RL_foot", "RR_foot")
"""The sites in the feet's centres: front left, front right, rear left, rear right."""
FOOT_RADIUS = 0.022
TRUNK = (0.1881, 0.04675, 0.057)
"""Half the sizes of the trunk's box, m."""

DESCRIPTION = Description(
    summary="a quadruped follows a commanded velocity on flat ground",
    starts=(
        Start("command_x", "commanded velocity forward", "m/s"),
        Start("command_y", "commanded velocity to the left", "m/s"),
        Start("command_yaw", "commanded yaw rate", "rad/s"),
    ),
    outcomes=(
        Outcome(
            "followed",
            "Followed",
            "share",
            "the robot did not fall, and both mean errors of its velocity after the first second were within limits",
        ),
        Outcome("fell", "Fell", "share", "the trunk touched the floor at some time", better="lower"),
        Outcome(
            "velocity_error",
            "Velocity error",
            "measure",
            "mean distance between commanded and actual horizontal velocity after the first second",
            "m/s",
            "lower",
            limit="success_velocity_error",
        ),
        Outcome(
            "yaw_rate_error",
            "Yaw rate error",
            "measure",
            "mean difference between commanded and actual yaw rate after the first second",
            "rad/s",
            "lower",
            limit="success_yaw_rate_error",
        ),
        Outcome(
            "foot_slip",
            "Foot slip",
            "measure",
            "mean speed at which feet that are pressed into the floor move over it",
            "m/s",
            "lower",
        ),
        Outcome("air_time", "Air time", "measure", "mean share of the time that a foot is off the floor", "", ""),
    ),
    numbers={"success_velocity_error": 0.25, "success_yaw_rate_error": 0.25},
    maps=(
        Map("commanded velocity", "command_y", "command_x", flip=True),
        Map("commanded yaw rate and velocity forward", "command_yaw", "command_x", flip=True),
    ),
    episode_steps=1000,
)


def up(qpos: Any) -> Any:
    """Return the world's vertical in the trunk's frame, (..., n, 3), of coordinates (..., n, nq)."""
    w, x, y, z = qpos[..., 3:7].unbind(-1)
    return _stack((2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)))


def base_velocity(qpos: Any, qvel: Any) -> Any:
    """Return the trunk's velocity in its own frame, (..., n, 3) m/s."""
    u, v = -qpos[..., 4:7], qvel[..., :3]
    twice = 2 * _cross(u, v)
    return v + qpos[..., 3:4] * twice + _cross(u, twice)


def errors(command: Any, velocity: Any, qvel: Any) -> tuple[Any, Any]:
    """Return the errors of horizontal velocity, m/s, and yaw rate, rad/s, (..., n) each, in the trunk's frame."""
    return (velocity[..., :2] - command[..., :2]).norm(dim=-1), (qvel[..., 5] - command[..., 2]).abs()


def trunk_down(cfg: Any, state: Any) -> Any:
    """Return whether the lowest corner of the trunk's box touches the floor, (..., n) bool."""
    vertical = up(state.qpos)
    below = sum(vertical[..., i].abs() * half for i, half in enumerate(TRUNK))
    return state.qpos[..., 2] - below < cfg.contact_height


def feet_down(cfg: Any, state: Any) -> Any:
    """Return which feet touch the floor, (..., n, 4) bool."""
    return feet_height(state) < cfg.contact_height


def feet_height(state: Any) -> Any:
    """Return how far the feet are above the floor, (..., n, 4) m; negative where they are pressed into it."""
    return _stack([state.sites[name][..., 2] for name in FEET]) - FOOT_RADIUS


def judge(cfg: Any, trace: Any) -> dict[str, Any]:
    """Return the outcomes of played episodes, (n,) each."""
    first = round(cfg.success_after_s / cfg.step_dt)
    velocity = base_velocity(trace.qpos, trace.qvel)
    linear, yaw = (error[first:].mean(0) for error in errors(trace.command, velocity, trace.qvel))
    fell, pressed = trunk_down(cfg, trace).any(0), feet_height(trace) < 0
    both = pressed[1:] & pressed[:-1]
    slip = _stack([_slip(trace.sites[name], trace.rotations[name]) for name in FEET]) / cfg.step_dt
    ok = (linear < cfg.success_velocity_error) & (yaw < cfg.success_yaw_rate_error)
    return {
        "followed": ok & ~fell,
        "fell": fell,
        "velocity_error": linear,
        "yaw_rate_error": yaw,
        "foot_slip": (slip * both).sum((0, 2)) / both.sum((0, 2)).clamp(min=1),
        "air_time": 1 - feet_down(cfg, trace).float().mean((0, 2)),
    }


def _slip(position: Any, rotation: Any) -> Any:
    """Return how far the lowest point of a foot moves over the floor in each step but the first, (t - 1, n) m.

    A foot is a sphere that may also roll: rolling moves its centre without a slip.
    """
    w, u = rotation[..., :1], rotation[..., 1:]
    # Twice the vector part of (after * before^-1) is the small rotation of a step, either sign of it.
    turn = 2 * (w[:-1] * u[1:] - w[1:] * u[:-1] - _cross(u[1:], u[:-1]))
    turn = turn * (w[:-1] * w[1:] + (u[:-1] * u[1:]).sum(-1, keepdim=True)).sign()
    moved = position[1:] - position[:-1]
    # turn x (0, 0, -radius)
    rolled_x, rolled_y = -FOOT_RADIUS * turn[..., 1], FOOT_RADIUS * turn[..., 0]
    return ((moved[..., 0] + rolled_x).square() + (moved[..., 1] + rolled_y).square()).sqrt()


def _cross(a: Any, b: Any) -> Any:
    return a.cross(b, dim=-1)


def _stack(parts: Any) -> Any:
    import torch

    return torch.stack(tuple(parts), dim=-1)
