"""The scene of open_drawer: the arm of lift_object in front of a cabinet. `cfg` is an OpenDrawerCfg."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from manyseeds.tasks.lift_object.robot import ARM
from manyseeds.tasks.lift_object.robot import model as lift_object_model

if TYPE_CHECKING:
    import mujoco

CABINET = Path(__file__).with_name("cabinet.xml")

# Damping of the joints 1 to 4 and 5 to 7, N m s/rad: what is constant, and what grows with the square of the speed. The
# arm moves freely while it is slow and stays within a Panda's speed limits. The damping of lift_object
# makes its wrist too slow to turn towards a handle.
_UPPER, _LOWER = (40.0, 0.0, 30.0), (6.0, 0.0, 12.0)
_FINGERTIP = (0.0, 0.0, 0.046)
# Time constant of contacts and of the fingers' limits, s: the least that steps of 0.005 s allow. With the 0.02 s of
# lift_object an arm that jams the handle between its fingers sinks in by 8 mm.
_STIFF = 0.01


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
        finger.joints[0].solref_limit[0] = _STIFF
        for geom in finger.geoms:
            geom.solref[0] = _STIFF
            if geom.contype and not geom.name:  # the upper part of the finger
                geom.contype, geom.conaffinity = 4, 0
    spec.geom("hand").solref[0] = _STIFF
    for geom in spec.worldbody.geoms:
        geom.pos[2] = 0.0  # the floor: the robot stands on it
    camera = spec.cameras[0]
    camera.pos, camera.alt.xyaxes = [0.4, -1.7, 1.15], [1, 0, 0, 0, 0.35, 0.937]
    spec.attach(mujoco.MjSpec.from_file(str(CABINET)), frame=spec.worldbody.add_frame(), prefix="cabinet_")
    return spec
