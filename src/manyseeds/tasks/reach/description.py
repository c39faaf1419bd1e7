"""What tables and figures say of reach, and how an episode is judged; needs no torch to be imported."""

from typing import Any

from manyseeds.core.description import Description, Map, Outcome, Start

_DISTANCE, _ANGLE = "distance to the target at the last step", "angle to the target at the last step"
DESCRIPTION = Description(
    summary="a Franka arm brings its hand to a commanded pose and keeps it there",
    starts=(*(Start(f"target_{x}", f"target {x}", "m") for x in "xyz"), Start("target_yaw", "target yaw", "rad")),
    outcomes=(
        Outcome("reached", "Reached", "share", "the hand was within both tolerances of its target at the last step"),
        Outcome("first_reached_s", "First reached", "measure", "when the hand first was at its target", "s", "lower"),
        Outcome("final_distance", "Final distance", "measure", _DISTANCE, "m", "lower", limit="success_distance"),
        Outcome("final_angle", "Final angle", "measure", _ANGLE, "rad", "lower", limit="success_angle"),
    ),
    episode_steps=120,
    numbers={"success_distance": 0.02, "success_angle": 0.2},
    maps=(
        Map("target, from above", "target_y", "target_x", flip=True),
        Map("target, height and yaw", "target_yaw", "target_z"),
    ),
)


def position_error(cfg: Any, state: Any) -> Any:
    """Return the distance from hand to target, (..., n) m."""
    return (state.sites["hand"] - state.command[:, :3]).norm(dim=-1)


def orientation_error(cfg: Any, state: Any) -> Any:
    """Return the angle from hand to target, (..., n) rad; from the chord, which keeps small angles exact."""
    hand, target = state.rotations["hand"], state.command[:, 3:]
    chord = (hand - target).norm(dim=-1).minimum((hand + target).norm(dim=-1))
    return 4 * (chord / 2).clamp(max=1).asin()


def judge(cfg: Any, trace: Any) -> dict[str, Any]:
    """Return the outcomes of played episodes, (n,) each."""
    far, off = position_error(cfg, trace), orientation_error(cfg, trace)
    ok = (far < cfg.success_distance) & (off < cfg.success_angle)
    names = ("reached", "first_reached_s", "final_distance", "final_angle")
    return dict(zip(names, (ok[-1], trace.first_time(ok), far[-1], off[-1]), strict=True))
