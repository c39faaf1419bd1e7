"""The scene of open_drawer: the arm of lift_object in front of a cabinet. `cfg` is an OpenDrawerCfg."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from manyseeds.tasks.lift_object.robot import ARM
from manyseeds.tasks.lift_object.robot import model as lift_object_model

if TYPE_CHECKING:
    import mujoco

CABINET = Path(__file__).with_name("cabinet.xml")

# Damping of the joints 1 to 4 and 5 to 7, N m s/rad: what is constant, and what grows with the square of the speed. The
# arm moves freely while it is slow and stays within a Panda's speed limits (docs/physics.md). The damping of lift_object
# makes its wrist too slow to turn towards a handle.
_UPPER, _LOWER = (30.0, 0.0, 20.0), (5.0, 0.0, 8.0)
_FINGERTIP = (0.0, 0.0, 0.046)


def model(cfg: Any) -> "mujoco.MjSpec":
    """Return the robot of lift_object with a cabinet instead of table and cube, and sites at its fingertips."""
    import mujoco

    spec = lift_object_model(cfg)
    for part in (*spec.pairs, *(spec.body(name) for name in ("table", "object", "target"))):
        spec.delete(part)
    for joint in ARM:
        spec.joint(joint).damping = _UPPER if joint[-1] in "1234" else _LOWER
    for side in ("left", "right"):
        finger = spec.body(f"panda_{side}finger")
        finger.add_site(name=f"{side}_tip", pos=_FINGERTIP, rgba=[0, 0, 0, 0])
        for geom in finger.geoms:
            if geom.contype and not geom.name:  # the upper part of the finger
                geom.contype, geom.conaffinity = 4, 0
    for geom in spec.worldbody.geoms:
        geom.pos[2] = 0.0  # the floor: the robot stands on it
    camera = spec.cameras[0]
    camera.pos, camera.alt.xyaxes = [0.15, -1.55, 1.05], [0.975, 0.222, 0, -0.08, 0.35, 0.933]
    spec.attach(mujoco.MjSpec.from_file(str(CABINET)), frame=spec.worldbody.add_frame(), prefix="cabinet_")
    return spec
