"""Scalars of a training at Weights & Biases and MLflow, by their own clients: complete, once, without influence."""

import json
import os
import signal
import sqlite3
import sys
from pathlib import Path

import pytest

from helpers.kills import fingerprint
from helpers.training_runs import start_elsewhere, train
from helpers.verbs import verb
from helpers.waiting import wait_for
from helpers.wandb_server import KEY, wandb_server
from manyseeds.core.layout import EVENT_FILE, LOGGERS_ACCOUNT
from manyseeds.runs.state import read_states

sync = verb("sync")
DEAD = "http://127.0.0.1:9"
PASSWORD = "hunter2"


@pytest.fixture(scope="module")
def database(tmp_path_factory):
    """The database of an MLflow on this machine; making its tables takes seconds."""
    return tmp_path_factory.mktemp("mlflow") / "mlflow.db"


@pytest.fixture
def trackers(database, monkeypatch):
    """A server of Weights & Biases, whose runs the fixture is, and an MLflow."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{database}")
    monkeypatch.setenv("WANDB_ERROR_REPORTING", "false")
    with wandb_server(monkeypatch) as runs:
        yield runs
        if "wandb" in sys.modules:
            sys.modules["wandb"].teardown()


def mlflow_runs(database: Path, experiment: str) -> list[tuple[str, str]]:
    """Return id and status of an experiment's runs."""
    if not database.exists():
        return []
    with sqlite3.connect(database, timeout=60) as connection:
        if not connection.execute("select 1 from sqlite_master where name = 'metrics'").fetchall():
            return []
        return connection.execute(
            "select run_uuid, status from runs join experiments using (experiment_id) where experiments.name = ?",
            [experiment],
        ).fetchall()


def mlflow_steps(database: Path, run: str) -> list[int]:
    """Return the iterations of which a run has the loss, in the order in which they were sent."""
    with sqlite3.connect(database, timeout=60) as connection:
        query = "select step from metrics where run_uuid = ? and key = 'Loss/value' order by timestamp"
        return [step for (step,) in connection.execute(query, [run])]


def saved_iteration(folder: Path) -> int:
    """Return the iteration of a run's newest readable state, 0 without one."""
    return next((state["runner"]["iteration"] for _, state in read_states(folder) if isinstance(state, dict)), 0)


def test_a_killed_training_goes_on_in_the_same_runs_and_its_bits_are_those_without_loggers(
    tmp_path, trackers, database, capfd
):
    folder = tmp_path / "run"
    process = start_elsewhere(folder, max_iterations=100_000, save_interval=100_000, logger="wandb,mlflow")
    # Trackers take much longer to start than iterations do, so training stops for them, but not before they
    # are told of one: that follows the state of iteration 2, and comes before that of iteration 4.
    wait_for(lambda: saved_iteration(folder) >= 4, 300)
    os.kill(process.pid, signal.SIGSTOP)
    wait_for(lambda: any(mlflow_steps(database, run) for run, _ in mlflow_runs(database, tmp_path.name)), 300)
    process.kill()
    process.join()
    done = saved_iteration(folder)
    options = {"max_iterations": done + 3, "save_interval": 100_000}
    assert train(folder, logger="wandb,mlflow", **options) == 0
    assert "Continuing" in capfd.readouterr().out

    [(name, run)] = trackers.items()
    steps = list(range(1, done + 4))
    assert run.steps == steps
    assert run.names == (tmp_path.name, None, "run") and run.exits == [1, 0]
    [(mlflow_run, status)] = mlflow_runs(database, tmp_path.name)
    assert mlflow_steps(database, mlflow_run) == steps and status == "FINISHED"
    account = json.loads((folder / LOGGERS_ACCOUNT).read_text())
    assert account["id"] == name and {entry["sent"] for entry in account["loggers"].values()} == {done + 3}

    assert train(tmp_path / "plain", **options) == 0
    assert fingerprint(folder) == fingerprint(tmp_path / "plain")
    records = [json.loads((path / "run.json").read_text()) for path in (folder, tmp_path / "plain")]
    assert records[0]["config"] == records[1]["config"] and records[0]["made_by"] == records[1]["made_by"]
    line = json.loads(run.lines[-1])
    logged = {tag: value for (step, tag), value in fingerprint(folder)["scalars"].items() if step == done + 3}
    assert {tag: line[tag] for tag in logged} == pytest.approx(logged)


def test_a_training_ends_well_without_any_tracker_and_sync_sends_it_later(
    tmp_path, trackers, database, monkeypatch, capfd
):
    folder = tmp_path / "run"
    with monkeypatch.context() as away:
        away.setenv("WANDB_BASE_URL", DEAD)
        away.setenv("WANDB_INIT_TIMEOUT", "2")
        away.setenv("MLFLOW_TRACKING_URI", f"http://me:{PASSWORD}@127.0.0.1:9")
        away.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
        assert train(folder, logger="wandb,mlflow") == 0
    said = capfd.readouterr()
    for title in ("Weights & Biases is kept offline", "MLflow cannot be reached"):
        assert said.out.count(title) == 1
    assert said.out.count(f"To send it later: manyseeds sync {folder}") == 2 and "Traceback" not in said.out + said.err
    [offline] = (folder / "wandb").glob("offline-run-*")
    written = b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file()) + said.out.encode()
    assert KEY.encode() not in written and PASSWORD.encode() not in written

    assert sync([str(folder)]) == 0
    [run] = trackers.values()
    [(mlflow_run, _)] = mlflow_runs(database, tmp_path.name)
    assert run.steps == mlflow_steps(database, mlflow_run) == [1, 2, 3, 4, 5, 6] and run.exits == [0]
    assert not offline.exists(), "what it holds is at the server"
    assert "sent 6 of 6 iterations" in capfd.readouterr().out

    assert sync([str(tmp_path)]) == 0
    assert capfd.readouterr().out.count("has it") == 2
    (folder / LOGGERS_ACCOUNT).unlink()
    assert sync([str(folder), "--to", "wandb,mlflow"]) == 0
    assert capfd.readouterr().out.count("sent 0 of 6 iterations") == 2
    assert run.steps == mlflow_steps(database, mlflow_run) == [1, 2, 3, 4, 5, 6] and len(trackers) == 1


def test_a_process_that_cannot_start_or_dies_does_not_end_the_training(tmp_path, monkeypatch, capsys):
    import manyseeds.runs.loggers as module

    monkeypatch.setattr(module.sys, "executable", "/bin/false")
    assert train(tmp_path / "run", max_iterations=4, logger="wandb") == 0
    monkeypatch.setattr(module.sys, "executable", "/nowhere/python")
    assert train(tmp_path / "run", logger="wandb") == 0
    out = capsys.readouterr().out
    assert out.count("[WARNING] The process that sends to Weights & Biases is gone (it failed)") == 1
    assert out.count("is gone (No such file or directory); training goes on") == 1


def test_a_run_without_a_logger_is_not_sent_unless_told_where_to(tmp_path, capsys):
    assert train(tmp_path / "run", max_iterations=2) == 0
    capsys.readouterr()
    assert sync([str(tmp_path)]) == 2
    assert capsys.readouterr().err == (
        f"error: {tmp_path / 'run'} was trained without a logger; --to wandb or --to mlflow says where it is sent\n"
    )
    with (tmp_path / "run" / EVENT_FILE).open("r+b") as events:
        events.truncate(60)
    assert sync([str(tmp_path), "--to", "mlflow"]) == 1  # not the end: other runs may be whole
    assert capsys.readouterr().err.startswith(f"error: {tmp_path / 'run'}: ")
    with pytest.raises(SystemExit):
        sync([str(tmp_path), "--to", "wand"])
    assert "'wand' is unknown (did you mean wandb?); known are wandb, mlflow" in capsys.readouterr().err
    assert sync([str(tmp_path / "nowhere")]) == 2
    assert capsys.readouterr().err == f"error: {tmp_path / 'nowhere'} is not a folder\n"


@pytest.mark.parametrize(
    ("value", "sentence"),
    [
        ("tensorboard", "it must be wandb or mlflow, for the event file of TensorBoard is always written"),
        ("wandb,wandb", "--logger has 'wandb' more than once; it must be a list of wandb and mlflow, each once"),
    ],
)
def test_a_logger_that_is_unknown_or_named_twice_is_refused(tmp_path, value, sentence, capsys):
    assert train(tmp_path / "run", logger=value) == 2
    error = capsys.readouterr().err
    assert sentence in error and error.count("\n") == 1 and not (tmp_path / "run").exists()


def test_a_logger_whose_package_is_missing_is_refused_before_anything_starts(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert train(tmp_path / "run", logger="wandb,mlflow") == 2
    assert capsys.readouterr().err == (
        "error: --logger is wandb,mlflow, but the package wandb is not installed; pip install 'manyseeds[loggers]'"
        " installs it.\n"
    )
    assert not (tmp_path / "run").exists()
