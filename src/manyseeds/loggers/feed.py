"""One tracker of one run, kept up to date, whatever fails on the way."""

import contextlib
import time
from collections.abc import Callable, Sequence
from typing import Protocol

from manyseeds.core.loggers import LOGGERS
from manyseeds.core.secrets import masked
from manyseeds.loggers.account import write_account
from manyseeds.loggers.mlflow_logger import MlflowLogger
from manyseeds.loggers.rows import Row
from manyseeds.loggers.run import Run
from manyseeds.loggers.wandb_logger import WandbLogger

RETRY_S = 600.0
"""How long after an error a tracker is left alone."""


class Logger(Protocol):
    """What a tracker's client is to this package; see `WandbLogger`."""

    offline: str
    url: str | None

    def open(self) -> int:
        """Open the run; return the last iteration that the tracker has, or -1."""

    def send(self, rows: Sequence[Row]) -> None:
        """Send rows of later iterations."""

    def close(self, finished: bool) -> None:
        """Wait until the tracker has everything."""

    def abandon(self) -> None:
        """Let go after an error."""


KINDS: dict[str, Callable[[Run, bool], Logger]] = {"wandb": WandbLogger, "mlflow": MlflowLogger}
"""By the names of `LOGGERS`; takes the run, and whether it must be sent and not kept offline."""


class Feed:
    """Sends a growing event file to one tracker, and tells once when that fails.

    Args:
        name: the tracker's.
        run: the run.
        read: returns the rows between two places of the event file.
        tell: prints a line.
    """

    def __init__(self, name: str, run: Run, read: Callable[[int, int], list[Row]], tell: Callable[[str], None]) -> None:
        self._name, self._run, self._read, self._tell = name, run, read, tell
        self._logger: Logger | None = None
        self._last, self._place, self._again, self._told = -1, 0, 0.0, False

    def bring(self, size: int) -> None:
        """Send all rows up to a place of the event file that the tracker lacks."""
        try:
            if self._logger is None:
                if time.monotonic() < self._again:
                    return
                self._open()
            assert self._logger is not None
            rows = [row for row in self._read(self._place, size) if row.step > self._last]
            self._logger.send(rows)
            self._place = size
            self._last = rows[-1].step if rows else self._last
        except Exception as error:
            self._fail(error)

    def close(self, finished: bool) -> None:
        """Wait until the tracker has everything.

        Args:
            finished: whether the run has ended.
        """
        if self._logger is None:
            return
        try:
            self._logger.close(finished)
            if not self._logger.offline:
                write_account(self._run, self._name, self._last, self._logger.url)
        except Exception as error:
            self._fail(error)

    def _open(self) -> None:
        write_account(self._run, self._name, -1, None)  # `manyseeds sync` sends the run there
        logger = KINDS[self._name](self._run, False)
        self._last, self._place = logger.open(), 0
        self._logger = logger
        if logger.offline:
            self._say(f"[INFO] {LOGGERS[self._name]} is kept offline", logger.offline)
        elif logger.url:
            self._tell(f"[INFO] Logging to {LOGGERS[self._name]}: {logger.url}")

    def _fail(self, error: Exception) -> None:
        logger, self._logger = self._logger, None
        self._again = time.monotonic() + RETRY_S
        if logger is not None:
            with contextlib.suppress(Exception):
                logger.abandon()
        self._say(f"[WARNING] {LOGGERS[self._name]} cannot be reached", sentence(error))

    def _say(self, what: str, why: str) -> None:
        if not self._told:
            self._told = True
            self._tell(f"{what} ({why}); training goes on. To send it later: manyseeds sync {self._run.folder}")


def sentence(error: Exception) -> str:
    """Return what an error says as one short line without secrets."""
    text = masked(" ".join(str(error).split()) or repr(error)).rstrip(".")
    return text if len(text) <= 200 else f"{text[:197]}..."
