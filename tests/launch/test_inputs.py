"""An external trainer's script and data count; its environment variables reach it and no file."""

import json
import sys
from pathlib import Path

import pytest

from helpers.verbs import verb
from manyseeds.config import resolve
from manyseeds.config.external import ENVIRONMENT_VARIABLE
from manyseeds.core.code import Code
from manyseeds.core.errors import UserError
from manyseeds.launch.inputs import inputs_code

main = verb("launch")


SCRIPT = """
import os, sys
from pathlib import Path
from manyseeds.core.layout import EVENT_FILE
from manyseeds.runs.events import EventWriter
from manyseeds.core.secrets import masked

assert os.environ["API_KEY"] == "hunter2"
last = int(sys.argv[1]) - 1
Path(f"model_{last}.pt").write_bytes(b"policy")
writer = EventWriter(Path(EVENT_FILE))
for step in range(last + 1):
    writer.write(step, {"Train/mean_reward": 1.0})
"""
SECRET = {"API_KEY": "hunter2"}


def config(**changes):
    command = f"{sys.executable} {Path.cwd() / 'train.py'} {{max_iterations}} {{seed}} {{num_envs}}"
    trainer = {"name": "mine", "command": command, "inputs": ["train.py", "data/*.csv"], "environment": SECRET}
    train = {"num_envs": 1, "max_iterations": 3}
    fields = {"experiment": "tiny", "task": "mine", "seeds": [1], "trainer": trainer, "train": train}
    return resolve(fields | changes)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(ENVIRONMENT_VARIABLE, json.dumps(SECRET))
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "a.csv").write_text("1\n")
    (tmp_path / "train.py").write_text(SCRIPT)
    return tmp_path


def launch(**changes):
    Path("results").mkdir(exist_ok=True)
    Path("results/config.json").write_text(config(**changes).to_json())
    return main(["--config", "results/config.json", "--seed", "1", "--log", "log.txt"])


def run_record():
    return json.loads(Path("results/default/seed_1/run.json").read_text())


def test_the_environment_reaches_the_trainer_and_no_file(folder):
    assert launch() == 0
    for path in (path for path in folder.rglob("*") if path.is_file() and path.name != "train.py"):
        content = path.read_bytes()
        assert b"hunter2" not in content and b"API_KEY" not in content, path
    assert run_record()["config"]["trainer"]["environment"].keys() == {"sha256"}
    assert config() != config(trainer=config().trainer.model_dump() | {"environment": {"API_KEY": "other"}})


def test_without_the_variables_the_sentence_says_where_they_come_from(folder, monkeypatch, capsys):
    monkeypatch.delenv(ENVIRONMENT_VARIABLE)
    assert launch() == 2
    assert f"kept in no file; start the run with snakemake, or with {ENVIRONMENT_VARIABLE}" in capsys.readouterr().err


def test_an_edit_of_an_input_is_named_and_a_comment_is_none(folder, capsys):
    assert launch() == 0
    assert set(run_record()["made_by"]["files"]) == {"inputs/train.py", "inputs/data/a.csv"}
    (folder / "train.py").write_text(f"# a comment\n{SCRIPT}")
    assert launch() == 0
    (folder / "data" / "a.csv").write_text("2\n")
    assert launch() == 2
    error = capsys.readouterr().err
    assert "default/seed_1 was made by other inputs of its trainer: inputs/data/a.csv." in error
    assert "redo" in error and "accept" in error
    assert launch(changed_code="accept") == 0
    assert run_record()["accepted"] and launch() == 0
    (folder / "data" / "a.csv").write_text("3\n")
    assert launch(changed_code="redo") == 0
    assert any("Starting over: trainer.inputs have changed" in note for note in run_record()["notes"])
    assert (folder / "results" / "default" / "seed_1" / "work" / "superseded_1").is_dir()


def test_a_run_that_was_marked_is_trained_anew(folder):
    assert launch() == 0
    mark = folder / "results" / "default" / "seed_1" / ".anew"
    mark.write_text("it was forced")
    assert launch() == 0
    assert not mark.exists() and any("it was forced" in note for note in run_record()["notes"])


def test_an_input_that_names_nothing_is_one_sentence(folder):
    trainer = config().trainer.model_copy(update={"inputs": ("nowhere/*.py",)})
    with pytest.raises(UserError, match=r"trainer\.inputs has nowhere/\*\.py, which names no file; it must be"):
        inputs_code(trainer)
    assert inputs_code(trainer.model_copy(update={"inputs": ()})) == Code({}, {})


def test_nothing_is_written_through_a_link(folder, capsys):
    secret = folder / "mine.txt"
    secret.write_text("mine")
    run = folder / "results" / "default" / "seed_1"
    run.mkdir(parents=True)
    (run / ".lock").symlink_to(secret)
    assert launch() == 2
    assert "seed_1/.lock is a symbolic link; a run writes only what lies in its own folder" in capsys.readouterr().err
    assert secret.read_text() == "mine"
