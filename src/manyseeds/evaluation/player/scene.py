"""A simulation in viser's scene: its shapes, what moves them, and what the mouse does with them."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import mujoco
import numpy as np

from manyseeds.evaluation.player.shapes import shapes
from manyseeds.evaluation.player.simulation import Pull, Simulation

if TYPE_CHECKING:
    import viser

Post = Callable[[Callable[[], None]], None]
"""Has something done by the thread that steps the simulation."""


class Scene:
    """One simulation, drawn below one node.

    Args:
        server: viser's.
        place: the node's name.
        simulation: what is drawn.
        offset: (3,) m, where the origin of its world is drawn.
        post: carries out what the mouse asks for.
        move_target: what dragging the target's arrows calls, as `Simulation.move_target`; None draws no arrows.
    """

    def __init__(
        self,
        server: "viser.ViserServer",
        place: str,
        simulation: Simulation,
        offset: np.ndarray,
        post: Post,
        move_target: Callable[..., None] | None,
    ) -> None:
        self.simulation, self.offset = simulation, offset
        self._post, self._move_target = post, move_target
        self._root = server.scene.add_frame(f"/{place}", show_axes=False, position=offset)
        self._bodies: dict[int, Any] = {}
        self._server, self._place, self._sizes = server, place, b""
        self._line = server.scene.add_line_segments(
            f"/{place}/pull",
            np.zeros((1, 2, 3), np.float32),
            (220, 60, 40),
            thickness=3.0,
            thickness_units="screen",
            visible=False,
        )
        self._arrows = self._make_arrows(server, place) if move_target and len(simulation.marks()) else None
        self._held = False
        self._turned = np.eye(3)
        self.draw()

    def draw(self) -> None:
        """Move everything to where the simulation has it; an episode may have shapes of its own."""
        data, model = self.simulation.data, self.simulation.model
        if self._sizes != (sizes := model.geom_size.tobytes() + model.geom_pos.tobytes()):
            self._sizes = sizes
            self._draw_shapes()
        for body, frame in self._bodies.items():
            frame.position, frame.wxyz = data.xpos[body], data.xquat[body]
        if self._arrows is not None and not self._held:
            self._arrows.position, self._arrows.wxyz = self.simulation.marks().mean(0), (1.0, 0.0, 0.0, 0.0)
            self._turned = np.eye(3)
        pull = self.simulation.pull
        if pull is not None:
            point = data.xpos[pull.body] + data.xmat[pull.body].reshape(3, 3) @ pull.point
            self._line.points = np.stack((point, pull.towards)).astype(np.float32)[None]
        self._line.visible = pull is not None

    def _draw_shapes(self) -> None:
        """Draw all shapes in place of those that are there."""
        for frame in self._bodies.values():
            frame.remove()
        self._bodies = {}
        for number, shape in enumerate(shapes(self.simulation.model)):
            name = f"/{self._place}/{shape.body}"
            if shape.body not in self._bodies:
                self._bodies[shape.body] = self._server.scene.add_frame(name, show_axes=False)
            mesh = self._server.scene.add_mesh_simple(
                f"{name}/{number}",
                shape.vertices,
                shape.faces,
                color=shape.color,
                opacity=shape.opacity if shape.opacity < 1 else None,
                flat_shading=shape.flat,
                side="double" if shape.flat else "front",
            )
            if self.simulation.can_pull(shape.body):
                mesh.on_drag("left")(self._dragged(shape.body))

    def remove(self) -> None:
        """Take everything away."""
        self._root.remove()

    def _dragged(self, body: int) -> Callable[[Any], Any]:
        async def dragged(event: Any) -> None:
            start, end, phase = np.array(event.start_position), np.array(event.end_position), event.phase
            self._post(lambda: self._pull(body, start - self.offset, end - self.offset, phase))

        return dragged

    def _pull(self, body: int, start: np.ndarray, end: np.ndarray, phase: str) -> None:
        simulation, data = self.simulation, self.simulation.data
        if phase == "end":
            simulation.pull = None
        elif phase == "start" or simulation.pull is None:
            point = data.xmat[body].reshape(3, 3).T @ (start - data.xpos[body])
            simulation.pull = Pull(body, point, end)
        else:
            simulation.pull = Pull(body, simulation.pull.point, end)

    def _make_arrows(self, server: "viser.ViserServer", place: str) -> Any:
        arrows = server.scene.add_transform_controls(
            f"/{place}/target",
            scale=0.15 * float(self.simulation.model.stat.extent),
            disable_rotations=len(self.simulation.marks()) < 2,
            depth_test=False,
        )

        @arrows.on_update
        async def _(event: Any) -> None:
            position, wxyz = np.array(event.target.position), np.array(event.target.wxyz)
            self._held = event.phase != "end"
            self._post(lambda: self._targeted(position, wxyz))

        return arrows

    def _targeted(self, position: np.ndarray, wxyz: np.ndarray) -> None:
        if self._move_target is None:
            return
        flat = np.empty(9)
        mujoco.mju_quat2Mat(flat, wxyz.astype(float))
        rotation = flat.reshape(3, 3) @ self._turned.T
        self._turned = flat.reshape(3, 3)
        turned = not np.allclose(rotation, np.eye(3), atol=1e-4)
        self._move_target(position - self.simulation.marks().mean(0), rotation if turned else None)


def camera(model: mujoco.MjModel) -> tuple[np.ndarray, np.ndarray, float]:
    """Return where the model's first camera is, where it looks (m) and its vertical field of view (rad).

    The point that it looks at is the one nearest to the model's centre.
    """
    centre = np.array(model.stat.center)
    if not model.ncam:
        return centre + model.stat.extent * np.array([1.2, -1.2, 0.8]), centre, np.pi / 4
    data = mujoco.MjData(model)
    mujoco.mj_kinematics(model, data)
    mujoco.mj_camlight(model, data)
    position, forward = data.cam_xpos[0].copy(), -data.cam_xmat[0].reshape(3, 3)[:, 2]
    distance = max(float(forward @ (centre - position)), 0.1 * model.stat.extent)
    return position, position + distance * forward, float(np.deg2rad(model.cam_fovy[0]))


def width(simulation: Simulation) -> float:
    """Return how far a second simulation stands to the side so that it is free of the first, m along y."""
    edges = [
        (simulation.data.xpos[shape.body] + shape.vertices @ simulation.data.xmat[shape.body].reshape(3, 3).T)[:, 1]
        for shape in shapes(simulation.model)
        if len(shape.vertices) > 4  # a plane is no obstacle
    ]
    return 1.2 * (max(edge.max() for edge in edges) - min(edge.min() for edge in edges)) if edges else 1.0
