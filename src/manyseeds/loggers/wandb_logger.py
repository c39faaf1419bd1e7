"""Weights & Biases, through its own client."""

import os
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from manyseeds.loggers.rows import Row
from manyseeds.loggers.run import Run

PATIENCE = {"WANDB_INIT_TIMEOUT": "30", "WANDB_FINISH_TIMEOUT": "30"}
"""Environment variables of the client: how long, in s, it waits for the server when a run is opened and closed."""
FOLDER = "wandb"
"""The client's name of its folder in the run's folder."""


class WandbLogger:
    """One run at Weights & Biases.

    Where its settings do not say offline (WANDB_MODE) the run is opened at the server, and continues there. Otherwise,
    or where that fails, all of it is written to an offline folder in the run's folder.

    Args:
        run: the run.
        must_send: whether to fail instead of writing to an offline folder.

    Attributes:
        offline: why the run is not sent; "" where it is.
        url: where a person sees the run.
    """

    def __init__(self, run: Run, must_send: bool) -> None:
        self._run, self._must_send = run, must_send
        self.offline = ""
        self.url: str | None = None

    def open(self) -> int:
        """Open the run; return the last iteration that is there, or -1.

        Raises:
            Exception: whatever the client raises.
        """
        for name, value in PATIENCE.items():
            os.environ.setdefault(name, value)
        if not self._must_send and os.environ.get("WANDB_MODE") in ("offline", "dryrun"):
            self.offline = "WANDB_MODE is offline"
        if not self.offline:
            try:
                # What the client keeps there, the event file holds.
                self._folder = Path(tempfile.mkdtemp(prefix="manyseeds-wandb-"))
                self._opened = self._init("online", self._folder)
                self.url = self._opened.url
                return int(self._opened.starting_step) - 1
            except Exception as error:
                self.abandon()
                if self._must_send:
                    raise
                self.offline = str(error) or repr(error)
        # It gets the whole run, so what an earlier start wrote of it is in it, too.
        self.remove_offline()
        self._folder = self._run.folder
        self._opened = self._init("offline", self._folder)
        return -1

    def _init(self, mode: Any, folder: Path) -> Any:
        import wandb

        run = self._run
        settings = wandb.Settings(
            console="off",
            silent=True,
            symlink=False,
            disable_git=True,
            disable_code=True,
            finish_timeout_raises=True,
        )
        return wandb.init(
            dir=folder,
            id=run.id,
            mode=mode,
            resume="allow" if mode == "online" else None,
            project=os.environ.get("WANDB_PROJECT") or run.experiment,
            group=os.environ.get("WANDB_RUN_GROUP") or run.group or None,
            name=run.name,
            config=run.config,
            settings=settings,
        )

    def send(self, rows: Sequence[Row]) -> None:
        """Hand rows to the client, which sends them in the background."""
        for row in rows:
            self._opened.log(row.scalars | {"_timestamp": row.time}, step=row.step)

    def close(self, finished: bool) -> None:
        """Wait until the server has everything, for a limited time.

        Args:
            finished: whether the run has ended; otherwise it shows as failed until it goes on.

        Raises:
            Exception: whatever the client raises, such as TimeoutError.
        """
        try:
            self._opened.finish(exit_code=0 if finished else 1)
        finally:
            self._remove_temporary()
        if not self.offline:
            self.remove_offline()

    def abandon(self) -> None:
        """Let go of a run after an error, so that it can be opened again."""
        import wandb

        try:
            wandb.teardown(exit_code=1)
        finally:
            self._remove_temporary()

    def remove_offline(self) -> None:
        """Remove the offline folders of this run."""
        for folder in (self._run.folder / FOLDER).glob(f"offline-run-*-{self._run.id}"):
            shutil.rmtree(folder, ignore_errors=True)

    def _remove_temporary(self) -> None:
        if self._folder != self._run.folder:
            shutil.rmtree(self._folder, ignore_errors=True)
