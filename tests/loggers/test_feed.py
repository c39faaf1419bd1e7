"""One tracker of one run: whatever fails, it is said once, and the next try sends what is missing."""

import pytest

from manyseeds.core.layout import LOGGERS_ACCOUNT
from manyseeds.loggers import feed
from manyseeds.loggers.account import read_account, write_account
from manyseeds.loggers.rows import Row
from manyseeds.loggers.run import Run

ROWS = [Row(step, 1e9 + step, {"Loss/value": float(step)}) for step in range(1, 10)]


class Tracker:
    """Keeps rows by step, as a server does, and fails when told."""

    def __init__(self):
        self.steps, self.failing, self.closed = [], False, []

    def __call__(self, run, must_send):
        return self

    offline, url = "", "http://tracker/run"

    def open(self):
        if self.failing:
            raise ConnectionError("no route to http://me:hunter2@tracker")
        return max(self.steps, default=-1)

    def send(self, rows):
        for row in rows:
            if self.failing:
                raise ConnectionError("the connection was lost")
            self.steps.append(row.step)

    def close(self, finished):
        if self.failing:
            raise TimeoutError
        self.closed.append(finished)

    def abandon(self):
        raise RuntimeError("abandoning fails, too")


@pytest.fixture
def tracker(tmp_path, monkeypatch):
    made, clock = Tracker(), [1e6]
    monkeypatch.setitem(feed.KINDS, "wandb", made)
    monkeypatch.setattr(feed.time, "monotonic", lambda: clock[0])
    made.run, made.said, made.clock = Run(tmp_path, "a1", "lift", "", "run", {}), [], clock
    made.feed = feed.Feed("wandb", made.run, lambda start, end: ROWS[start:end], made.said.append)
    return made


def test_rows_come_once_and_in_order_and_the_account_says_how_far(tracker):
    for size in (0, 2, 2, 5):
        tracker.feed.bring(size)
    tracker.feed.close(True)
    assert tracker.steps == [1, 2, 3, 4, 5] and tracker.closed == [True]
    assert read_account(tracker.run) == {"wandb": {"sent": 5, "url": "http://tracker/run"}}
    assert tracker.said == ["[INFO] Logging to Weights & Biases: http://tracker/run"]


def test_a_tracker_that_goes_away_gets_what_it_lacks_when_it_is_back(tracker):
    tracker.feed.bring(2)
    tracker.failing = True
    tracker.feed.bring(4)
    tracker.failing = False
    tracker.feed.bring(5)
    assert tracker.steps == [1, 2], "it is left alone for a while"
    tracker.clock[0] += feed.RETRY_S + 1
    tracker.feed.bring(6)
    assert tracker.steps == [1, 2, 3, 4, 5, 6]


def test_errors_are_said_once_in_one_line_without_secrets(tracker):
    tracker.failing = True
    for size in range(4):
        tracker.feed.bring(size)
        tracker.clock[0] += feed.RETRY_S + 1
    tracker.feed.close(True)
    [line] = tracker.said
    assert line.startswith("[WARNING] Weights & Biases cannot be reached (no route to http://***@tracker)")
    assert line.endswith(f"manyseeds sync {tracker.run.folder}") and "\n" not in line
    assert read_account(tracker.run) == {"wandb": {"sent": -1}}


def test_what_a_tracker_did_not_confirm_at_the_end_is_not_noted_as_sent(tracker):
    tracker.feed.bring(3)
    tracker.failing = True
    tracker.feed.close(True)
    assert read_account(tracker.run)["wandb"]["sent"] == -1
    assert tracker.said[-1].startswith("[WARNING] Weights & Biases cannot be reached (TimeoutError())")


@pytest.mark.parametrize("content", ["", "[]", '{"id": "a1"}', '{"id": "other", "loggers": {"wandb": {"sent": 9}}}'])
def test_an_account_that_is_damaged_or_of_an_earlier_run_counts_as_none(tracker, content):
    (tracker.run.folder / LOGGERS_ACCOUNT).write_text(content)
    assert read_account(tracker.run) == {}
    write_account(tracker.run, "mlflow", 3, None)
    assert read_account(tracker.run) == {"mlflow": {"sent": 3}}
