"""Which bodies of a task's MJCF become which assets of Isaac Lab's scene."""

from dataclasses import dataclass
from typing import Literal

import mujoco

from manyseeds.core.errors import UserError
from manyseeds.simulators.isaaclab.actuators import is_motor, is_servo

_FREE = int(mujoco.mjtJoint.mjJNT_FREE)
_ONE_AXIS = (int(mujoco.mjtJoint.mjJNT_HINGE), int(mujoco.mjtJoint.mjJNT_SLIDE))


@dataclass(frozen=True)
class Part:
    """A body right below the world, with all that hangs on it.

    Attributes:
        name: the body, or "world" for the shapes of the world itself that collide.
        kind: "articulation" for a base with jointed links, "free" for one rigid body that moves freely, "static" for
            bodies that cannot move.
        floats: whether the base moves freely: its coordinates come first.
        bodies: the bodies, in the MJCF's order.
        joints: the hinges and slides of an articulation, in the MJCF's order.
        qpos: the coordinates.
        qvel: the velocities.
    """

    name: str
    kind: Literal["articulation", "free", "static"]
    floats: bool
    bodies: tuple[str, ...]
    joints: tuple[str, ...]
    qpos: slice
    qvel: slice


def parts(model: mujoco.MjModel) -> tuple[Part, ...]:
    """Return the parts of a compiled MJCF in its order, without mocap bodies, which only show something.

    Raises:
        UserError: for what does not become an asset of Isaac Lab here, naming the element.
    """
    _check(model)
    found = []
    if any(model.geom_bodyid[geom] == 0 for geom in _colliding(model)):
        found.append(Part("world", "static", False, ("world",), (), slice(0), slice(0)))
    for root in range(1, model.nbody):
        if model.body_parentid[root] != 0 or model.body_mocapid[root] >= 0:
            continue
        bodies = tuple(model.body(i).name for i in range(root, model.nbody) if model.body_rootid[i] == root)
        joints = [i for i in range(model.njnt) if model.body_rootid[model.jnt_bodyid[i]] == root]
        name = model.body(root).name
        if not joints:
            found.append(Part(name, "static", False, bodies, (), slice(0), slice(0)))
            continue
        floats = bool(model.jnt_type[joints[0]] == _FREE)
        names = tuple(model.joint(i).name for i in joints[floats:])
        qpos, qvel = int(model.jnt_qposadr[joints[0]]), int(model.jnt_dofadr[joints[0]])
        ends = qpos + 7 * floats + len(names), qvel + 6 * floats + len(names)
        kind: Literal["articulation", "free"] = "articulation" if names else "free"
        found.append(Part(name, kind, floats, bodies, names, slice(qpos, ends[0]), slice(qvel, ends[1])))
    return tuple(found)


def collides_with_itself(model: mujoco.MjModel, part: Part) -> bool:
    """Return whether masks let shapes of two bodies of a part meet."""
    ids = {model.body(name).id for name in part.bodies}
    geoms = [geom for geom in _colliding(model) if model.geom_bodyid[geom] in ids]
    return any(
        model.geom_bodyid[a] != model.geom_bodyid[b] and model.geom_contype[a] & model.geom_conaffinity[b]
        for a in geoms
        for b in geoms
    )


def _colliding(model: mujoco.MjModel) -> list[int]:
    return [geom for geom in range(model.ngeom) if model.geom_contype[geom] or model.geom_conaffinity[geom]]


def _check(model: mujoco.MjModel) -> None:
    """Raise a UserError for anything that Isaac Lab would drop or rename."""
    for kind, count in (("body", model.nbody), ("joint", model.njnt)):
        for i in range(count):
            name = getattr(model, kind)(i).name
            if not name.isidentifier() and not (kind == "joint" and model.jnt_type[i] == _FREE):
                raise _unfit(f"the {kind} '{name}'", "names of bodies and joints are letters, digits and underscores")
    for i in range(model.njnt):
        root = model.body_rootid[model.jnt_bodyid[i]]
        if model.jnt_type[i] == _FREE:
            if (model.body_rootid == root).sum() > 1 and (model.body_rootid[model.jnt_bodyid] == root).sum() == 1:
                allowed = "what hangs on a body that moves freely has joints"
                raise _unfit(f"the free joint '{model.joint(i).name}'", allowed)
        elif model.jnt_type[i] not in _ONE_AXIS:
            raise _unfit(f"the joint '{model.joint(i).name}'", "joints are hinge, slide or free")
        elif model.jnt_bodyid[i] == root or model.body_jntnum[model.jnt_bodyid[i]] > 1:
            allowed = "a body has one joint, and a body right below the world has none or a free one"
            raise _unfit(f"the joint '{model.joint(i).name}' where it is", allowed)
    for i in range(model.nu):
        if not is_servo(model, i) and not is_motor(model, i):
            allowed = (
                "an actuator is of the kind 'motor', or 'position' with gear 1 and forces limited alike in both"
                " directions, one for a joint"
            )
            raise _unfit(f"the actuator '{model.actuator(i).name}'", allowed)
    for geom in _colliding(model):
        if model.body_mocapid[body := model.geom_bodyid[geom]] >= 0:
            raise _unfit(
                f"the mocap body '{model.body(body).name}' with shapes that collide", "they only show something"
            )
    for kind, count in (("equality", model.neq), ("tendon", model.ntendon), ("exclude", model.nexclude)):
        if count:
            raise _unfit(f"an element of the kind '{kind}'", "there are none")


def _unfit(what: str, allowed: str) -> UserError:
    return UserError(f"the task's model has {what}, which the simulator 'isaaclab' cannot take: there, {allowed}.")
