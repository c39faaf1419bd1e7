"""External trainers as they are: how they start, how they end, and what they log."""

import json
import os
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from helpers.verbs import verb
from helpers.workflows import REPOSITORY
from manyseeds.config import resolve
from manyseeds.core.errors import UserError
from manyseeds.core.locks import locked
from manyseeds.launch import external
from manyseeds.launch import run as launcher
from manyseeds.launch.external import find_programs
from manyseeds.launch.output import Output
from manyseeds.launch.status import Watcher

launch_verb = verb("launch")


SCRIPT = REPOSITORY / "tests" / "helpers" / "small_trainer.py"


def fields(options: str = "", **changes: object) -> dict:
    command = (
        f"{shlex.quote(sys.executable)} {shlex.quote(str(SCRIPT))} --seed {{seed}} --num_envs {{num_envs}}"
        f" --max_iterations {{max_iterations}} {options}"
    )
    return {
        "experiment": "small",
        "seeds": [1],
        "task": "Any",
        "train": {"num_envs": 4, "max_iterations": 20},
        "trainer": {"name": "small", "command": command, "logs": "logs/*"} | changes,
    }


def start(folder: Path, config: dict) -> int:
    (folder / "config.json").write_text(resolve(config).to_json())
    return launch_verb(["--config", str(folder / "config.json"), "--seed", "1"])


def record(folder: Path) -> dict:
    return json.loads((folder / "default/seed_1/run.json").read_text())


def test_a_process_left_in_the_background_does_not_keep_a_run_from_ending(tmp_path, capsys):
    assert start(tmp_path, fields("--end background")) == 0
    (left,) = tmp_path.rglob("background.pid")
    os.kill(int(left.read_text()), signal.SIGKILL)  # it would go on for an hour
    assert "a process that it started in the background goes on" in capsys.readouterr().err
    # Nor does it keep the lock that it inherited.
    with locked(tmp_path / "default/seed_1/.lock"):
        pass


def test_output_keeps_long_lines_progress_bars_and_bytes_that_are_no_text():
    code = r"import sys; sys.stdout.buffer.write(b'10%\r50%\r\n\xff' + b'x' * 200000 + b'\ncaf\xc3\xa9')"
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as process:
        output = Output(process)
        assert list(output) == ["10%", "50%", "\ufffd" + "x" * 200000, "café"]
    assert not output.left_behind and process.returncode == 0


def test_a_crash_after_the_last_checkpoint_is_said_and_can_be_accepted(tmp_path, capsys):
    assert start(tmp_path, fields("--end segv")) == 128 + signal.SIGSEGV
    told = capsys.readouterr().err
    assert "small failed after its last checkpoint" in told and "model_19.pt" in told
    assert "trainer.accept_crash: true" in told
    log = (tmp_path / "default/seed_1/train.log").read_text()
    assert start(tmp_path, fields("--end segv", accept_crash=True)) == 0
    assert (tmp_path / "default/seed_1/train.log").read_text() == log, "nothing was trained again"
    assert "model_19.pt" in record(tmp_path)["outputs"]
    assert any("accept_crash is set" in note for note in record(tmp_path)["notes"])


def test_with_accept_crash_a_run_is_taken_when_it_crashes_but_not_without_its_last_checkpoint(tmp_path, capsys):
    assert start(tmp_path, fields("--end fail", accept_crash=True)) == 3
    assert not (tmp_path / "default/seed_1/run.json").exists()
    assert start(tmp_path, fields("--end segv", accept_crash=True)) == 0
    assert "then failed (signal 11)" in record(tmp_path)["notes"][-1]


def test_a_crash_of_other_settings_is_not_accepted(tmp_path):
    start(tmp_path, fields("--end segv"))
    assert start(tmp_path, fields("--end segv --first 0", accept_crash=True)) == 0
    assert "Starting over" in record(tmp_path)["notes"][0]


def test_a_trainer_that_hangs_after_its_last_checkpoint_is_named(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(external, "HANGS_AFTER_S", 0.0)
    monkeypatch.setattr(external, "LOOK_EVERY_S", 0.0)
    shown = []

    def show(self, line):
        shown.append(line)
        if len(shown) == 1:
            os.kill(int((tmp_path / "pid").read_text()), signal.SIGKILL)

    monkeypatch.setattr(launcher.Job, "show", show)
    popen = subprocess.Popen

    class Noted(popen):
        def __init__(self, *args, **options):
            super().__init__(*args, **options)
            (tmp_path / "pid").write_text(str(self.pid))

    monkeypatch.setattr(launcher.subprocess, "Popen", Noted)
    monkeypatch.setattr(external.Attempt, "_packages", lambda *_: {})
    assert start(tmp_path, fields("--end hang")) == 128 + signal.SIGKILL
    assert "wrote its last checkpoint" in shown[0] and "If it hangs, end it" in shown[0]


def test_the_users_python_path_reaches_the_trainer_and_ours_does_not(tmp_path, monkeypatch):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "my_rsl_rl.py").write_text(
        f"import os; assert {str(REPOSITORY / 'src')!r} not in os.environ['PYTHONPATH']"
    )
    monkeypatch.setenv("PYTHONPATH", f"{REPOSITORY / 'src'}{os.pathsep}{tmp_path / 'mine'}")
    assert start(tmp_path, fields("--needs my_rsl_rl")) == 0


def program(path: Path, content: bytes, mode: int = 0o755) -> Path:
    path.write_bytes(content)
    path.chmod(mode)
    return path


@pytest.mark.parametrize(
    ("content", "mode", "sentence"),
    [
        (b"#!/bin/bash\r\necho\r\n", 0o755, r"its lines end as on Windows; sed -i 's/\r$//' "),
        (b"echo hello\n", 0o755, "it is neither a program nor a script that begins with #!"),
        (b"", 0o755, "it is neither a program nor a script that begins with #!"),
        (b"#!/no/such/bash\n", 0o755, "its interpreter /no/such/bash, which its first line names, does not exist"),
        (b"#!/bin/bash\n", 0o644, "is not executable; chmod +x"),
    ],
)
def test_a_script_that_cannot_be_started_is_refused_before_any_job(tmp_path, monkeypatch, content, mode, sentence):
    monkeypatch.chdir(tmp_path)
    program(tmp_path / "isaaclab.sh", content, mode)
    command = "./isaaclab.sh -p train.py {seed} {num_envs} {max_iterations}"
    with pytest.raises(UserError) as caught:
        find_programs(resolve(fields(command=command)).trainer)
    assert sentence in str(caught.value) and "trainer small: its program ./isaaclab.sh " in str(caught.value)


def test_a_relative_program_is_started_from_the_working_directory(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    line = f'exec {shlex.quote(sys.executable)} {shlex.quote(str(SCRIPT))} "$@"\n'
    program(tmp_path / "train.sh", b"#!/bin/bash\n" + line.encode())
    command = "./train.sh --seed {seed} --num_envs {num_envs} --max_iterations {max_iterations}"
    assert start(tmp_path, fields(command=command)) == 0
    assert record(tmp_path)["command"][0] == "./train.sh"


def test_a_finished_run_is_finished_however_its_iterations_are_counted(tmp_path):
    """legged_gym's RSL-RL logs iterations 0 to 19 and calls its last checkpoint model_20.pt."""
    assert start(tmp_path, fields("--last 20", first_iteration=1)) == 0
    [row] = Watcher(tmp_path).progress(time.time() + 1000)
    assert (row.state, row.iteration, row.max_iterations, row.left_s) == ("finished", 20, 20, 0.0)
    # A longer run that has not begun is not finished.
    longer = fields("--last 40", first_iteration=1) | {"train": {"num_envs": 4, "max_iterations": 40}}
    (tmp_path / "config.json").write_text(resolve(longer).to_json())
    assert Watcher(tmp_path).progress(time.time() + 1000)[0].state == "quiet"


def test_nothing_is_written_through_a_symbolic_link(tmp_path, capsys):
    mine = tmp_path / "mine.txt"
    mine.write_text("mine")
    run = tmp_path / "default" / "seed_1"
    run.mkdir(parents=True)
    for name in (".lock", "train.log"):
        (run / name).symlink_to(mine)
        assert start(tmp_path, fields()) != 0
        assert mine.read_text() == "mine" and name in capsys.readouterr().err
        (run / name).unlink()
