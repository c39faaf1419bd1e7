"""The player in a real Chromium: it loads, moves and does what a person asks for."""

import io
import shutil
import threading

import numpy as np
import pytest
from PIL import Image

from helpers.browser import Browser
from helpers.waiting import wait_for
from manyseeds.evaluation.player.browser import serve
from manyseeds.evaluation.player.player import Player
from manyseeds.evaluation.player.scene import camera

pytestmark = pytest.mark.browser

PLACES = "return [...document.querySelectorAll('[data-place]')].map(bars => ({...bars.dataset}))"
INPUT = (
    "const label = [...document.querySelectorAll('label')].find(label => label.textContent === arguments[0]);"
    "const input = document.getElementById(label.htmlFor);"
)
CHOOSE = "[...document.querySelectorAll('[role=option]')].find(e => e.textContent === arguments[0] && e.offsetParent)"
BUTTON = "[...document.querySelectorAll('button')].find(button => button.textContent === arguments[0])"
CANVAS = "return document.querySelector('canvas').getBoundingClientRect().toJSON()"
HARMLESS = "Unable to preventDefault inside passive event listener"
"""What Chromium says of three.js when something is dragged."""
SPACE = "\ue00d"


class Page:
    """The player's page, and the player behind it."""

    def __init__(self, browser, player, address):
        self.browser, self.player = browser, player
        browser.open_address(address)

    def steps(self):
        places = self.browser.run(PLACES)
        return int(places[0]["steps"]) if places else 0

    def iterations(self):
        return [place["iteration"] for place in self.browser.run(PLACES)]

    def choose(self, label, value):
        self.browser.run(f"{INPUT} input.click()", label)
        wait_for(lambda: self.browser.run(f"return !!{CHOOSE}", value))
        self.browser.run(f"{CHOOSE}.click()", value)

    def picture(self):
        """The scene without the panel, as gray levels."""
        png = self.browser.screenshot()
        return np.asarray(Image.open(io.BytesIO(png)).convert("L").crop((320, 0, 640, 500)), float)

    def place(self, point):
        """Where in the window a point of the scene is, px."""
        position, look_at, fov = camera(self.player.simulations[0].model)
        forward = (look_at - position) / np.linalg.norm(look_at - position)
        right = np.cross(forward, [0, 0, 1])
        right /= np.linalg.norm(right)
        ray, box = point - position, self.browser.run(CANVAS)
        scale = box["height"] / 2 / np.tan(fov / 2) / (ray @ forward)
        across, up = ray @ right, ray @ np.cross(right, forward)
        return round(box["x"] + box["width"] / 2 + scale * across), round(box["y"] + box["height"] / 2 - scale * up)

    def drag(self, point, across, then):
        """Hold a point of the scene and move it to the right; let it go when something holds."""
        x, y = self.place(point)
        move = {"type": "pointerMove", "duration": 0}
        self.browser.pointer(move | {"x": x - 2, "y": y}, move | {"x": x, "y": y}, {"type": "pause", "duration": 300})
        self.browser.pointer({"type": "pointerDown", "button": 0}, *(move | {"x": x + dx, "y": y} for dx in across))
        wait_for(then)
        self.browser.pointer({"type": "pointerUp", "button": 0})


@pytest.fixture(scope="module")
def page(runs, tmp_path_factory):
    folder = tmp_path_factory.mktemp("played")
    for name in ("cart_pole", "file_task"):
        shutil.copytree(runs(name), folder / name / "seed_1")
    player, address, ended = Player([folder]), [], threading.Event()
    server = threading.Thread(target=serve, args=(player, "127.0.0.1", 0, address.append, ended))
    server.start()
    try:
        with Browser((960, 700)) as browser:
            page = Page(browser, player, wait_for(lambda: address[:1])[0])
            wait_for(page.steps)
            yield page
            # Nothing went wrong, and nothing came from elsewhere.
            assert [message for message in browser.console("SEVERE") if HARMLESS not in message] == []
            asked = {url for url in browser.requests() if not url.startswith(("data:", "about:"))}
            assert all(url.startswith((address[0], f"blob:{address[0]}")) for url in asked)
    finally:
        ended.set()
        server.join()
        player.close()


def test_it_moves_until_it_is_paused(page):
    before = page.picture()
    assert before.std() > 1  # something is there
    wait_for(lambda: np.abs(page.picture() - before).max() > 50)
    page.browser.press(SPACE)
    wait_for(lambda: page.player.paused)
    wait_for(lambda: page.steps() == page.player.simulations[0].steps)
    steps = page.steps()
    page.browser.run(f"{BUTTON}.click()", "Step")
    wait_for(lambda: page.steps() == steps + 1)
    page.browser.run(f"{BUTTON}.click()", "Restart")
    wait_for(lambda: page.steps() == 0)


def test_a_checkpoint_is_switched(page):
    assert page.iterations() == ["2"]
    page.choose("Checkpoint", "model_1.pt")
    wait_for(lambda: page.iterations() == ["1"])


def test_a_second_policy_stands_beside_the_first(page):
    before = page.picture()
    page.browser.run(f"{INPUT} input.click()", "Second policy")
    wait_for(lambda: page.iterations() == ["1", "1"])
    wait_for(lambda: (np.abs(page.picture() - before) > 30).sum() > 100)
    page.browser.run(f"{INPUT} input.click()", "Second policy")
    wait_for(lambda: page.iterations() == ["1"])


def test_a_body_is_pulled_while_the_mouse_holds_it(page):
    simulation = page.player.simulations[0]
    pole = simulation.model.body("pole").id  # is in front of the cart
    page.drag(simulation.data.xpos[pole], (10, 30, 60), lambda: simulation.pull and simulation.pull.body == pole)
    wait_for(lambda: simulation.pull is None)


def test_another_run_is_chosen_and_its_target_dragged(page):
    page.choose("Run", "file_task/seed_1")
    wait_for(lambda: [simulation.task.name for simulation in page.player.simulations] == ["push"])
    simulation = page.player.simulations[0]
    wait_for(lambda: page.iterations() == ["2"])
    before = float(simulation.command)
    page.drag(simulation.marks()[0] + [0.08, 0, 0], (5, 20, 40), lambda: float(simulation.command) > before + 0.02)
    assert simulation.changed
