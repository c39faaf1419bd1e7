"""What MuJoCo renders with: pictures come out wherever a library can draw, and a bad setting is one sentence."""

import os
import subprocess
import sys

import pytest

from manyseeds.core.errors import UserError
from manyseeds.simulators import rendering
from manyseeds.simulators.rendering import choose_renderer


@pytest.mark.parametrize("display", [None, ":99", "localhost:10.0"])
def test_a_picture_is_drawn_whatever_display_is_named(display):
    """Of `ssh -X`, DISPLAY outlives the X server that it names."""
    environment = {name: value for name, value in os.environ.items() if name not in ("DISPLAY", "MUJOCO_GL")}
    code = (
        "from manyseeds.simulators.rendering import choose_renderer\n"
        "choose_renderer()\n"
        "import mujoco\n"
        "model = mujoco.MjModel.from_xml_string('<mujoco><worldbody><geom size=\".1\"/></worldbody></mujoco>')\n"
        "data = mujoco.MjData(model)\n"
        "mujoco.mj_forward(model, data)\n"
        "renderer = mujoco.Renderer(model, 48, 64)\n"
        "renderer.update_scene(data)\n"
        "print(renderer.render().std() > 0)\n"
    )
    named = {} if display is None else {"DISPLAY": display}
    done = subprocess.run([sys.executable, "-c", code], env=environment | named, capture_output=True, text=True)
    assert done.stdout == "True\n", done.stderr


# A machine without EGL: whoever loads the library finds none.
WITHOUT_EGL = """
import ctypes

class WithoutEgl(ctypes.CDLL):
    def __init__(self, name, *arguments, **options):
        if "EGL" in str(name):
            raise OSError(f"{name}: cannot open shared object file")
        super().__init__(name, *arguments, **options)

ctypes.CDLL = ctypes.cdll._dlltype = WithoutEgl
"""


def test_a_machine_without_opengl_steps_and_says_what_a_picture_needs():
    """A plain Debian has no EGL, without which MuJoCo's import would fail where MUJOCO_GL asks for it."""
    environment = {name: value for name, value in os.environ.items() if name not in ("DISPLAY", "MUJOCO_GL")}
    code = WITHOUT_EGL + (
        "from manyseeds.simulators.rendering import Pictures, choose_renderer\n"
        "choose_renderer()\n"
        "from manyseeds.core.errors import UserError\n"
        "from manyseeds.tasks.registry import load\n"
        "task = load('cart_pole')\n"
        "pictures = Pictures(task, task.cfg())\n"
        "try: pictures.draw(pictures._data.qpos, None, 64, 48)\n"
        "except UserError as error: print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True)
    assert done.stdout.startswith("no picture can be drawn here, because libEGL is missing; on Debian"), done.stderr


def test_a_renderer_that_mujoco_does_not_know_is_refused(monkeypatch):
    monkeypatch.setenv("MUJOCO_GL", "bogus")
    with pytest.raises(UserError, match=r"MUJOCO_GL is 'bogus'; it must be egl, osmesa or glfw"):
        choose_renderer()


def test_a_renderer_without_its_library_is_refused(monkeypatch):
    monkeypatch.setenv("MUJOCO_GL", "osmesa")
    monkeypatch.setattr(rendering, "_loads", lambda library: False)
    with pytest.raises(UserError, match=r"MUJOCO_GL is 'osmesa', but libOSMesa is not installed here; unset"):
        choose_renderer()
