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


def test_a_machine_without_opengl_trains_and_says_what_a_film_needs(tmp_path):
    """A plain Debian has no EGL; MuJoCo's import fails there if MUJOCO_GL asks for it."""
    environment = {name: value for name, value in os.environ.items() if name not in ("DISPLAY", "MUJOCO_GL")}
    code = WITHOUT_EGL + (
        "from manyseeds.cli import main\n"
        "settings = ['--num_envs', '2', '--max_iterations', '1', '--device', 'cpu', '--threads', '1']\n"
        "print(main(['train', *settings, '--log_dir', 'run', 'cart_pole']))\n"
        "print(main(['film', 'run', '--output', 'film.gif', '--seconds', '0.1']))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], env=environment, cwd=tmp_path, capture_output=True, text=True)
    assert done.stdout.splitlines()[-2:] == ["0", "2"], done.stderr
    assert done.stderr.splitlines()[-1] == (
        "error: no picture can be drawn here, because libEGL is missing; on Debian and Ubuntu, "
        "`apt install libegl1 libgl1-mesa-dri` installs it."
    )


def test_a_renderer_that_mujoco_does_not_know_is_refused(monkeypatch):
    monkeypatch.setenv("MUJOCO_GL", "bogus")
    with pytest.raises(UserError, match=r"MUJOCO_GL is 'bogus'; it must be egl, osmesa or glfw"):
        choose_renderer()


def test_a_renderer_without_its_library_is_refused(monkeypatch):
    monkeypatch.setenv("MUJOCO_GL", "osmesa")
    monkeypatch.setattr(rendering, "_loads", lambda library: False)
    with pytest.raises(UserError, match=r"MUJOCO_GL is 'osmesa', but libOSMesa is not installed here; unset"):
        choose_renderer()
