"""The scene of lift_objects: lift_object's, with one body that has the parts of all kinds of objects.

An episode has one object. The parts of the others are shrunk to less than a tenth of a millimetre and lie inside it,
where they touch nothing and are not seen: so the coordinates and the cost of a step are those of lift_object.
"""

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from manyseeds.tasks.base import constant
from manyseeds.tasks.lift_object import robot
from manyseeds.tasks.lift_objects.objects import KINDS, SHAPES, geom_names

if TYPE_CHECKING:
    import mujoco

MASS = 0.1
"""Mass of every object, kg; lift_object's cube has the same."""
KIND, SIZE = 3, 4
"""Where a command has the number of the kind, and the size."""
_SHRUNK = 1e-3
_ROLLING = 2e-3
"""Rolling friction of round objects on the table, m: a ball that rolls at 0.5 m/s comes to rest after 0.2 m."""


def shares(cfg: Any) -> tuple[float, ...]:
    """Return the share of the episodes that each kind has, in the order of `KINDS`; together 1."""
    given = [getattr(cfg, f"{kind}_share") for kind in KINDS]
    return tuple(share / sum(given) for share in given)


def present(cfg: Any) -> list[str]:
    """Return the kinds that some episode has."""
    return [kind for kind, share in zip(KINDS, shares(cfg), strict=True) if share > 0]


def model(cfg: Any) -> "mujoco.MjSpec":
    """Return the robot, the table and the objects, these of the largest size."""
    import mujoco

    spec = robot.model(cfg)
    cube = spec.geom("object")
    contypes = cube.contype, cube.conaffinity
    spec.delete(spec.pair("object_table"))
    spec.delete(cube)
    body = spec.body("object")
    body.explicitinertial, body.mass, body.inertia = True, MASS, [MASS * value for value in SHAPES["cube"].inertia]
    body.ipos, body.iquat = [0, 0, 0], [1, 0, 0, 0]
    largest = cfg.object_size[1]
    for kind in present(cfg):
        shape = SHAPES[kind]
        for name, part in zip(geom_names(kind), shape.parts, strict=True):
            flat = part.geom == "box"
            contype, conaffinity = contypes
            body.add_geom(
                name=name,
                type=getattr(mujoco.mjtGeom, f"mjGEOM_{part.geom.upper()}"),
                size=[largest * length for length in part.size],
                pos=[0, 0, largest * (part.height - shape.centre)],
                rgba=[*shape.color, 1],
                contype=contype,
                conaffinity=conaffinity,
                friction=[1, 0.005, 0.0001],
                solref=[0.02, 2],
            )
            spec.add_pair(
                name=f"{name}_table",
                geomname1=name,
                geomname2="table",
                condim=3 if flat else 6,
                friction=[1, 1, 0.005, _ROLLING, _ROLLING],
                solref=[0.02, 2],
            )
    return spec


def kind_of(command: Tensor) -> Tensor:
    """Return the number of the kind, (n,) long."""
    return command[:, KIND].round().long().clamp(0, len(KINDS) - 1)


def adapt(cfg: Any, command: Tensor) -> dict[tuple[str, str], Tensor]:
    """Return sizes and places of all parts, and the inertia of the body, for commands (n, 5)."""
    device, kind, size = command.device, kind_of(command), command[:, SIZE, None]
    numbers: dict[tuple[str, str], Tensor] = {}
    for name in present(cfg):
        shape, chosen = SHAPES[name], (kind == KINDS.index(name))[:, None]
        for geom, part in zip(geom_names(name), shape.parts, strict=True):
            scale = torch.where(chosen, size, _SHRUNK)
            numbers["geom_size", geom] = scale * constant(part.size, device)
            numbers["geom_pos", geom] = scale * constant((0.0, 0.0, part.height - shape.centre), device)
    inertia = constant(tuple(SHAPES[name].inertia for name in KINDS), device)
    numbers["body_inertia", "object"] = MASS * size**2 * inertia[kind]
    return numbers
