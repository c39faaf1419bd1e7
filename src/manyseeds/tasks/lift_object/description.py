"""What tables and figures say of lift_object, and how an episode is judged.

Importing this needs no torch, so that an experiment can be planned without it.
"""

from typing import TYPE_CHECKING, Any

from manyseeds.core.description import Description, Map, Outcome, Start

if TYPE_CHECKING:
    from torch import Tensor

    from manyseeds.tasks.base import Trace

DESCRIPTION = Description(
    summary="a Franka arm grasps a cube and lifts it to a commanded position",
    starts=(
        Start("object_x", "object x", "m"),
        Start("object_y", "object y", "m"),
        Start("target_x", "target x", "m"),
        Start("target_y", "target y", "m"),
        Start("target_z", "target z", "m"),
    ),
    outcomes=(
        Outcome("reached", "Reached", "share", "the object came within the tolerance of its target at some time"),
        Outcome(
            "held",
            "Held at the last step",
            "share",
            "the object was within the tolerance of its target at the last step",
        ),
        Outcome("dropped", "Dropped", "share", "the object fell off the table", better="lower"),
        Outcome(
            "first_reached_s",
            "First reached",
            "measure",
            "when the object first was at its target",
            "s",
            "lower",
            format=".6g",
        ),
        Outcome(
            "final_distance",
            "Final distance",
            "measure",
            "distance from object to target at the last step",
            "m",
            "lower",
            limit="success_distance",
        ),
    ),
    numbers={"success_distance": 0.05, "grasp_start_share": 0.0},
    easier_starts={"grasp_start_share": "start on the way to a grasp"},
    maps=(
        Map("object at the start, from above", "object_y", "object_x", flip=True),
        Map("target, from above", "target_y", "target_x", flip=True),
        Map("target, from behind the robot", "target_y", "target_z", flip=True),
    ),
)


def judge(cfg: Any, trace: "Trace") -> dict[str, "Tensor"]:
    """Return the outcomes of played episodes, (n,) each."""
    position = trace.qpos[:, :, 9:12]
    distance = (position - trace.command).norm(dim=2)
    near = distance < cfg.success_distance
    return {
        "reached": near.any(0),
        "held": near[-1],
        "dropped": (position[:, :, 2] < cfg.object_dropped_height).any(0),
        "first_reached_s": trace.first_time(near),
        "final_distance": distance[-1],
    }
