"""What keys and the mouse do in MuJoCo's window; the window itself needs a screen."""

from types import SimpleNamespace

import mujoco
import numpy as np
import pytest

from manyseeds.evaluation.player.player import Player
from manyseeds.evaluation.player.window import _KEYS, Window

CODES = {name: code for code, name in _KEYS.items()}


@pytest.fixture
def window(runs):
    player = Player([runs("file_task"), runs("file_task")])
    window = Window(player)
    window.player = player
    assert window.simulation is not None
    yield window
    player.close()


def press(window, *names):
    for name in names:
        window.press(CODES[name])
    window.work()


def perturb(simulation, body, towards):
    return SimpleNamespace(
        active=int(mujoco.mjtPertBit.mjPERT_TRANSLATE),
        select=simulation.model.body(body).id,
        localpos=np.zeros(3),
        refselpos=np.array(towards, float),
    )


def test_keys(window):
    player = window.player
    window.press(ord("Q"))  # is the viewer's
    press(window, "space")
    assert player.paused
    press(window, "right", "right")
    assert player.simulations[0].steps == 2
    press(window, "enter")
    assert player.episode == 1 and player.simulations[0].steps == 0
    press(window, "down", "down", "down")
    assert player.choices[0].checkpoint == "model_1.pt" and player.simulations[0].iteration == 1
    press(window, "up", "F8", "=")
    assert player.simulations[0].iteration == 2 and player.noise and player.speed == 2.0


def test_the_mouse_pulls_bodies_and_moves_the_target(window):
    first = window.simulation
    window.grab(perturb(first, "puck", [1, 2, 3]))
    assert first.pull is not None and first.pull.towards.tolist() == [1, 2, 3]
    released = SimpleNamespace(active=0, select=first.pull.body)
    window.grab(released)
    assert first.pull is None
    before = first.marks()
    window.grab(perturb(first, "goal", before[0] + [0.1, 0, 0]))
    assert first.marks() == pytest.approx(before + np.array([0.1, 0, 0]), abs=1e-4)


def test_the_second_policy_is_drawn_beside_the_first(window):
    scene = mujoco.MjvScene(window.simulation.model, 100)
    window.player.step()
    window.draw(scene)
    assert np.array_equal(window.data.qpos, window.simulation.data.qpos)
    places = np.array([scene.geoms[i].pos for i in range(scene.ngeom)])
    assert scene.ngeom == 5 + 2  # two sites
    assert places[:, 1].min() > 0.1


def test_the_second_policy_stays_where_it_was_put(window, monkeypatch):
    scene = mujoco.MjvScene(window.simulation.model, 100)
    window.draw(scene)
    before = scene.geoms[0].pos.copy()
    monkeypatch.setattr("manyseeds.evaluation.player.window.width", lambda simulation: 100.0)  # in another pose
    window.draw(scene)
    assert np.array_equal(scene.geoms[0].pos, before)


def test_the_text_tells_what_the_bars_tell(window):
    window.player.step()
    left, right = window.text()
    assert left.count("\n") == right.count("\n")
    assert {"near", "effort", "Pushed", "Gap"} <= set(left.split("\n"))


def test_what_is_not_known_yet_is_neither_yes_nor_no(window):
    window.player.restart()
    left, right = window.text()
    shown = dict(zip(left.split("\n"), right.split("\n"), strict=True))
    assert shown["Pushed"] == shown["Gap"] == "-"
