"""Locks: one holder at a time, also when the holder removes the lock's file."""

import multiprocessing
import time
from pathlib import Path

import pytest

from helpers.waiting import wait_for
from manyseeds.core.locks import locked


def _hold(path: Path, waiting: object, log: Path) -> None:
    with locked(path, waiting.set):
        log.write_text(log.read_text() + "in ")
        time.sleep(1)
        log.write_text(log.read_text() + "out ")


def test_who_waited_for_a_lock_whose_file_is_gone_holds_the_new_file(tmp_path: Path) -> None:
    path, log = tmp_path / ".lock", tmp_path / "log"
    log.write_text("")
    context = multiprocessing.get_context("spawn")
    waiting = [context.Event(), context.Event()]
    first, second = (context.Process(target=_hold, args=(path, event, log)) for event in waiting)
    with locked(path):
        first.start()
        assert waiting[0].wait(60)
        path.unlink()
        second.start()  # it makes the file anew
        wait_for(log.read_text)
    for process in (first, second):
        process.join(60)
    assert log.read_text() == "in out in out " and (first.exitcode, second.exitcode) == (0, 0)


def test_a_lock_that_is_held_is_refused_without_waiting(tmp_path: Path) -> None:
    with locked(tmp_path / ".lock"), pytest.raises(BlockingIOError), locked(tmp_path / ".lock"):
        pass
