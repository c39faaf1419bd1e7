import json
import math
import os

import pytest

from helpers.event_files import scalar, write_events
from helpers.verbs import verb
from manyseeds.config import resolve
from manyseeds.core.layout import EVENT_FILE, decision_name
from manyseeds.core.race import Decision, Stop
from manyseeds.core.text import duration
from manyseeds.launch.status import Watcher

main = verb("status")


FIELDS = {
    "experiment": "tiny",
    "seeds": [1, 2, 3],
    "train": {"num_envs": 16, "max_iterations": 10},
    "agent": "generic_policy.json",
}


def events(iterations):
    """What a run logs in its first iterations: two seconds each, reward and success late."""
    for step in range(1, iterations + 1):
        yield scalar("Perf/collection_time", step, 1.5)
        yield scalar("Perf/learning_time", step, 0.5)
        yield scalar("Perf/total_fps", step, 192)
        if step > 2:
            yield scalar("Train/mean_reward", step, float(step))
            yield scalar("Metrics/success_rate", step, step / 10)


@pytest.fixture
def folder(tmp_path):
    """An experiment whose first seed has finished, whose second trains, and whose third waits."""
    (tmp_path / "config.json").write_text(resolve(FIELDS).to_json())
    done, going = (tmp_path / "default" / f"seed_{seed}" for seed in (1, 2))
    write_events(done / EVENT_FILE, events(10))
    (done / "run.json").write_text(json.dumps({}))
    write_events(going / EVENT_FILE, events(4))
    return tmp_path


def test_a_line_per_run_says_how_far_it_is(folder):
    now = (folder / "default" / "seed_2" / EVENT_FILE).stat().st_mtime + 1
    done, going, waiting = Watcher(folder).progress(now)
    assert (done.state, done.iteration, done.left_s) == ("finished", 10, 0.0)
    assert (going.state, going.iteration, going.max_iterations) == ("training", 4, 10)
    assert going.left_s == pytest.approx(6 * 2.0)
    assert going.reward == 4.0 and going.success == pytest.approx(0.4) and going.steps_per_s == 192
    assert waiting.state == "waiting" and math.isnan(waiting.reward)


def test_a_run_whose_event_file_is_moved_at_this_moment_is_shown_and_the_others_too(folder, monkeypatch):
    read = Watcher._read

    def gone(watcher, events, reward):
        if "seed_2" in str(events):
            raise FileNotFoundError(events)
        return read(watcher, events, reward)

    monkeypatch.setattr(Watcher, "_read", gone)
    assert [line.state for line in Watcher(folder).progress(0.0)] == ["finished", "starting", "waiting"]


def test_a_run_that_the_race_stopped_is_done_at_its_rung(folder):
    fields = FIELDS | {"variants": {"good": {}, "default": {}}, "race": {"rungs": [4]}}
    experiment = resolve(fields | {"train": FIELDS["train"] | {"save_interval": 2}})
    stop = {"default": Stop(4, 2, 2)}
    decision = Decision(4, {}, "reached", [], stop)
    (folder / decision_name(4)).write_text(json.dumps(decision.to_dict()))
    (folder / "default" / "seed_2" / "run.json").write_text(json.dumps({}))
    lines = {line.run: line for line in Watcher(folder).of_experiment(experiment, 0.0)}
    assert (lines["default/seed_2"].state, lines["default/seed_2"].max_iterations) == ("stopped", 4)
    assert lines["good/seed_1"].max_iterations == 10


def test_a_run_that_writes_nothing_any_more_is_quiet(folder):
    now = (folder / "default" / "seed_2" / EVENT_FILE).stat().st_mtime + 600
    assert Watcher(folder).progress(now)[1].state == "quiet"


def test_a_half_written_or_empty_event_file_does_not_end_the_watch(folder):
    path = folder / "default" / "seed_2" / EVENT_FILE
    with path.open("r+b") as stream:
        stream.truncate(path.stat().st_size - 5)
    watcher = Watcher(folder)
    assert watcher.progress(path.stat().st_mtime)[1].iteration == 4
    path.write_bytes(b"")
    os.utime(path)
    assert watcher.progress(path.stat().st_mtime)[1].state == "starting"


def test_new_iterations_are_seen(folder):
    path = folder / "default" / "seed_2" / EVENT_FILE
    watcher = Watcher(folder)
    assert watcher.progress(path.stat().st_mtime)[1].iteration == 4
    write_events(path, events(5))
    assert watcher.progress(path.stat().st_mtime)[1].iteration == 5


def test_the_command_prints_columns_for_every_experiment(folder, capsys):
    assert main(["--once", str(folder)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[1].split() == ["run", "state", "iteration", "done", "reward", "success", "steps/s", "ETA"]
    assert lines[3].split()[:7] == ["default/seed_2", "training", "4/10", "40%", "4.00", "40.0%", "192"]


def test_the_experiments_of_a_benchmark_are_found_from_the_folder_of_all_results(tmp_path, capsys):
    for name in ("results/bench/reach", "results/plain", "results/published/reach", "results/plain/default/seed_1"):
        (tmp_path / name).mkdir(parents=True, exist_ok=True)
        (tmp_path / name / "config.json").write_text(resolve(FIELDS).to_json())
    assert main(["--once", str(tmp_path / "results")]) == 0
    # Three seeds of each of two experiments; a published copy and a file of a run are none.
    assert capsys.readouterr().out.count("waiting") == 6


def test_a_folder_without_an_experiment_is_an_error(tmp_path, capsys):
    assert main(["--once", str(tmp_path)]) == 2
    assert "holds no experiment" in capsys.readouterr().err


def test_durations_are_hours_minutes_seconds():
    assert [duration(seconds) for seconds in (0, 59.6, 3661, math.nan)] == ["0:00:00", "0:01:00", "1:01:01", "-"]


def test_on_a_terminal_the_table_is_live_and_elsewhere_plain_lines(folder, capsys, monkeypatch):
    assert main(["--once", str(folder)]) == 0
    plain = capsys.readouterr().out
    assert "\x1b" not in plain and max(map(len, plain.splitlines()[1:])) < 120
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm-256color")
    assert main(["--once", str(folder)]) == 0
    assert "\x1b[" in capsys.readouterr().out
