"""The player in MuJoCo's passive viewer, for a machine with a screen."""

import os
import sys
import threading
import time
import warnings
from collections.abc import Callable
from typing import Any

import mujoco
import numpy as np

from manyseeds.core.errors import UserError
from manyseeds.evaluation.player.player import Player
from manyseeds.evaluation.player.scene import camera, width
from manyseeds.evaluation.player.simulation import Pull, Simulation

FRAME_S = 1 / 60
FOLLOW_S = 2.0
TEXT_S = 0.2
_BAR = 20
"""Letters of a full bar; the rest is dots, so that the text does not change its width."""
_KEYS = {
    32: "space", 257: "enter", 259: "backspace", 262: "right", 264: "down", 265: "up", 297: "F8", 298: "F9",
    45: "-", 61: "=",
}  # fmt: skip
"""GLFW's codes of the keys that the viewer leaves free."""


def show(player: Player) -> None:
    """Show a player in a window until the user closes it.

    Raises:
        UserError: when this machine has no screen.
    """
    screen = sys.platform != "linux" or os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")
    if not screen or not _has_screen():
        raise UserError("--window needs a screen, which this machine does not offer; without it a browser shows all.")
    import mujoco.viewer

    window, followed = Window(player), time.monotonic()
    while True:
        shown = _wait(window, player)
        others = set(threading.enumerate())
        with mujoco.viewer.launch_passive(
            shown.model, window.data, key_callback=window.press, show_left_ui=False, show_right_ui=False
        ) as viewer:
            _look(viewer, shown.model, window.aside if len(player.simulations) > 1 else 0.0)
            last = noted = time.monotonic()
            while viewer.is_running() and window.simulation is shown:
                now = time.monotonic()
                if now - followed >= FOLLOW_S:
                    player.follow()
                    followed = now
                window.work()
                if window.simulation is not shown:  # a key has chosen another run
                    break
                with viewer.lock():
                    window.grab(viewer.perturb)
                player.advance(now - last)
                with viewer.lock():
                    window.draw(viewer.user_scn)
                if now - noted >= TEXT_S:
                    left, right = window.text()
                    viewer.set_texts((None, None, left, right))
                    noted = now
                viewer.sync()
                last = now
                time.sleep(max(0.0, FRAME_S - (time.monotonic() - now)))
        # The viewer still frees its window: Python crashes if it ends before that, and GLFW has one window at a time.
        for thread in set(threading.enumerate()) - others:
            thread.join()
        if window.simulation is shown:  # the user has closed the window
            return


def _wait(window: "Window", player: Player) -> Simulation:
    """Return the first policy's simulation; until there is one, print why not."""
    said = ""
    while (simulation := window.simulation) is None:
        if player.choices[0].problem != said:
            said = player.choices[0].problem
            print(said, flush=True)
        time.sleep(FOLLOW_S)
        player.follow()
    return simulation


def _has_screen() -> bool:
    """Return whether GLFW finds a screen; the viewer would wait for one without end."""
    import glfw

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return bool(glfw.init())


def _look(viewer: Any, model: mujoco.MjModel, aside: float) -> None:
    """Look from the model's first camera, from farther away at two policies, and let the mouse move on from there."""
    position, point, _ = camera(model)
    between, away = np.array([0.0, aside / 2, 0.0]), position - point
    away = away * (1 + np.linalg.norm(between) / np.linalg.norm(away))
    with viewer.lock():
        viewer.cam.lookat[:] = point + between
        viewer.cam.distance = np.linalg.norm(away)
        viewer.cam.azimuth = np.degrees(np.arctan2(-away[1], -away[0]))
        viewer.cam.elevation = -np.degrees(np.arcsin(away[2] / np.linalg.norm(away)))


class Window:
    """What keys and the mouse do, and what is drawn; knows no screen.

    Args:
        player: what is shown.

    Attributes:
        data: the first simulation as it is drawn.
        aside: how far the second one stands to its side, m along y.
    """

    def __init__(self, player: Player) -> None:
        self._player = player
        self._pressed: list[str] = []
        self._shown: Simulation | None = None
        self.keys: dict[str, Callable[[], None]] = {
            "space": player.toggle,
            "right": player.step_alone,
            "backspace": player.restart,
            "enter": lambda: player.restart(player.episode + 1),
            "up": lambda: self._change_checkpoint(-1),
            "down": lambda: self._change_checkpoint(1),
            "F8": lambda: setattr(player, "noise", not player.noise),
            "F9": self._next_run,
            "-": lambda: setattr(player, "speed", max(player.speed / 2, 1 / 16)),
            "=": lambda: setattr(player, "speed", min(player.speed * 2, 16.0)),
        }

    @property
    def simulation(self) -> Simulation | None:
        """The first policy's simulation, if it can be played."""
        simulation = self._player.choices[0].simulation
        if simulation is not self._shown and simulation is not None:
            self.data, self._shown = mujoco.MjData(simulation.model), simulation
            self.aside = width(simulation)
        return simulation

    def press(self, code: int) -> None:
        """Take a key's code, from the viewer's thread, for `work`."""
        if code in _KEYS:
            self._pressed.append(_KEYS[code])

    def work(self) -> None:
        """Do what the pressed keys ask for."""
        while self._pressed:
            self.keys[self._pressed.pop(0)]()

    def grab(self, perturb: Any) -> None:
        """Pull the body or move the target that the mouse drags in the viewer."""
        simulation = self.simulation
        if simulation is None:
            return
        body = perturb.select
        if not perturb.active & int(mujoco.mjtPertBit.mjPERT_TRANSLATE) or body <= 0:
            simulation.pull = None
        elif simulation.can_pull(body):
            simulation.pull = Pull(body, perturb.localpos.copy(), perturb.refselpos.copy())
        elif simulation.model.body_mocapid[body] >= 0:
            data = simulation.data
            held = data.xpos[body] + data.xmat[body].reshape(3, 3) @ perturb.localpos
            self._player.move_target(perturb.refselpos - held)

    def draw(self, extra: mujoco.MjvScene) -> None:
        """Bring `data` up to date, and put the second simulation's shapes into `extra`, beside the first."""
        first, *others = self._player.simulations
        _copy(first, self.data)
        extra.ngeom = 0
        for simulation in others:
            data = mujoco.MjData(simulation.model)
            _copy(simulation, data)
            mujoco.mjv_addGeoms(
                simulation.model,
                data,
                mujoco.MjvOption(),
                mujoco.MjvPerturb(),
                int(mujoco.mjtCatBit.mjCAT_STATIC | mujoco.mjtCatBit.mjCAT_DYNAMIC),
                extra,
            )
            for index in range(extra.ngeom):
                extra.geoms[index].pos[1] += self.aside

    def text(self) -> tuple[str, str]:
        """Return what stands over the picture: names, and their numbers with bars of letters."""
        player = self._player
        rows: list[tuple[str, str]] = []
        for choice in player.choices:
            simulation = choice.simulation
            rows.append((choice.run, choice.checkpoint if simulation is None else f"iteration {simulation.iteration}"))
            if choice.problem:
                rows.append((choice.problem, ""))
            if simulation is None:
                continue
            seconds = simulation.steps * simulation.step_dt
            state = "paused" if player.paused else f"{player.speed:g} x"
            rows.append((f"episode {simulation.episode}", f"{seconds:.2f} s, {state}{', noise' * player.noise}"))
            if simulation.broken:
                rows.append(("failed", f"{simulation.broken} is not finite"))
            scale = max(abs(getattr(simulation.cfg, f"{name}_weight")) for name in simulation.rewards)
            rows += [(name, _bar(value, scale)) for name, value in simulation.rewards.items()]
            judged = simulation.outcomes()
            for outcome in simulation.task.description.outcomes:
                value = judged.get(outcome.name, float("nan"))
                if value != value:  # not known yet
                    shown = "-"
                elif outcome.kind == "share":
                    shown = "yes" if value else "no"
                else:
                    shown = f"{value:.3g} {outcome.unit}"
                rows.append((outcome.title, shown))
        return "\n".join(name for name, _ in rows), "\n".join(number for _, number in rows)

    def _change_checkpoint(self, by: int) -> None:
        choice = self._player.choices[0]
        names = choice.checkpoints()
        place = names.index(choice.checkpoint) if choice.checkpoint in names else 0
        self._player.choose(0, choice.run, names[min(max(place + by, 0), len(names) - 1)])

    def _next_run(self) -> None:
        names = list(self._player.runs)
        place = names.index(self._player.choices[0].run) + 1
        self._player.choose(0, names[place % len(names)])


def _bar(value: float, scale: float) -> str:
    length = round(_BAR * min(1.0, abs(value) / scale)) if scale else 0
    return f"{value:8.3f} {'|' * length}{'.' * (_BAR - length)}"


def _copy(simulation: Simulation, data: mujoco.MjData) -> None:
    data.qpos[:], data.mocap_pos[:] = simulation.data.qpos, simulation.data.mocap_pos
    mujoco.mj_kinematics(simulation.model, data)
    mujoco.mj_camlight(simulation.model, data)
