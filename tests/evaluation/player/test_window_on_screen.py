"""`manyseeds play --window` as a person uses it: a real window on a real X server, a keyboard and a mouse."""

import json
import shutil
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

from helpers import file_task
from helpers.screen import HEIGHT, WIDTH, Screen
from manyseeds.evaluation.player.player import Player
from manyseeds.evaluation.player.scene import camera

pytestmark = pytest.mark.screen

# The command itself, which also prints what it plays, when that changes.
PLAY = """
import json, sys
from manyseeds import cli
from manyseeds.evaluation.player import player

class Telling(player.Player):
    told = None

    def advance(self, seconds):
        count = super().advance(seconds)
        simulation = self.simulations[0]
        pull = simulation.pull and simulation.model.body(simulation.pull.body).name
        names = [simulation.model.body(i).name for i in range(simulation.model.nbody)]
        state = json.dumps({
            "run": self.choices[0].run, "iteration": simulation.iteration, "steps": simulation.steps, "pull": pull,
            "episode": self.episode, "paused": self.paused, "noise": self.noise, "speed": self.speed,
            "command": simulation.command.tolist(), "places": dict(zip(names, simulation.data.xpos.tolist())),
        })
        if state != self.told:
            print(state, flush=True)
            self.told = state
        return count

player.Player = Telling
sys.exit(cli.main(sys.argv[1:]))
"""


class Played:
    """The command in a process of its own, on a screen."""

    def __init__(self, screen, errors, *arguments):
        self.screen, self.state, self._errors = screen, {}, errors
        with errors.open("w") as stderr:
            self._process = subprocess.Popen(
                [sys.executable, "-c", PLAY, "play", *map(str, arguments), "--window"],
                env=screen.environment | {"PYTHONFAULTHANDLER": "1"}, stdout=subprocess.PIPE, stderr=stderr, text=True,
            )  # fmt: skip
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self):
        for line in self._process.stdout:
            self.state = json.loads(line)

    def wait_for(self, condition, seconds=300):
        """Wait until a function of the state is true; a busy machine takes its time."""
        assert self.becomes(condition, seconds), f"never came true; the state is {self.state}"

    def becomes(self, condition, seconds):
        """Whether a function of the state gets true in time."""
        for _ in range(10 * seconds):
            if self.state and condition(self.state):
                return True
            assert self._process.poll() is None, self._errors.read_text()
            time.sleep(0.1)
        return False

    def press(self, key, condition):
        """Press a key and wait for what it does."""
        self.screen.input("key", key)
        self.wait_for(condition)

    def ended(self):
        """The exit status and what it wrote to stderr."""
        try:
            self._process.wait(300)
        finally:
            self._process.kill()
            self._reader.join()
        return self._process.returncode, self._errors.read_text()

    def kill(self):
        self._process.kill()
        self._reader.join()


@pytest.fixture(scope="module")
def folder(runs, tmp_path_factory):
    folder = tmp_path_factory.mktemp("played")
    for name in ("cart_pole", "file_task"):
        shutil.copytree(runs(name), folder / name / "seed_1")
    return folder


def test_keys_and_mouse_work_and_closing_the_window_ends_the_command(folder, tmp_path):
    with Screen() as screen:
        played = Played(screen, tmp_path / "stderr.txt", folder, "--allow_code", file_task.__file__)
        try:
            played.wait_for(lambda now: now["steps"] > 0)
            _wait_for_a_picture(screen)
            played.press("space", lambda now: now["paused"])
            played.press("BackSpace", lambda now: now["steps"] == 0)
            played.press("Right", lambda now: now["steps"] == 1)
            episode = played.state["episode"]
            played.press("Return", lambda now: now["episode"] == episode + 1 and now["steps"] == 0)
            assert played.state["iteration"] == 2
            screen.input("key", "Down")  # from the newest to the same one by its name
            played.press("Down", lambda now: now["iteration"] == 1)
            played.press("Up", lambda now: now["iteration"] == 2)
            played.press("F8", lambda now: now["noise"])
            played.press("minus", lambda now: now["speed"] == 0.5)
            played.press("equal", lambda now: now["speed"] == 1.0)
            still = screen.picture()
            played.press("space", lambda now: not now["paused"] and now["steps"] > 5)
            _wait(lambda: (screen.picture() != still).any())

            played.press("F9", lambda now: now["run"] == "file_task/seed_1")
            _wait_for_a_picture(screen)
            played.press("space", lambda now: now["paused"])
            _drag(played, folder, "goal", lambda now, before: now["command"] != before["command"])
            played.press("space", lambda now: not now["paused"])
            _drag(played, folder, "puck", lambda now, before: now["pull"] == "puck")
            played.wait_for(lambda now: now["pull"] is None)

            screen.input("key", "ctrl+q")
            assert played.ended() == (0, "")
        finally:
            played.kill()


def _wait(condition):
    for _ in range(3000):
        if condition():
            return
        time.sleep(0.1)
    raise AssertionError("never came true")


def _wait_for_a_picture(screen):
    """Wait for a window that is not of one color."""
    _wait(lambda: len(np.unique(screen.picture()[: HEIGHT // 2, : WIDTH // 2].reshape(-1, 3), axis=0)) > 20)


def _drag(played, folder, body, condition):
    """Select a body with a double click and drag it as docs/play.md says; again if two clicks were too slow for one."""
    before = played.state
    for _ in range(20):
        x, y = _place(folder / "file_task", np.array(played.state["places"][body]))
        played.screen.input("mousemove", str(x), str(y), "click", "--repeat", "2", "--delay", "60", "1")
        played.screen.input("keydown", "ctrl", "mousedown", "3")
        for _ in range(4):
            played.screen.input("mousemove_relative", "10", "0")
        came = played.becomes(lambda now: condition(now, before), 5)
        played.screen.input("mouseup", "3", "keyup", "ctrl")
        if came:
            return
    raise AssertionError(f"{body} was never dragged; the state is {played.state}")


def _place(folder, point):
    """Where on the screen a point of the scene is, px; the window has two thirds of its size."""
    player = Player([folder])
    model = player.simulations[0].model
    position, look_at, _ = camera(model)
    player.close()
    forward = (look_at - position) / np.linalg.norm(look_at - position)
    right = np.cross(forward, [0, 0, 1])
    right /= np.linalg.norm(right)
    ray, height, width = point - position, HEIGHT * 2 // 3, WIDTH * 2 // 3
    scale = height / 2 / np.tan(np.deg2rad(model.vis.global_.fovy) / 2) / (ray @ forward)
    return round(width / 2 + scale * (ray @ right)), round(height / 2 - scale * (ray @ np.cross(right, forward)))
