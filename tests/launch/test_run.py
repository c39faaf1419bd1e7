import contextlib
import fcntl
import io
import itertools
import json
import multiprocessing
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from helpers.disks import FullDisk, ReadOnly
from helpers.kills import fingerprint
from helpers.verbs import verb
from helpers.workflows import TINY
from manyseeds.audit.verify import verify
from manyseeds.config import resolve
from manyseeds.core.layout import EVENT_FILE, LOCK, PARAMS
from manyseeds.core.ledger import plan_digest, plan_of
from manyseeds.core.locks import LOCKED_VARIABLE, locked
from manyseeds.launch import external
from manyseeds.launch import run as trainer

launch_verb = verb("launch")
evaluate = verb("evaluate")
tidy = verb("tidy")
train = verb("train")


FIELDS = {
    "experiment": "tiny",
    "seeds": [1],
    "train": {"num_envs": 8, "max_iterations": 3, "save_interval": 2, "state_interval": 1},
    "agent": TINY["agent"],
}
OUTPUTS = ["model_2.pt", "model_3.pt", EVENT_FILE, *PARAMS]


def write_config(folder, **train):
    fields = FIELDS | {"train": FIELDS["train"] | train}
    (folder / "config.json").write_text(resolve(fields).to_json())
    return ["--config", str(folder / "config.json"), "--seed", "1", "--threads", "1"]


@pytest.fixture(scope="module")
def experiment(tmp_path_factory):
    """An experiment's folder with one finished run."""
    folder = tmp_path_factory.mktemp("tiny")
    assert launch_verb(write_config(folder)) == 0
    return folder


def test_a_run_leaves_its_declared_files_and_a_record_of_them(experiment):
    run = experiment / "default" / "seed_1"
    record = json.loads((run / "run.json").read_text())
    # code.diff is there where the checkout has changes.
    assert [name for name in record["outputs"] if name != "code.diff"] == OUTPUTS
    assert verify(experiment).problems == ()
    assert record["resumed"] == 0 and record["threads"] == 1
    # Records are published, so they name no path of this machine.
    assert record["command"][:4] == ["python", "-m", "manyseeds", "train"]
    assert record["config"]["agent"]["policy"]["actor_hidden_dims"] == [16]
    assert "Saved checkpoint" in (run / "train.log").read_text()


def test_the_plan_stands_in_the_files_of_a_run_from_before_it_started(experiment):
    run = experiment / "default" / "seed_1"
    plan = plan_digest(plan_of(json.loads((experiment / "config.json").read_text())))
    assert json.loads((run / "run_config.json").read_text())["launched"]["plan"] == plan
    assert json.loads((run / "run.json").read_text())["plan"] == plan


def test_a_finished_run_is_one_run_to_tensorboard(experiment):
    assert len(list(experiment.rglob("*tfevents*"))) == 1


def test_what_snakemake_deleted_comes_back_without_training_again(experiment):
    run = experiment / "default" / "seed_1"
    before = {name: (run / name).read_bytes() for name in OUTPUTS}
    record = json.loads((run / "run.json").read_text())
    for name in ("model_3.pt", "run.json"):
        (run / name).unlink()
    (run / "model_9.pt").write_bytes(b"a checkpoint of other settings")
    assert launch_verb(write_config(experiment)) == 0
    assert {name: (run / name).read_bytes() for name in OUTPUTS} == before
    assert not (run / "model_9.pt").exists()
    assert "is finished" in (run / "train.log").read_text()
    again = json.loads((run / "run.json").read_text())
    assert all(again[key] == record[key] for key in ("started", "resumed", "notes", "outputs", "config"))


def test_a_deleted_checkpoint_is_found_by_verify_and_by_the_next_evaluation(experiment, tmp_path, capsys):
    run = shutil.copytree(experiment / "default" / "seed_1", tmp_path / "tiny" / "default" / "seed_1")
    (run / "model_2.pt").unlink()
    assert verify(tmp_path).problems == (f"{run / 'model_2.pt'} is missing",)
    assert evaluate(["--run_dir", str(run), "--output", str(run / "episodes.csv"), "--episodes", "2"]) == 2
    error = capsys.readouterr().err
    assert "model_2.pt is missing" in error and error.count("\n") == 1 and not (run / "episodes.csv").exists()


def test_more_iterations_continue_a_finished_run(experiment, tmp_path):
    longer = Path(shutil.copytree(experiment, tmp_path / "longer"))
    run = longer / "default" / "seed_1"
    assert launch_verb(write_config(longer, max_iterations=4)) == 0
    assert "after iteration 3 of 4" in (run / "train.log").read_text()
    assert json.loads((run / "run.json").read_text())["resumed"] >= 1
    assert launch_verb(write_config(tmp_path, max_iterations=4)) == 0
    assert (run / "model_4.pt").read_bytes() == (tmp_path / "default/seed_1/model_4.pt").read_bytes()
    # model_3.pt was the last one of the shorter run only.
    assert not (run / "model_3.pt").exists() and (run / "model_2.pt").exists()


def test_after_a_kill_the_next_start_waits_for_the_old_process_and_goes_on(tmp_path):
    arguments = write_config(tmp_path, max_iterations=60)
    run = tmp_path / "default" / "seed_1"
    process = subprocess.Popen([sys.executable, "-m", "manyseeds", "launch", *arguments])
    while process.poll() is None and not (run / "state.pt").exists():
        time.sleep(0.01)
    process.kill()
    process.wait()
    assert not (run / "run.json").exists()
    assert launch_verb(arguments) == 0
    assert "[INFO] Continuing" in (run / "train.log").read_text()
    assert json.loads((run / "run.json").read_text())["resumed"] == 1
    assert (run / "model_60.pt").is_file() and verify(tmp_path).problems == ()


def test_a_failed_training_passes_its_exit_code_and_last_words_on(tmp_path, capsys):
    arguments = write_config(tmp_path)
    content = json.loads((tmp_path / "config.json").read_text())
    content["variants"]["default"]["agent"]["algorithm"]["gamma"] = 7
    (tmp_path / "config.json").write_text(json.dumps(content))
    assert launch_verb(arguments) == 2
    error = capsys.readouterr().err
    assert "gamma is 7" in error and "train.log" in error and len(error.splitlines()) == 1


def test_a_run_that_another_process_trains_is_waited_for(tmp_path):
    arguments = write_config(tmp_path, max_iterations=1)
    run = tmp_path / "default" / "seed_1"
    run.mkdir(parents=True)
    with (run / LOCK).open("w") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        command = [sys.executable, "-m", "manyseeds", "launch", *arguments]
        process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        assert "waiting for another process that trains this run" in process.stderr.readline()
        assert process.poll() is None and not (run / "state.pt").exists()
    assert process.wait() == 0
    assert (run / "run.json").is_file()


def test_without_hard_links_outputs_are_copies(tmp_path, monkeypatch):
    def refuse(*_):
        raise OSError("no links here")

    monkeypatch.setattr(os, "link", refuse)
    (tmp_path / "a").write_bytes(b"policy")
    external._link(tmp_path / "a", tmp_path / "b")
    assert (tmp_path / "b").read_bytes() == b"policy"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "b"]


def test_while_a_run_is_trained_by_the_workflow_nobody_else_writes_in_its_folder(tmp_path, capsys):
    """Also when the launcher is killed: the training that it started holds its lock."""
    arguments = write_config(tmp_path, max_iterations=200)
    run = tmp_path / "default" / "seed_1"
    process = subprocess.Popen([sys.executable, "-m", "manyseeds", "launch", *arguments])
    while process.poll() is None and not (run / "state.pt").exists():
        time.sleep(0.01)
    [orphan] = [int(path.parent.name) for path in Path("/proc").glob("[0-9]*/cmdline") if _trains(path, run)]
    os.kill(orphan, signal.SIGSTOP)  # so that it cannot end before the others try
    process.kill()
    process.wait()
    with (run / LOCK).open("w") as other, pytest.raises(BlockingIOError):
        fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
    assert train(["--run", str(run / "run_config.json"), "--max_iterations", "3"]) == 2
    assert "is in use by another training process" in capsys.readouterr().err
    os.kill(orphan, signal.SIGKILL)


def _trains(cmdline, run):
    try:
        return str(run / "run_config.json").encode() in cmdline.read_bytes() and int(cmdline.parent.name) != os.getpid()
    except OSError:
        return False


def test_the_file_of_a_run_trains_it_again_by_hand_and_flags_win_over_it(experiment, tmp_path):
    run = experiment / "default" / "seed_1"
    file = str(run / "run_config.json")
    assert train(["--run", file, "--max_iterations", "3", "--log_dir", str(tmp_path / "same")]) == 0
    assert (tmp_path / "same" / "model_2.pt").read_bytes() == (run / "model_2.pt").read_bytes()
    assert train(["--run", file, "--log_dir", str(tmp_path / "other"), "--seed", "9", "--num_envs", "4"]) == 0
    record = json.loads((tmp_path / "other" / "run.json").read_text())
    assert (record["seed"], record["config"]["train"]["num_envs"]) == (9, 4)


def test_a_damaged_file_of_a_run_is_one_sentence(experiment, tmp_path, capsys):
    content = json.loads((experiment / "default" / "seed_1" / "run_config.json").read_text())
    (tmp_path / "run.json").write_text(json.dumps(content | {"sede": 1}))
    assert train(["--run", str(tmp_path / "run.json")]) == 2
    error = capsys.readouterr().err
    assert "sede is not a known key (did you mean seed?)" in error and error.count("\n") == 1


def test_a_kill_before_any_change_of_a_file_loses_nothing(tmp_path):
    """Every rename, removal and sync of a start is a place to die; each start gets a little further."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["manyseeds.launch.run", "manyseeds.runs.train", "manyseeds.simulators.mujoco"])

    def start(folder, deadly):
        process = context.Process(target=_train_and_die, args=(folder, deadly))
        process.start()
        process.join()
        return process.exitcode

    def outcome(folder):
        run = folder / "default" / "seed_1"
        assert verify(folder).problems == ()
        assert len(list(folder.rglob("*tfevents*"))) == 1
        return fingerprint(run), sorted(path.relative_to(run) for path in run.rglob("*") if path.name[0] == ".")

    assert start(tmp_path / "whole", None) == 0
    wanted = outcome(tmp_path / "whole")
    for first in (1, 2, 3):
        folder = tmp_path / f"killed_{first}"
        for deadly in range(first, 1000, 3):
            code = start(folder, deadly)
            if code == 0:
                break
            assert code == 9, "a start that nobody killed failed"
        assert code == 0 and deadly > 20
        assert outcome(folder) == wanted


def _train_and_die(folder, deadly):
    """Train in this process alone; exit without any tidying up before the change of a file number `deadly`."""
    changes = itertools.count(1)

    def deadly_version(function):
        def wrapped(*arguments, **options):
            if next(changes) == deadly:
                os._exit(9)
            return function(*arguments, **options)

        return wrapped

    def run_here(job, arguments):
        os.environ[LOCKED_VARIABLE] = str(job.run.log_dir.resolve())
        output = io.StringIO()
        with contextlib.redirect_stdout(output):
            code = train(arguments[4:])
        assert code == 0
        yield from output.getvalue().splitlines()

    folder.mkdir(exist_ok=True)
    arguments = write_config(folder, max_iterations=2, save_interval=1, state_interval=1)
    for module, name in [(os, "replace"), (Path, "unlink"), (os, "fsync")]:
        setattr(module, name, deadly_version(getattr(module, name)))
    trainer.Job.start = run_here
    raise SystemExit(launch_verb(arguments))


def test_a_run_on_a_full_disk_is_one_sentence_and_goes_on_when_there_is_room(tmp_path, experiment, capsys):
    folder = tmp_path / "disk"
    folder.mkdir()
    with FullDisk(folder, kilobytes=120) as disk:
        arguments = write_config(folder, max_iterations=4)
        assert launch_verb(arguments) != 0
        error = capsys.readouterr().err.strip().splitlines()[-1]
        assert (error.startswith("error: ") and "No space left" in error) or "File too large" in error, error
        assert not (folder / "default/seed_1/run.json").exists()
        disk.enlarge()
        assert launch_verb(arguments) == 0
        assert verify(folder).problems == ()
        whole = tmp_path / "whole"
        whole.mkdir()
        assert launch_verb(write_config(whole, max_iterations=4)) == 0
        assert fingerprint(folder / "default/seed_1") == fingerprint(whole / "default/seed_1")


def test_a_read_only_folder_is_one_sentence(tmp_path, capsys):
    (tmp_path / "default").mkdir()
    arguments = write_config(tmp_path)
    with ReadOnly(tmp_path / "default"):
        assert launch_verb(arguments) == 1
    error = capsys.readouterr().err
    assert error.startswith("error: ") and "cannot be written: " in error and error.count("\n") == 1


def test_what_training_warns_of_is_told_and_recorded(tmp_path, capsys):
    assert launch_verb(write_config(tmp_path, max_iterations=2)) == 0
    run = tmp_path / "default" / "seed_1"
    state = run / "state.pt"
    state.write_bytes(state.read_bytes()[:-1])
    assert launch_verb(write_config(tmp_path)) == 0
    error = capsys.readouterr().err
    assert "default/seed_1: [WARNING] " in error and "state.pt is damaged" in error
    assert "default/seed_1: [INFO] Starting over: no whole state is left" in error
    [note] = json.loads((run / "run.json").read_text())["notes"]
    assert note.startswith("[INFO] Starting over: no whole state is left")
    assert json.loads((run / "run.json").read_text())["resumed"] == 0


def test_tidy_says_what_it_leaves_and_refuses_what_is_no_run(tmp_path, capsys):
    for name, files in {"finished": ["run.json", "state.pt"], "going": ["journal.json", "state.pt"]}.items():
        for file in files:
            (tmp_path / name / file).parent.mkdir(exist_ok=True)
            (tmp_path / name / file).write_bytes(b"x")
    finished, going = tmp_path / "finished", tmp_path / "going"
    assert tidy([str(tmp_path)]) == 2
    assert "is not the folder of a run" in capsys.readouterr().err
    with locked(finished / LOCK):
        assert tidy([str(finished), str(going)]) == 0
    assert capsys.readouterr().out.splitlines() == [
        f"{finished}: another process works on it, so its state stays",
        f"{going}: it has not ended, so its state stays",
    ]
    assert (finished / "state.pt").exists() and (going / "state.pt").exists()
    assert tidy([str(finished)]) == 0
    assert [path.name for path in finished.iterdir()] == ["run.json"]


def test_only_finished_runs_lose_their_state_and_superseded_ones_stay(tmp_path):
    for name, files in {
        "finished": ["run.json", "model_2.pt", "state.pt", "journal.json", "work/run/params/env.yaml"],
        "going": ["state.pt"],
        "again": ["run.json", "state.pt", "superseded_1/model_2.pt", "work/superseded_1/model_2.pt"],
    }.items():
        for file in files:
            (tmp_path / name / file).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name / file).write_bytes(b"x")
        trainer.remove_state(tmp_path / name)
    left = sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file())
    assert left == [
        "again/run.json",
        "again/superseded_1/model_2.pt",
        "again/work/superseded_1/model_2.pt",
        "finished/model_2.pt",
        "finished/run.json",
        "going/state.pt",
    ]
