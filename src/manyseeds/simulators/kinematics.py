"""Where sites are at given coordinates, as `mj_kinematics` computes it, but for the bodies that carry them alone.

After a step MuJoCo's own positions are one substep behind, and its position stage costs a fifth of a step.
"""

import math
from typing import Any

import mujoco
import numpy as np
from numpy.typing import NDArray

from manyseeds.tasks.compiled import Floats, compiled

_FREE, _BALL, _SLIDE = (
    int(kind) for kind in (mujoco.mjtJoint.mjJNT_FREE, mujoco.mjtJoint.mjJNT_BALL, mujoco.mjtJoint.mjJNT_SLIDE)
)

_BODY = np.dtype(
    [("parent", "i8"), ("mocap", "i8"), ("first", "i8"), ("last", "i8"), ("pos", "f8", 3), ("quat", "f8", 4)],
    align=True,
)
_JOINT = np.dtype(
    [("kind", "i8"), ("qpos", "i8"), ("axis", "f8", 3), ("pos", "f8", 3), ("zero", "f8")],
    align=True,
)
_SITE = np.dtype([("body", "i8"), ("pos", "f8", 3), ("quat", "f8", 4)], align=True)


class SitePoses:
    """The kinematics of some sites of a model.

    Args:
        model: the compiled MJCF.
        names: of the sites.
    """

    def __init__(self, model: mujoco.MjModel, names: tuple[str, ...]) -> None:
        sites = [model.site(name).id for name in names]
        needed: set[int] = set()
        for site in sites:
            body = int(model.site_bodyid[site])
            while body not in needed:
                needed.add(body)
                body = int(model.body_parentid[body])
        order = sorted(needed)  # parents come first
        slot = {body: index for index, body in enumerate(order)}
        bodies: list[tuple] = []
        joints: list[tuple] = []
        for body in order:
            start, count = int(model.body_jntadr[body]), int(model.body_jntnum[body])
            bodies.append(
                (slot[int(model.body_parentid[body])], model.body_mocapid[body], len(joints), len(joints) + count,
                 model.body_pos[body], model.body_quat[body])
            )  # fmt: skip
            for joint in range(start, start + count):
                adr = int(model.jnt_qposadr[joint])
                joints.append(
                    (model.jnt_type[joint], adr, model.jnt_axis[joint], model.jnt_pos[joint], model.qpos0[adr])
                )
        self.names = names
        self._bodies, self._joints = np.array(bodies, _BODY), np.array(joints, _JOINT)
        rows = [(slot[int(model.site_bodyid[site])], model.site_pos[site], model.site_quat[site]) for site in sites]
        self._sites = np.array(rows, _SITE)

    def at(self, qpos: Floats, mocap: Floats) -> tuple[Floats, Floats]:
        """Return positions (sites, n, 3) in m and orientations (sites, n, 4), w x y z, w not negative, in float32.

        Args:
            qpos: (n, nq) float64 coordinates.
            mocap: (n, 3 k) float64 positions of the mocap bodies, m.
        """
        n, k = len(qpos), len(self._sites)
        positions, rotations = np.empty((k, n, 3), np.float32), np.empty((k, n, 4), np.float32)
        if k:
            _site_poses(self._bodies, self._joints, self._sites, qpos, mocap, positions, rotations)
        return positions, rotations


@compiled
def _site_poses(
    bodies: NDArray[np.void],
    joints: NDArray[np.void],
    sites: NDArray[np.void],
    qpos: Floats,
    mocap: Floats,
    positions: Floats,
    rotations: Floats,
) -> None:
    pos, quat = np.empty((len(bodies), 3)), np.empty((len(bodies), 4))
    for i in range(len(qpos)):
        for b in range(len(bodies)):
            body: Any = bodies[b]
            q = (body.quat[0], body.quat[1], body.quat[2], body.quat[3])
            p = (body.pos[0], body.pos[1], body.pos[2])
            if body.mocap >= 0:
                at = 3 * body.mocap
                p = (mocap[i, at], mocap[i, at + 1], mocap[i, at + 2])
            if b > 0:  # the first one is the world
                up = body.parent
                above = (quat[up, 0], quat[up, 1], quat[up, 2], quat[up, 3])
                p = _add((pos[up, 0], pos[up, 1], pos[up, 2]), _turn(above, p))
                q = _times(above, q)
            for j in range(body.first, body.last):
                joint: Any = joints[j]
                x = joint.qpos
                axis = (joint.axis[0], joint.axis[1], joint.axis[2])
                if joint.kind == _FREE:
                    p = (qpos[i, x], qpos[i, x + 1], qpos[i, x + 2])
                    q = _unit((qpos[i, x + 3], qpos[i, x + 4], qpos[i, x + 5], qpos[i, x + 6]))
                elif joint.kind == _SLIDE:
                    way, moved = _turn(q, axis), qpos[i, x] - joint.zero
                    p = (p[0] + way[0] * moved, p[1] + way[1] * moved, p[2] + way[2] * moved)
                else:
                    arm = (joint.pos[0], joint.pos[1], joint.pos[2])
                    anchor = _add(p, _turn(q, arm))
                    if joint.kind == _BALL:
                        q = _times(q, _unit((qpos[i, x], qpos[i, x + 1], qpos[i, x + 2], qpos[i, x + 3])))
                    else:
                        half = (qpos[i, x] - joint.zero) / 2
                        sin = math.sin(half)
                        q = _times(q, (math.cos(half), sin * axis[0], sin * axis[1], sin * axis[2]))
                    away = _turn(q, arm)
                    p = (anchor[0] - away[0], anchor[1] - away[1], anchor[2] - away[2])
            for c in range(3):
                pos[b, c] = p[c]
            for c in range(4):
                quat[b, c] = q[c]
        for s in range(len(sites)):
            site: Any = sites[s]
            b = site.body
            q = (quat[b, 0], quat[b, 1], quat[b, 2], quat[b, 3])
            turned = _turn(q, (site.pos[0], site.pos[1], site.pos[2]))
            whole = _times(q, (site.quat[0], site.quat[1], site.quat[2], site.quat[3]))
            for c in range(3):
                positions[s, i, c] = pos[b, c] + turned[c]
            sign = 1.0 if whole[0] >= 0 else -1.0
            for c in range(4):
                rotations[s, i, c] = sign * whole[c]


Vector = tuple[float, float, float]
Quaternion = tuple[float, float, float, float]


@compiled
def _add(a: Vector, b: Vector) -> Vector:
    return a[0] + b[0], a[1] + b[1], a[2] + b[2]


@compiled
def _times(a: Quaternion, b: Quaternion) -> Quaternion:
    return (
        a[0] * b[0] - a[1] * b[1] - a[2] * b[2] - a[3] * b[3],
        a[0] * b[1] + a[1] * b[0] + a[2] * b[3] - a[3] * b[2],
        a[0] * b[2] - a[1] * b[3] + a[2] * b[0] + a[3] * b[1],
        a[0] * b[3] + a[1] * b[2] - a[2] * b[1] + a[3] * b[0],
    )


@compiled
def _unit(q: Quaternion) -> Quaternion:
    length = math.sqrt(q[0] * q[0] + q[1] * q[1] + q[2] * q[2] + q[3] * q[3])
    return (q[0] / length, q[1] / length, q[2] / length, q[3] / length) if length > 0 else (1.0, 0.0, 0.0, 0.0)


@compiled
def _turn(q: Quaternion, v: Vector) -> Vector:
    """Rotate v by q: v + 2 w (u x v) + 2 u x (u x v), u the vector part."""
    x = q[2] * v[2] - q[3] * v[1]
    y = q[3] * v[0] - q[1] * v[2]
    z = q[1] * v[1] - q[2] * v[0]
    return (
        v[0] + 2 * (q[0] * x + q[2] * z - q[3] * y),
        v[1] + 2 * (q[0] * y + q[3] * x - q[1] * z),
        v[2] + 2 * (q[0] * z + q[1] * y - q[2] * x),
    )
