"""What a record says of a run: its checkpoints, and the code that made it."""

import json
import subprocess

import pytest

from manyseeds.audit.verify import verify
from manyseeds.core import record
from manyseeds.core.code import Code
from manyseeds.core.errors import UserError
from manyseeds.core.record import recorded_checkpoints, write_run_record


@pytest.fixture
def run(tmp_path):
    """A run that was made longer: its record names the checkpoints of the longer one."""
    for iteration in (2, 3, 4):
        (tmp_path / f"model_{iteration}.pt").write_bytes(b"policy")
    write_run_record(tmp_path, ["model_2.pt", "model_4.pt"], seed=1)
    return tmp_path


def test_a_checkpoint_that_the_record_does_not_name_stays_and_is_not_of_the_run(run):
    assert list(recorded_checkpoints(run)) == [2, 4]
    assert (run / "model_3.pt").exists()


def test_without_a_record_every_checkpoint_counts(run):
    (run / "run.json").unlink()
    assert list(recorded_checkpoints(run)) == [2, 3, 4]


def test_a_deleted_checkpoint_is_named_with_the_way_out(run):
    (run / "model_4.pt").unlink()
    with pytest.raises(UserError, match=r"model_4\.pt is missing, which run\.json names; snakemake makes it again"):
        recorded_checkpoints(run)


def test_a_folder_without_checkpoints_is_an_error(tmp_path):
    with pytest.raises(UserError, match=r"holds no checkpoint model_<iteration>\.pt"):
        recorded_checkpoints(tmp_path)


def git(folder, *arguments):
    identity = ["-c", "user.name=a", "-c", "user.email=a@b"]
    subprocess.run(["git", "-C", str(folder), *identity, *arguments], check=True, capture_output=True)


@pytest.fixture
def repository(tmp_path):
    """A repository with one committed file."""
    folder = tmp_path / "theirs"
    folder.mkdir()
    git(folder, "init")
    (folder / "train.py").write_text("RATE = 1\n")
    git(folder, "add", ".")
    git(folder, "commit", "-m", "one")
    return folder


def test_a_hooks_variables_do_not_lead_to_another_repository(repository, monkeypatch):
    ours = record.code_version()
    monkeypatch.setenv("GIT_DIR", str(repository / ".git"))
    monkeypatch.setenv("GIT_WORK_TREE", str(repository))
    monkeypatch.setenv("GIT_INDEX_FILE", str(repository / ".git" / "index"))
    assert record.code_version() == ours
    assert record.commit(repository)["commit"] != ours["commit"]


def test_what_a_repository_says_to_run_does_not_run(repository, tmp_path):
    mark = tmp_path / "ran"
    (repository / ".gitattributes").write_text("*.py diff=mine\n")
    for key in ("core.fsmonitor", "diff.external", "diff.mine.textconv"):
        git(repository, "config", key, f"touch {mark}; cat")
    (repository / "train.py").write_text("RATE = 2\n")
    assert record.commit(repository)["dirty"] is True
    assert "+RATE = 2" in record.diff(repository, ["."])
    assert not mark.exists()


def test_the_code_of_the_start_is_recorded_with_its_diff_and_a_change_meanwhile_is_noted(repository, tmp_path):
    folder = tmp_path / "run"
    folder.mkdir()
    (repository / "train.py").write_text('RATE = 2\nAPI_KEY = "hunter2"\n')
    journal, code = record.Journal(folder), Code({"task/a.xml": "1"}, {})
    journal.start(code=code, repositories=[(repository, ["."])])
    began = record.commit(repository)
    git(repository, "commit", "-am", "two")
    (folder / "model_1.pt").write_bytes(b"policy")
    fields = record.Journal(folder).end(Code({"task/a.xml": "2"}, {}))
    written = json.loads(record.write_run_record(folder, ["model_1.pt"], **fields).read_text())
    assert written["trainer_code"] == [began] != [record.commit(repository)]
    assert written["made_by"]["files"] == {"task/a.xml": "1"}
    [note] = written["notes"]
    assert note == "[WARNING] The code changed while the run trained: task/a.xml. It began with the former."
    text = (folder / "code.diff").read_text()
    assert "+RATE = 2" in text and "hunter2" not in text and "code.diff" in written["outputs"]


def test_damage_between_writing_and_recording_stays_visible(tmp_path):
    (tmp_path / "model_1.pt").write_bytes(b"damaged")
    record.write_run_record(tmp_path, ["model_1.pt"], {"model_1.pt": "0" * 64})
    assert verify(tmp_path).problems
