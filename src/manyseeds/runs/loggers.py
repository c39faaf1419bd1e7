"""Sends a run's scalars to experiment trackers, by a process of its own that nothing in training waits for."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from manyseeds.core import python_path
from manyseeds.core.loggers import LOGGERS

PATIENCE_S = 90.0
"""How long the end of a run waits until everything is sent."""
POLL_S = 0.1


class Loggers:
    """The process that sends the scalars of one run.

    Args:
        folder: the run's folder, which has its event file.
        names: the trackers; without any there is no process.
    """

    def __init__(self, folder: Path, names: Sequence[str]) -> None:
        self._folder, self._names = folder, names
        self._process: subprocess.Popen[bytes] | None = None
        self._heard = b""
        if not names:
            return
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", "manyseeds.loggers.follow", str(folder), ",".join(names)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env=os.environ | {"PYTHONPATH": python_path.with_package()},
                start_new_session=True,  # Ctrl-C is for training, which then ends this process, too
            )
        except OSError as error:
            self._give_up(str(error.strerror))
            return
        for stream in (self._process.stdin, self._process.stdout):
            assert stream is not None
            os.set_blocking(stream.fileno(), False)

    def saved(self, size: int) -> None:
        """Let the scalars be sent that a state on disk stands behind.

        Args:
            size: of the event file, in bytes, as the state has it.
        """
        self._show()
        self._say(f"{size}\n")

    def end(self) -> None:
        """Wait until everything is sent, for a limited time."""
        self._say("end\n")
        if self._process is None:
            return
        deadline = time.monotonic() + PATIENCE_S
        while self._process.poll() is None and time.monotonic() < deadline:
            self._show()
            time.sleep(POLL_S)
        self._show()
        if self._process.poll() is None:
            with contextlib.suppress(OSError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
        if self._process.returncode:
            self._give_up("it did not end in time" if self._process.returncode < 0 else "it failed")

    def _say(self, line: str) -> None:
        if self._process is None:
            return
        assert self._process.stdin is not None
        try:
            os.write(self._process.stdin.fileno(), line.encode())
        except BlockingIOError:  # it is busy; the next line says the same and more
            pass
        except OSError:
            self._process.wait()
            self._give_up("it failed")

    def _show(self) -> None:
        """Print what the process has said."""
        if self._process is None:
            return
        assert self._process.stdout is not None
        with contextlib.suppress(BlockingIOError):
            while data := os.read(self._process.stdout.fileno(), 1 << 16):
                self._heard += data
        *lines, self._heard = self._heard.split(b"\n")
        for line in lines:
            print(line.decode(errors="replace"), flush=True)

    def _give_up(self, why: str) -> None:
        self._process = None
        titles = " and ".join(LOGGERS[name] for name in self._names)
        print(
            f"[WARNING] The process that sends to {titles} is gone ({why}); training goes on. To send the rest later:"
            f" manyseeds sync {self._folder}",
            flush=True,
        )
