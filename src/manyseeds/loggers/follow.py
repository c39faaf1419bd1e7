"""Send a run's scalars to trackers while it trains: `python -m manyseeds.loggers.follow FOLDER wandb,mlflow`.

Standard input says, a number a line, up to which byte the event file is part of a saved state; the line `end` says that
the run has ended. Whoever trains may die: the end of standard input ends this process, too.
"""

import contextlib
import os
import signal
import sys
import threading
from pathlib import Path

from manyseeds.core.layout import EVENT_FILE, LOGGERS_LOCK
from manyseeds.core.locks import locked
from manyseeds.loggers.feed import Feed
from manyseeds.loggers.rows import read_rows
from manyseeds.loggers.run import run_in

END = "end"
LIMIT_S = 75.0
"""How long the trackers may take after the run has ended."""


def main() -> int:
    """Follow a run until it ends; return 0."""
    folder, names = Path(sys.argv[1]), sys.argv[2].split(",")
    # The process that an earlier start of the run has left may still be sending.
    with locked(folder / LOGGERS_LOCK, wait=lambda: None), (folder / EVENT_FILE).open("rb") as stream:
        run = run_in(folder)
        feeds = [Feed(name, run, lambda start, end: read_rows(stream, start, end), _tell) for name in names]
        finished = False
        for line in sys.stdin:
            if line.strip() == END:
                finished = True
                break
            for feed in feeds:
                feed.bring(int(line))
        _end_in(LIMIT_S)
        for feed in feeds:
            feed.close(finished)
    return 0


def _tell(line: str) -> None:
    with contextlib.suppress(OSError):  # training may have ended
        print(line, flush=True)


def _end_in(seconds: float) -> None:
    """End this process and what it has started after a time."""

    def end() -> None:
        if os.getpgrp() == os.getpid():
            os.killpg(0, signal.SIGKILL)
        os._exit(1)

    timer = threading.Timer(seconds, end)
    timer.daemon = True
    timer.start()


if __name__ == "__main__":
    sys.exit(main())
