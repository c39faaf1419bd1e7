import fcntl
import json
import os
import subprocess
import sys
import time

import pytest

from manyseeds import trainer
from manyseeds.config import resolve
from manyseeds.errors import UserError
from manyseeds.provenance import verify

FIELDS = {
    "experiment": "tiny",
    "seeds": [1],
    "train": {"num_envs": 8, "max_iterations": 3, "save_interval": 2, "state_interval": 1},
    "agent": {
        "file": "agents/generic_policy.json",
        "overrides": {"policy.actor_hidden_dims": [16], "policy.critic_hidden_dims": [16]},
    },
}
OUTPUTS = ["model_2.pt", "model_3.pt", trainer.EVENTS, *trainer.PARAMS]


def write_config(folder, **train):
    fields = FIELDS | {"train": FIELDS["train"] | train}
    (folder / "config.json").write_text(resolve(fields).to_json())
    return ["--config", str(folder / "config.json"), "--seed", "1", "--threads", "1"]


@pytest.fixture(scope="module")
def experiment(tmp_path_factory):
    """An experiment's folder with one finished run."""
    folder = tmp_path_factory.mktemp("tiny")
    assert trainer.main(write_config(folder)) == 0
    return folder


def test_a_run_leaves_its_declared_files_and_a_record_of_them(experiment):
    run = experiment / "default" / "seed_1"
    record = json.loads((run / "run.json").read_text())
    assert list(record["outputs"]) == OUTPUTS
    assert verify(experiment) == []
    assert record["resumed"] == 0 and record["threads"] == 1
    assert record["config"]["agent"]["policy"]["actor_hidden_dims"] == [16]
    assert "Saved checkpoint" in (run / "train.log").read_text()


def test_a_finished_run_is_one_run_to_tensorboard(experiment):
    """Readers look for 'tfevents' in file names; the working folder must not count as another run."""
    assert len(list(experiment.rglob("*tfevents*"))) == 1


def test_outputs_that_snakemake_deleted_come_back_without_training_again(experiment):
    run = experiment / "default" / "seed_1"
    before = {name: (run / name).read_bytes() for name in OUTPUTS}
    for name in [*OUTPUTS, "run.json"]:
        (run / name).unlink()
    (run / "model_9.pt").write_bytes(b"a checkpoint of other settings")
    assert trainer.main(write_config(experiment)) == 0
    assert {name: (run / name).read_bytes() for name in OUTPUTS} == before
    assert not (run / "model_9.pt").exists()
    assert "is finished" in (run / "train.log").read_text()


def test_more_iterations_continue_a_finished_run(experiment, tmp_path):
    run = experiment / "default" / "seed_1"
    assert trainer.main(write_config(experiment, max_iterations=4)) == 0
    assert "after iteration 3 of 4" in (run / "train.log").read_text()
    assert json.loads((run / "run.json").read_text())["resumed"] >= 1
    assert trainer.main(write_config(tmp_path, max_iterations=4)) == 0
    assert (run / "model_4.pt").read_bytes() == (tmp_path / "default/seed_1/model_4.pt").read_bytes()
    # model_3.pt was the last one of the shorter run only.
    assert not (run / "model_3.pt").exists() and (run / "model_2.pt").exists()


def test_after_a_kill_the_next_start_waits_for_the_old_process_and_goes_on(tmp_path):
    arguments = write_config(tmp_path, max_iterations=60)
    run = tmp_path / "default" / "seed_1"
    process = subprocess.Popen([sys.executable, "-m", "manyseeds.trainer", *arguments])
    while process.poll() is None and not (run / "work" / "state.pt").exists():
        time.sleep(0.01)
    process.kill()
    process.wait()
    assert not (run / "run.json").exists()
    assert trainer.main(arguments) == 0
    assert "[INFO] Continuing" in (run / "train.log").read_text()
    assert json.loads((run / "run.json").read_text())["resumed"] == 1
    assert (run / "model_60.pt").is_file() and verify(tmp_path) == []


def test_a_failed_training_passes_its_exit_code_and_last_words_on(tmp_path, capsys):
    arguments = write_config(tmp_path)
    content = json.loads((tmp_path / "config.json").read_text())
    content["variants"]["default"]["agent"]["algorithm"]["gamma"] = 7
    (tmp_path / "config.json").write_text(json.dumps(content))
    assert trainer.main(arguments) == 2
    error = capsys.readouterr().err
    assert "gamma is 7" in error and "train.log" in error and len(error.splitlines()) == 1


def test_a_run_that_another_process_trains_is_waited_for(tmp_path):
    arguments = write_config(tmp_path, max_iterations=1)
    work = tmp_path / "default" / "seed_1" / "work"
    work.mkdir(parents=True)
    with (work / "lock").open("w") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        command = [sys.executable, "-m", "manyseeds.trainer", *arguments]
        process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        assert "waiting for another process that trains this run" in process.stderr.readline()
        assert process.poll() is None and not (work / "state.pt").exists()
    assert process.wait() == 0
    assert (work.parent / "run.json").is_file()


def test_without_hard_links_outputs_are_copies(tmp_path, monkeypatch):
    def refuse(*_):
        raise OSError("no links here")

    monkeypatch.setattr(os, "link", refuse)
    (tmp_path / "a").write_bytes(b"policy")
    trainer._link(tmp_path / "a", tmp_path / "b")
    assert (tmp_path / "b").read_bytes() == b"policy"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "b"]


def test_training_that_ends_without_a_checkpoint_is_an_error(tmp_path):
    (tmp_path / "work").mkdir()
    with pytest.raises(UserError, match=r"training ended without leaving model_2\.pt"):
        trainer.collect(resolve(FIELDS), tmp_path, "default")
