"""Pictures of a task's MJCF, drawn off screen."""

import ctypes.util
import os
import sys
from typing import TYPE_CHECKING, Any

import numpy as np

from manyseeds.core.errors import UserError
from manyseeds.tasks.base import Task

if TYPE_CHECKING:
    from torch import Tensor

_LIBRARIES = {"egl": "EGL", "osmesa": "OSMesa"}
"""Values of MUJOCO_GL whose library MuJoCo loads when it is imported."""
_OTHERS = ("", "0", "1", "on", "off", "true", "false", "enable", "enabled", "disable", "disabled", "glfw", "glx", "cgl")

_INSTALL = "on Debian and Ubuntu, `apt install libegl1 libgl1-mesa-dri` installs it."


def choose_renderer() -> None:
    """Choose what MuJoCo renders with; call it before MuJoCo is imported.

    Pictures are drawn off screen, so EGL comes first: GLFW needs a display, and DISPLAY may name one that is gone.
    Where there is neither, MuJoCo draws nothing: with a library that is missing, its import would fail.

    Raises:
        UserError: when MUJOCO_GL names something that MuJoCo does not know or that is not installed.
    """
    wanted = os.environ.get("MUJOCO_GL")
    if wanted is None:
        if sys.platform == "linux":
            if _loads("EGL"):
                os.environ["MUJOCO_GL"] = "egl"
            elif not os.environ.get("DISPLAY"):
                os.environ["MUJOCO_GL"] = "disable"
        return
    name = wanted.lower().strip()
    if name not in (*_LIBRARIES, *_OTHERS):
        raise UserError(
            f"the environment variable MUJOCO_GL is {wanted!r}; it must be egl, osmesa or glfw, or unset for the best."
        )
    if name in _LIBRARIES and not _loads(_LIBRARIES[name]):
        raise UserError(
            f"the environment variable MUJOCO_GL is {wanted!r}, but lib{_LIBRARIES[name]} is not installed here; unset "
            "the variable, or install the library."
        )


def _loads(library: str) -> bool:
    """Return whether a shared library can be loaded."""
    for name in (f"lib{library}.so", f"lib{library}.so.1", f"lib{library}.so.8", ctypes.util.find_library(library)):
        try:
            if name and ctypes.CDLL(name):
                return True
        except OSError:
            continue
    return False


SHADOWS_FROM = 200
"""Lower pictures have no shadows: without a GPU these take four fifths of the time, and there they are hardly seen."""


class Pictures:
    """Draws a task's MJCF from its first camera."""

    def __init__(self, task: Task, cfg: Any) -> None:
        import mujoco

        from manyseeds.simulators.model import load_model

        self._task, self._cfg = task, cfg
        self._model = load_model(task, cfg, visual=True)
        self._data = mujoco.MjData(self._model)
        self._renderer: mujoco.Renderer | None = None

    def adapt(self, command: "Tensor") -> None:
        """Draw from now on what an episode with a command (c,) has."""
        from manyseeds.simulators.model import adapt_model

        adapt_model(self._model, self._task, self._cfg, command)

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
                if sys.platform == "linux" and not _loads("EGL"):
                    raise UserError(f"no picture can be drawn here, because libEGL is missing; {_INSTALL}") from error
                raise UserError(f"no picture can be drawn here, MuJoCo's renderer says: {error}.") from error
        self._data.qpos[:] = qpos
        if mocap is not None:
            self._data.mocap_pos[:] = mocap
        mujoco.mj_kinematics(self._model, self._data)
        mujoco.mj_camlight(self._model, self._data)
        self._renderer.update_scene(self._data, camera=0 if self._model.ncam else -1)
        self._renderer.scene.flags[mujoco.mjtRndFlag.mjRND_SHADOW] = height >= SHADOWS_FROM
        return self._renderer.render()

    def close(self) -> None:
        """Free the renderer."""
        if self._renderer is not None:
            self._renderer.close()
            self._renderer = None
