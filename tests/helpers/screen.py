"""An X server without a screen (Xvfb), its picture, and a keyboard and a mouse (xdotool)."""

import os
import shutil
import struct
import subprocess
import tempfile
from pathlib import Path

import numpy as np

WIDTH, HEIGHT = 900, 600


class Screen:
    """One screen with no window on it yet; a context manager.

    Attributes:
        environment: what a program needs to open its window there.
    """

    def __enter__(self) -> "Screen":
        for program in ("Xvfb", "xdotool"):
            assert shutil.which(program), f"{program} is missing: install the Debian packages xvfb and xdotool"
        self._folder = tempfile.TemporaryDirectory()
        self._server = subprocess.Popen(
            ["Xvfb", "-displayfd", "1", "-screen", "0", f"{WIDTH}x{HEIGHT}x24", "-fbdir", self._folder.name],
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
        )  # fmt: skip
        kept = {
            name: value for name, value in os.environ.items() if name not in ("WAYLAND_DISPLAY", "XDG_SESSION_TYPE")
        }
        self.environment = kept | {"DISPLAY": f":{self._server.stdout.readline().strip()}"}
        return self

    def __exit__(self, *_: object) -> None:
        self._server.terminate()
        self._server.communicate()
        self._folder.cleanup()

    def input(self, *command: str) -> None:
        """Type or move as xdotool does, such as ("key", "space")."""
        subprocess.run(["xdotool", *command], env=self.environment, check=True, timeout=60)

    def picture(self) -> np.ndarray:
        """Return what the screen shows, (height, width, 3) from 0 to 255."""
        content = (Path(self._folder.name) / "Xvfb_screen0").read_bytes()
        header, colors = struct.unpack(">25I", content[:100]), 12  # the format of xwd
        pixels = np.frombuffer(content, np.uint8, HEIGHT * header[12], header[0] + colors * header[19])
        return pixels.reshape(HEIGHT, -1, 4)[:, :WIDTH, 2::-1].copy()
