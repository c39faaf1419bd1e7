"""A run can be killed, damaged, made longer or changed: it continues exactly or says why it starts over."""

import hashlib
import json
import os
import re
import shutil
import tempfile
from pathlib import Path

import pytest
from tensorboard.backend.event_processing.event_multiplexer import EventMultiplexer

from helpers import kills
from helpers.disks import FullDisk, ReadOnly
from helpers.kills import fingerprint
from helpers.training_runs import agent, start_elsewhere, train
from manyseeds.audit.verify import verify
from manyseeds.core.code import Code
from manyseeds.core.layout import EVENT_FILE, SUPERSEDED, SUPERSEDED_EVENTS
from manyseeds.core.record import INSTRUCTION_VARIABLES, collect
from manyseeds.runs.events import EventWriter
from manyseeds.runs.folder import sole_writer


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A run of 6 iterations that nothing disturbed."""
    folder = tmp_path_factory.mktemp("finished") / "run"
    assert train(folder) == 0
    return folder


@pytest.fixture(scope="module")
def first_half(tmp_path_factory):
    """The first 4 of these iterations, with states after the second and the fourth."""
    folder = tmp_path_factory.mktemp("first_half") / "half"
    assert train(folder, max_iterations=4) == 0
    return folder


@pytest.fixture
def half(tmp_path, first_half):
    """A copy of these iterations."""
    return Path(shutil.copytree(first_half, tmp_path / "half"))


def hashes(folder):
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.iterdir() if path.is_file()}


def test_killed_runs_end_with_the_bits_of_an_undisturbed_one(tmp_path):
    counts = kills.torture(tmp_path, kills=6, seed=1)
    assert counts.kills == 6 and counts.identical >= 1 and counts.different == 0


def test_raised_max_iterations_continue_to_what_the_longer_run_gives(half, finished, capsys):
    assert train(half) == 0
    assert "Continuing" in capsys.readouterr().out
    assert fingerprint(half) == fingerprint(finished)


def test_our_own_ppo_continues_in_the_middle_of_its_annealing_and_averaging(tmp_path, capsys):
    schedule = {"entropy_coef_final": 0.0, "max_std_final": 0.5, "anneal_start": 1, "anneal_end": 5, "ema_decay": 0.9}
    config = agent(class_name="manyseeds.learning.ppo:PPO", **schedule)
    assert train(tmp_path / "whole", config) == 0
    assert train(tmp_path / "parts", config, max_iterations=2) == 0
    assert train(tmp_path / "parts", config) == 0
    assert "Continuing" in capsys.readouterr().out
    assert fingerprint(tmp_path / "parts") == fingerprint(tmp_path / "whole")


def test_a_finished_run_says_so_and_changes_no_file(finished, capsys):
    before = hashes(finished)
    assert train(finished) == 0
    assert "is finished: all 6 iterations are done" in capsys.readouterr().out
    assert hashes(finished) == before


def test_threads_state_interval_and_save_interval_do_not_start_over(half, finished, capsys):
    assert train(half, threads=2, state_interval=1, save_interval=4) == 0
    assert "Continuing" in capsys.readouterr().out
    assert fingerprint(half) == fingerprint(finished)


def flip(path, position):
    raw = bytearray(path.read_bytes())
    raw[position] ^= 1
    path.write_bytes(raw)


DAMAGE = {
    "cut short": lambda path: os.truncate(path, path.stat().st_size // 2),
    "emptied": lambda path: os.truncate(path, 0),
    "a flipped bit at the start": lambda path: flip(path, 3),
    "a flipped bit in the checksum": lambda path: flip(path, 20),
    "a flipped bit in the middle": lambda path: flip(path, path.stat().st_size // 2),
    "a flipped bit at the end": lambda path: flip(path, -1),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_state_is_told_and_the_one_before_it_used(half, finished, capsys, damage):
    DAMAGE[damage](half / "state.pt")
    assert train(half) == 0
    out = capsys.readouterr().out
    assert re.search(r"\[WARNING\] .*state.pt is damaged", out) and "after iteration 2 of 6" in out
    assert fingerprint(half) == fingerprint(finished)


def test_a_missing_state_leaves_the_one_before_it(half, finished, capsys):
    (half / "state.pt").unlink()
    assert train(half) == 0
    assert "after iteration 2 of 6" in capsys.readouterr().out
    assert fingerprint(half) == fingerprint(finished)


def test_without_a_whole_state_it_starts_over_and_keeps_the_old_files(half, finished, capsys):
    for name in ("state.pt", "state.previous.pt"):
        os.truncate(half / name, 100)
    assert train(half) == 0
    assert "Starting over: no whole state is left" in capsys.readouterr().out
    assert fingerprint(half) == fingerprint(finished)
    assert (half / f"{SUPERSEDED}_1" / "model_4.pt").exists()


def test_an_event_file_shorter_than_the_state_says_is_not_built_upon(half, finished, capsys):
    os.truncate(half / EVENT_FILE, 200)
    assert train(half) == 0
    assert f"Starting over: {EVENT_FILE} is missing or cut short" in capsys.readouterr().out
    assert fingerprint(half) == fingerprint(finished)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"agent": agent(learning_rate=0.002)}, "agent.algorithm.learning_rate was 0.001 and is 0.002"),
        ({"seed": 4}, "seed was 3 and is 4"),
        ({"num_envs": 9}, "num_envs was 8 and is 9"),
        ({"task_cfg": {"action_scale": 0.25}}, "task_cfg.action_scale was 0.5 and is 0.25"),
        ({"max_iterations": 3}, "max_iterations is 3, fewer than the 4 that are done"),
        ({"save_interval": 1}, "save_interval was 2 and is 1"),
    ],
)
def test_a_change_of_the_result_starts_over_and_says_which(half, tmp_path, capsys, change, reason):
    options = {"max_iterations": 5} | change
    assert train(half, **options) == 0
    assert f"[INFO] Starting over: {reason}." in capsys.readouterr().out
    assert train(tmp_path / "fresh", **options) == 0
    assert fingerprint(half) == fingerprint(tmp_path / "fresh")
    assert (half / f"{SUPERSEDED}_1" / "model_4.pt").exists()


def test_a_second_process_is_refused_while_the_first_trains(half, capsys):
    with sole_writer(half):
        assert train(half) == 2
    assert "is in use by another training process" in capsys.readouterr().err
    before = hashes(half)
    with sole_writer(half):
        process = start_elsewhere(half)
        process.join()
    assert process.exitcode == 2 and hashes(half) == before


def test_a_full_disk_stops_the_run_whole_and_it_continues_when_there_is_room(tmp_path, finished, capsys):
    folder = tmp_path / "disk" / "run"
    folder.parent.mkdir()
    with FullDisk(folder.parent, kilobytes=200) as disk:
        assert train(folder, state_interval=1) == 1
        error = capsys.readouterr().err
        assert error.startswith("error: ") and "cannot be written" in error and error.count("\n") == 1
        assert not [path for path in folder.iterdir() if path.name.startswith((".model", ".state"))]
        disk.enlarge()
        assert train(folder, state_interval=1) == 0
        assert fingerprint(folder) == fingerprint(finished)


def test_a_folder_that_cannot_be_written_is_one_sentence(tmp_path, capsys):
    with ReadOnly(tmp_path / "run"):
        assert train(tmp_path / "run", max_iterations=1) == 2
    error = capsys.readouterr().err
    assert error.startswith(f"error: --log_dir {tmp_path / 'run'} cannot be written: ") and error.count("\n") == 1


@pytest.mark.skipif(os.geteuid() != 0, reason="an ordinary user's case is the test above")
def test_root_becomes_an_ordinary_user_and_cannot_write_either():
    folder = Path(tempfile.mkdtemp())  # not below tmp_path, where others may not even look
    try:
        folder.chmod(0o755)
        run = folder / "run"
        run.mkdir(mode=0o555)
        process = start_elsewhere(run, user=65534, max_iterations=1)
        process.join()
        assert process.exitcode == 2
        assert list(run.iterdir()) == []
        run.chmod(0o777)
        process = start_elsewhere(run, user=65534, max_iterations=1)
        process.join()
        assert process.exitcode == 0
    finally:
        shutil.rmtree(folder)


def test_a_clock_that_jumps_back_leaves_the_events_in_order(tmp_path, monkeypatch):
    from tensorboard.backend.event_processing.event_file_loader import LegacyEventFileLoader

    times = iter([1000.0, 2000.0, 500.0, 3000.0])
    monkeypatch.setattr("manyseeds.runs.events.time.time", lambda: next(times))
    writer = EventWriter(tmp_path / EVENT_FILE)
    for step in (1, 2, 3):
        writer.write(step, {"Loss/value": 0.5})
    writer.close()
    events = list(LegacyEventFileLoader(str(tmp_path / EVENT_FILE)).Load())
    assert [event.wall_time for event in events] == [1000.0, 2000.0, 2000.0, 3000.0]
    assert [event.step for event in events] == [0, 1, 2, 3]


def test_the_record_counts_restarts_and_has_the_checksums_of_the_last_files(half, capsys):
    record = json.loads((half / "run.json").read_text())
    assert (record["resumed"], record["config"]["train"]["max_iterations"]) == (0, 4)
    assert train(half) == 0
    longer = json.loads((half / "run.json").read_text())
    assert (longer["resumed"], longer["started"]) == (1, record["started"])
    assert longer["outputs"]["model_6.pt"] and longer["outputs"][EVENT_FILE] != record["outputs"][EVENT_FILE]
    assert verify(half).problems == ()
    assert train(half, agent=agent(learning_rate=0.002)) == 0
    assert json.loads((half / "run.json").read_text())["resumed"] == 0
    assert verify(half).problems == ()
    assert json.loads((half / f"{SUPERSEDED}_1" / "run.json").read_text()) == longer


def test_leftovers_of_a_killed_process_are_removed(half):
    for name in (".model_2.abc.pt", ".state.next.abc.pt"):
        shutil.copy(half / "state.pt", half / name)
    assert train(half) == 0
    assert not list(half.glob(".*.pt"))


def test_a_clock_that_jumps_back_between_two_starts_leaves_the_events_in_order(tmp_path, monkeypatch):
    """Checked on what stock TensorBoard would sort by."""
    from tensorboard.backend.event_processing.event_file_loader import LegacyEventFileLoader

    folder = tmp_path / "run"
    monkeypatch.setattr("manyseeds.runs.events.time.time", lambda: 2e9)
    assert train(folder, max_iterations=2) == 0
    monkeypatch.setattr("manyseeds.runs.events.time.time", lambda: 1e9)
    assert train(folder, max_iterations=4) == 0
    times = [event.wall_time for event in LegacyEventFileLoader(str(folder / EVENT_FILE)).Load()]
    assert times == sorted(times)


def test_stock_tensorboard_shows_one_run_and_no_step_twice_after_starting_over(half, capsys):
    assert train(half, agent=agent(learning_rate=0.002)) == 0
    assert "Starting over" in capsys.readouterr().out
    board = EventMultiplexer().AddRunsFromDirectory(str(half))
    board.Reload()
    [run] = board.Runs()
    assert [event.step for event in board.Scalars(run, "Loss/value")] == [1, 2, 3, 4, 5, 6]
    assert (half / f"{SUPERSEDED}_1" / SUPERSEDED_EVENTS).stat().st_size > 0


def test_a_missing_checkpoint_is_trained_again(half, finished, capsys):
    (half / "model_2.pt").unlink()
    assert train(half) == 0
    assert "Starting over: model_2.pt is missing" in capsys.readouterr().out
    assert fingerprint(half) == fingerprint(finished)


def test_a_kill_between_two_renames_loses_no_state_even_if_the_last_one_is_damaged(half, finished, monkeypatch, capsys):
    flip(half / "state.pt", -1)
    real = os.replace

    def die(source, target):
        if Path(target).name == "state.pt":
            raise KeyboardInterrupt
        real(source, target)

    monkeypatch.setattr(os, "replace", die)
    assert train(half) == 130
    monkeypatch.undo()
    capsys.readouterr()
    assert train(half) == 0
    assert "after iteration 4 of 6" in capsys.readouterr().out
    assert fingerprint(half) == fingerprint(finished)


def test_another_processor_is_told_on_continuing(half, monkeypatch, capsys):
    monkeypatch.setattr("manyseeds.core.record.cpu_model", lambda: "Another CPU")
    assert train(half) == 0
    out = capsys.readouterr().out
    assert re.search(r"\[WARNING\] So far this run had the processor .*; with Another CPU its bits may differ", out)


def test_other_instructions_of_the_processor_are_told_as_another_processor(monkeypatch):
    """PyTorch's exp has other bits with ATEN_CPU_CAPABILITY=default, and MKL's products with MKL_CBWR=COMPATIBLE."""
    monkeypatch.setattr("manyseeds.core.record.cpu_model", lambda: "A CPU")
    for name in INSTRUCTION_VARIABLES:
        monkeypatch.delenv(name, raising=False)
    assert collect()["hardware"]["cpu"] == "A CPU"
    monkeypatch.setenv("MKL_CBWR", "COMPATIBLE")
    monkeypatch.setenv("ATEN_CPU_CAPABILITY", "default")
    assert collect()["hardware"]["cpu"] == "A CPU, ATEN_CPU_CAPABILITY=default, MKL_CBWR=COMPATIBLE"


@pytest.fixture
def edited(monkeypatch):
    """Training code of which one file has another content than when the run began."""

    def edit():
        from manyseeds.tasks.code import training_code

        now = training_code("lift_object", "mujoco")
        other = Code({**now.files, "task/panda.xml": "0123456789abcdef"}, {**now.packages, "torch": "1.0"})
        for module in ("runs.train", "runs.record"):
            monkeypatch.setattr(f"manyseeds.{module}.training_code", lambda *_: other)

    return edit


def test_a_run_is_not_continued_with_other_code_and_the_sentence_says_what_to_do(half, edited, capsys):
    edited()
    before = {path.name: path.read_bytes() for path in half.iterdir() if path.is_file()}
    assert train(half) == 2
    error = capsys.readouterr().err
    assert "was begun by other code: task/panda.xml, torch (" in error and "now 1.0)" in error
    assert "--changed_code redo" in error and "--changed_code accept" in error
    assert {path.name: path.read_bytes() for path in half.iterdir() if path.is_file()} == before


def test_other_code_is_accepted_once_and_the_record_says_so(half, edited, capsys):
    edited()
    assert train(half, flags=["--changed_code", "accept"], max_iterations=5) == 0
    assert "[WARNING] This run goes on with other code than it was begun by: task/panda.xml" in capsys.readouterr().out
    record = json.loads((half / "run.json").read_text())
    assert any("task/panda.xml" in note for note in record["notes"])
    [accepted] = record["accepted"]
    assert accepted["files"]["task/panda.xml"] == "0123456789abcdef" != record["made_by"]["files"]["task/panda.xml"]
    assert train(half) == 0, "what was accepted is accepted"
    assert json.loads((half / "run.json").read_text())["accepted"] == [accepted]


def test_other_code_starts_over_when_told(half, edited, capsys):
    edited()
    assert train(half, flags=["--changed_code", "redo"]) == 0
    assert "Starting over: the code has changed: task/panda.xml" in capsys.readouterr().out
    record = json.loads((half / "run.json").read_text())
    assert record["made_by"]["files"]["task/panda.xml"] == "0123456789abcdef"
    assert (half / "superseded_1" / "state.pt").is_file()


@pytest.mark.parametrize("name", ["model_2.pt", "events.out.tfevents.manyseeds"])
def test_a_damaged_file_of_a_finished_run_is_found_when_the_run_is_made_longer(tmp_path, name, capsys):
    folder = tmp_path / "run"
    assert train(folder, max_iterations=4) == 0
    flip(folder / name, (folder / name).stat().st_size // 2)
    assert train(folder) == 0
    assert f"Starting over: {name} is damaged" in capsys.readouterr().out
    assert verify(folder).problems == ()


@pytest.mark.parametrize("damage", [Path.unlink, lambda path: flip(path, -1000)])
def test_a_last_checkpoint_that_is_missing_or_damaged_is_made_again_of_the_state(tmp_path, damage, capsys):
    folder = tmp_path / "run"
    assert train(folder) == 0
    wanted = (folder / "model_6.pt").read_bytes()
    damage(folder / "model_6.pt")
    (folder / "run.json").unlink()  # as Snakemake does before it starts the job again
    assert train(folder) == 0
    assert (folder / "model_6.pt").read_bytes() == wanted and "Starting over" not in capsys.readouterr().out
    assert verify(folder).problems == ()


@pytest.mark.parametrize("name", [".lock", "events.out.tfevents.manyseeds", "params", "state.pt"])
def test_nothing_is_written_through_a_link_in_the_folder(tmp_path, name, capsys):
    outside = tmp_path / "outside"
    outside.mkdir() if name == "params" else outside.write_text("mine")
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / name).symlink_to(outside)
    assert train(tmp_path / "run") == 2
    assert f"{tmp_path / 'run' / name} is a symbolic link; a run writes only what lies" in capsys.readouterr().err
    assert list(outside.iterdir()) == [] if name == "params" else outside.read_text() == "mine"


def test_a_run_says_what_saving_its_state_cost(tmp_path, capsys):
    assert train(tmp_path / "run", max_iterations=2) == 0
    assert re.search(r"\[INFO\] Saving states took \d+\.\d\d of \d+\.\d s \(\d+\.\d\d%\)\.", capsys.readouterr().out)
