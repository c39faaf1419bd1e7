"""The player in a browser: a server that shows the scene and the panel, and steps what it shows."""

import contextlib
import io
import queue
import socket
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from manyseeds.core.errors import UserError
from manyseeds.evaluation.player.panel import Panel
from manyseeds.evaluation.player.player import Player
from manyseeds.evaluation.player.scene import Scene, camera, width

if TYPE_CHECKING:
    import viser

FRAME_S = 1 / 30
PANEL_S = 0.2
FOLLOW_S = 2.0
UNWATCHED_S = 0.2
"""How long to sleep while no browser looks; time stands still then."""


def serve(player: Player, host: str, port: int, ready: Callable[[str], None], ended: threading.Event) -> None:
    """Show a player to browsers.

    Args:
        player: what is shown.
        host: the address to listen at.
        port: the first port to try; 0 takes any.
        ready: is called with the address to open.
        ended: ends the server once it is set.

    Raises:
        UserError: when this machine does not have the address.
    """
    import viser

    try:
        socket.create_server((host, 0), family=socket.AF_INET6 if ":" in host else socket.AF_INET).close()
    except OSError as error:
        raise UserError(f"--host is {host}; nothing can listen there: {error.strerror or error}.") from error
    with _silence():
        server = viser.ViserServer(host=host, port=port, label="manyseeds", verbose=False)
    try:
        view = View(server, player)
        ready(f"http://{f'[{host}]' if ':' in host else host}:{server.get_port()}")
        while not ended.is_set():
            view.work()
    finally:
        with _silence():
            server.stop()


def _silence() -> contextlib.redirect_stdout[io.StringIO]:
    """Keep viser from printing, which it does even when it is not to."""
    return contextlib.redirect_stdout(io.StringIO())


class View:
    """Shows a player by viser's server. All that changes the player is done by whoever calls `work`, again and again.

    Args:
        server: viser's.
        player: what is shown.
    """

    def __init__(self, server: "viser.ViserServer", player: Player) -> None:
        self._server, self._player = server, player
        self._wanted: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self._scenes: list[Scene] = []
        self._seen = ""
        server.scene.set_up_direction("+z")
        # Light from everywhere would be an image from the network; these lights are not.
        server.scene.configure_environment_map(None)
        server.scene.add_light_hemisphere("/light", intensity=1.5)
        server.gui.configure_theme(show_logo=False, show_share_button=False, control_width="medium")
        server.gui.main_panel.dock_right()
        self._panel = Panel(server, player, self._wanted.put)
        self._build()
        self._last = time.monotonic()
        self._regular = ((FRAME_S, self._draw), (PANEL_S, self._panel.update), (FOLLOW_S, player.follow))
        self._done = [self._last] * len(self._regular)

    def work(self) -> None:
        """Do what was asked for, and step and show what is due."""
        watched = bool(self._server.get_clients())
        self._take(FRAME_S / 4 if watched else UNWATCHED_S)
        now = time.monotonic()
        if watched:
            self._player.advance(now - self._last)
        self._last = now
        for index, (seconds, work) in enumerate(self._regular):
            if now - self._done[index] >= seconds:
                work()
                self._done[index] = time.monotonic()

    def _take(self, seconds: float) -> None:
        """Do what was asked for; wait some seconds for it if nothing was."""
        try:
            work = self._wanted.get(timeout=seconds)
            while True:
                work()
                work = self._wanted.get_nowait()
        except queue.Empty:
            pass

    def _draw(self) -> None:
        if [scene.simulation for scene in self._scenes] != self._player.simulations:
            self._build()
        with self._server.atomic():
            for scene in self._scenes:
                scene.draw()

    def _build(self) -> None:
        """Draw the simulations that there are now, the second beside the first."""
        for scene in self._scenes:
            scene.remove()
        self._scenes = []
        for place, simulation in enumerate(self._player.simulations):
            offset = np.array([0.0, width(self._player.simulations[0]), 0.0]) if place else np.zeros(3)
            move_target = None if place else self._player.move_target
            name = "second" if place else "first"
            self._scenes.append(Scene(self._server, name, simulation, offset, self._wanted.put, move_target))
        if self._scenes and self._scenes[0].simulation.task.name != self._seen:
            self._look()

    def _look(self) -> None:
        """Let all browsers look at the task, now and when they come."""
        simulation = self._scenes[0].simulation
        self._seen = simulation.task.name
        for view in (self._server.initial_camera, *(client.camera for client in self._server.get_clients().values())):
            view.position, view.look_at, view.fov = camera(simulation.model)
