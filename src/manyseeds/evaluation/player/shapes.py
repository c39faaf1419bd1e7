"""The geoms of an MJCF as triangles, for whatever draws triangles."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import mujoco
import numpy as np
import trimesh

if TYPE_CHECKING:
    from trimesh import Trimesh

_GEOM = mujoco.mjtGeom
_SHOWN_GROUPS = 3
"""MuJoCo's viewers show the groups below this number."""
_DEFAULT_COLOR = (0.5, 0.5, 0.5, 1.0)
"""Of a geom that leaves its color to its material."""
_SMALLEST_ANGLE = 0.7
"""Edges of a mesh that are sharper than this, rad, stay edges when it is shaded."""


@dataclass(frozen=True)
class Shape:
    """What shows of a geom.

    Attributes:
        body: the number of its body.
        vertices: (v, 3) float32 m, in the body's frame.
        faces: (f, 3) vertices of triangles.
        color: red, green and blue, 0 to 255.
        opacity: 0 to 1.
        flat: whether its faces are flat, not a rounded surface.
    """

    body: int
    vertices: np.ndarray
    faces: np.ndarray
    color: tuple[int, int, int]
    opacity: float
    flat: bool


def shapes(model: mujoco.MjModel) -> list[Shape]:
    """Return what shows of a model: boxes, spheres, ellipsoids, capsules, cylinders, planes, meshes, height fields."""
    found = []
    for geom in range(model.ngeom):
        color = _color(model, geom)
        if model.geom_group[geom] >= _SHOWN_GROUPS or not color[3]:
            continue
        mesh = _mesh(model, geom)
        if mesh is None:
            continue
        rotation = np.empty(9)
        mujoco.mju_quat2Mat(rotation, model.geom_quat[geom])
        vertices = mesh.vertices @ rotation.reshape(3, 3).T + model.geom_pos[geom]
        red, green, blue = (round(255 * float(part)) for part in color[:3])
        kind = model.geom_type[geom]
        found.append(
            Shape(
                body=int(model.geom_bodyid[geom]),
                vertices=vertices.astype(np.float32),
                faces=np.asarray(mesh.faces),
                color=(red, green, blue),
                opacity=float(color[3]),
                flat=kind in (_GEOM.mjGEOM_BOX, _GEOM.mjGEOM_PLANE),
            )
        )
    return found


def _mesh(model: mujoco.MjModel, geom: int) -> "Trimesh | None":
    kind, size = model.geom_type[geom], model.geom_size[geom]
    if kind == _GEOM.mjGEOM_BOX:
        return trimesh.creation.box(2 * size)
    if kind == _GEOM.mjGEOM_SPHERE:
        return trimesh.creation.icosphere(2, size[0])
    if kind == _GEOM.mjGEOM_ELLIPSOID:
        ball = trimesh.creation.icosphere(3)
        ball.vertices *= size
        return ball
    if kind == _GEOM.mjGEOM_CYLINDER:
        return _split_edges(trimesh.creation.cylinder(size[0], 2 * size[1], sections=32))
    if kind == _GEOM.mjGEOM_CAPSULE:
        capsule = trimesh.creation.capsule(2 * size[1], size[0], (16, 32))
        capsule.vertices -= capsule.bounds.mean(0)
        return capsule
    if kind == _GEOM.mjGEOM_PLANE:
        # A side of 0 is endless.
        half_x, half_y = (side or 10 * model.stat.extent for side in size[:2])
        corners = [[x * half_x, y * half_y, 0] for x, y in ((-1, -1), (1, -1), (1, 1), (-1, 1))]
        return trimesh.Trimesh(corners, [[0, 1, 2], [0, 2, 3]], process=False)
    if kind == _GEOM.mjGEOM_MESH:
        number = model.geom_dataid[geom]
        vertices = _part(model.mesh_vert, model.mesh_vertadr, model.mesh_vertnum, number)
        faces = _part(model.mesh_face, model.mesh_faceadr, model.mesh_facenum, number)
        return _split_edges(trimesh.Trimesh(vertices, faces, process=False))
    if kind == _GEOM.mjGEOM_HFIELD:
        return _height_field(model, int(model.geom_dataid[geom]))
    return None


def _part(values: np.ndarray, address: np.ndarray, count: np.ndarray, number: int) -> np.ndarray:
    return values[address[number] : address[number] + count[number]]


def _split_edges(mesh: "Trimesh") -> "Trimesh":
    """Return a mesh whose sharp edges are edges of two surfaces, so that smooth shading leaves them sharp."""
    return trimesh.graph.smooth_shade(mesh, angle=_SMALLEST_ANGLE)


def _height_field(model: mujoco.MjModel, number: int) -> "Trimesh":
    rows, columns = int(model.hfield_nrow[number]), int(model.hfield_ncol[number])
    half_x, half_y, height, _ = model.hfield_size[number]
    first = model.hfield_adr[number]
    heights = height * model.hfield_data[first : first + rows * columns]
    x, y = np.meshgrid(np.linspace(-half_x, half_x, columns), np.linspace(-half_y, half_y, rows))
    corner = (np.arange(rows - 1)[:, None] * columns + np.arange(columns - 1)).ravel()
    lower = np.stack((corner, corner + 1, corner + columns + 1), axis=1)
    upper = np.stack((corner, corner + columns + 1, corner + columns), axis=1)
    vertices = np.stack((x.ravel(), y.ravel(), heights), axis=1)
    return trimesh.Trimesh(vertices, np.concatenate((lower, upper)), process=False)


def _color(model: mujoco.MjModel, geom: int) -> np.ndarray:
    """Return red, green, blue and opacity, 0 to 1, as MuJoCo chooses between a geom's and its material's."""
    own, material = model.geom_rgba[geom], model.geom_matid[geom]
    if material < 0 or not np.allclose(own, _DEFAULT_COLOR):
        return own
    return model.mat_rgba[material]
