"""Pictures of a task's MJCF, drawn off screen."""

import os
import sys
from typing import Any

import numpy as np

from manyseeds.core.errors import UserError
from manyseeds.tasks.base import Task


def choose_renderer() -> None:
    """Let MuJoCo render with EGL if there is no display; call it before MuJoCo is imported."""
    if sys.platform == "linux" and not os.environ.get("DISPLAY"):
        os.environ.setdefault("MUJOCO_GL", "egl")


class Pictures:
    """Draws a task's MJCF from its first camera."""

    def __init__(self, task: Task, cfg: Any) -> None:
        import mujoco

        from manyseeds.simulators.model import load_model

        self._model = load_model(task, cfg, visual=True)
        self._data = mujoco.MjData(self._model)
        self._renderer: mujoco.Renderer | None = None

    def draw(self, qpos: np.ndarray, mocap: np.ndarray | None, width: int, height: int) -> np.ndarray:
        """Return a picture, (height, width, 3) uint8.

        Args:
            qpos: (nq,) coordinates.
            mocap: (k, 3) positions of the mocap bodies, m; None leaves them where the MJCF has them.
            width: pixels.
            height: pixels.

        Raises:
            UserError: when this machine cannot draw.
        """
        import mujoco

        if self._renderer is None or (self._renderer.width, self._renderer.height) != (width, height):
            self.close()
            try:
                self._renderer = mujoco.Renderer(self._model, height, width)
            except Exception as error:  # the renderer's errors differ by platform
                raise UserError(f"no picture can be drawn here, MuJoCo's renderer says: {error}.") from error
        self._data.qpos[:] = qpos
        if mocap is not None:
            self._data.mocap_pos[:] = mocap
        mujoco.mj_kinematics(self._model, self._data)
        mujoco.mj_camlight(self._model, self._data)
        self._renderer.update_scene(self._data, camera=0 if self._model.ncam else -1)
        return self._renderer.render()

    def close(self) -> None:
        """Free the renderer."""
        if self._renderer is not None:
            self._renderer.close()
            self._renderer = None
