"""What tables and figures say of reach; torch-free, so that planning and analysis can read it."""

from manyseeds.core.description import Description, Map, Outcome, Start

DESCRIPTION = Description(
    summary="a Franka arm brings its hand to a commanded pose and keeps it there",
    starts=(
        Start("target_x", "target x", "m"),
        Start("target_y", "target y", "m"),
        Start("target_z", "target z", "m"),
        Start("target_yaw", "target yaw", "rad"),
    ),
    outcomes=(
        Outcome("reached", "Reached", "share", "the hand was within both tolerances of its target at the last step"),
        Outcome("first_reached_s", "First reached", "measure", "when the hand first was at its target", "s", "lower"),
        Outcome("final_distance", "Final distance", "measure", "distance to the target at the last step", "m", "lower"),
        Outcome("final_angle", "Final angle", "measure", "angle to the target at the last step", "rad", "lower"),
    ),
    maps=(
        Map("target, from above", "target_y", "target_x", flip=True),
        Map("target, height and yaw", "target_yaw", "target_z"),
    ),
)
