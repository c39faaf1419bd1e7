"""What tables and figures say of open_drawer, and how an episode is judged; needs no torch to be imported."""

from typing import Any

from manyseeds.core.description import Description, Map, Outcome, Start

DRAWER = 9
"""The drawer's place among coordinates and velocities, after 7 arm joints and 2 fingers."""

DESCRIPTION = Description(
    summary="a Franka arm grasps the handle of a drawer and opens it",
    starts=tuple(Start(f"handle_{x}", f"handle {x}", "m") for x in "xyz"),
    outcomes=(
        Outcome("opened", "Opened", "share", "the drawer was open wide enough at the last step"),
        Outcome("grasped", "Grasped", "share", "the fingers were around the handle at the last step"),
        Outcome(
            "first_opened_s", "First opened", "measure", "when the drawer first was open wide enough", "s", "lower"
        ),
        Outcome(
            "final_opening",
            "Final opening",
            "measure",
            "how far the drawer was open at the last step",
            "m",
            limit="success_opening",
        ),
        Outcome("drawer_speed", "Drawer speed", "measure", "largest speed of the drawer", "m/s", "lower"),
    ),
    episode_steps=400,
    numbers={"success_opening": 0.3, "handle_start_share": 0.0},
    easier_starts={"handle_start_share": "start with the hand near the handle"},
    maps=(
        Map("handle of the closed drawer, from above", "handle_y", "handle_x", flip=True),
        Map("handle of the closed drawer, from behind the robot", "handle_y", "handle_z", flip=True),
    ),
)


def opening(state: Any) -> Any:
    """Return how far the drawer is open, (..., n) m."""
    return state.qpos[..., DRAWER]


def to_handle(state: Any) -> Any:
    """Return the vector from the point between the finger pads to the handle's centre, (..., n, 3) m."""
    import torch

    forward = torch.nn.functional.pad(opening(state)[..., None], (0, 2))
    return state.command - forward - state.sites["end_effector"]


def around_handle(state: Any) -> Any:
    """Return whether the left fingertip is above the handle and the right one below, (..., n) bool."""
    height = state.command[..., 2]
    return (state.sites["left_tip"][..., 2] > height) & (state.sites["right_tip"][..., 2] < height)


def judge(cfg: Any, trace: Any) -> dict[str, Any]:
    """Return the outcomes of played episodes, (n,) each."""
    opened = opening(trace) >= cfg.success_opening
    near = to_handle(trace).norm(dim=-1) <= cfg.grasp_handle_threshold
    return {
        "opened": opened[-1],
        "grasped": (near & around_handle(trace))[-1],
        "first_opened_s": trace.first_time(opened),
        "final_opening": opening(trace)[-1],
        "drawer_speed": trace.qvel[..., DRAWER].abs().amax(0),
    }
