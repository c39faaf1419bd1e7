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


def test_a_renderer_that_mujoco_does_not_know_is_refused(monkeypatch):
    monkeypatch.setenv("MUJOCO_GL", "bogus")
    with pytest.raises(UserError, match=r"MUJOCO_GL is 'bogus'; it must be egl, osmesa or glfw"):
        choose_renderer()


def test_a_renderer_without_its_library_is_refused(monkeypatch):
    monkeypatch.setenv("MUJOCO_GL", "osmesa")
    monkeypatch.setattr(rendering, "_loads", lambda library: False)
    with pytest.raises(UserError, match=r"MUJOCO_GL is 'osmesa', but libOSMesa is not installed here; unset"):
        choose_renderer()
