"""What tables and figures say of lift_objects, and how an episode is judged.

Importing this needs no torch, so that an experiment can be planned without it.
"""

from typing import TYPE_CHECKING, Any

from manyseeds.core.description import Description, Outcome, Start
from manyseeds.tasks.lift_object.description import DESCRIPTION as LIFT_OBJECT
from manyseeds.tasks.lift_objects.objects import KINDS

if TYPE_CHECKING:
    from torch import Tensor

    from manyseeds.tasks.base import Trace

IN_HAND = 0.06
"""The hand has an object whose grasp point is this near to the point between the finger pads, m."""

DESCRIPTION = Description(
    summary="a Franka arm grasps a cube, cylinder, ball, flat box or bottle and lifts it to a commanded position",
    starts=(*LIFT_OBJECT.starts, Start("kind", "object", names=KINDS), Start("size", "size of the object")),
    outcomes=(
        *LIFT_OBJECT.outcomes[:2],
        Outcome("lifted", "Lifted", "share", "the hand had the object above the lifting height at some time"),
        *LIFT_OBJECT.outcomes[2:],
    ),
    maps=LIFT_OBJECT.maps,
    numbers=LIFT_OBJECT.numbers,
    easier_starts=LIFT_OBJECT.easier_starts,
)


def judge(cfg: Any, trace: "Trace") -> dict[str, "Tensor"]:
    """Return the outcomes of played episodes, (n,) each."""
    from manyseeds.tasks.lift_objects.terms import lowest_point, where_to_grasp

    position = trace.qpos[:, :, 9:12]
    distance = (position - trace.command[:, :3]).norm(dim=2)
    near = distance < cfg.success_distance
    steps, n = distance.shape
    qpos, command = trace.qpos.flatten(0, 1), trace.command.repeat(steps, 1)
    high = lowest_point(qpos, command) > cfg.lifting_object_clearance
    reach = (where_to_grasp(qpos, command) - trace.sites["end_effector"].flatten(0, 1)).norm(dim=1)
    return {
        "reached": near.any(0),
        "held": near[-1],
        "lifted": (high & (reach < IN_HAND)).view(steps, n).any(0),
        "dropped": (position[:, :, 2] < cfg.object_dropped_height).any(0),
        "first_reached_s": trace.first_time(near),
        "final_distance": distance[-1],
    }
