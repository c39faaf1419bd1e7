"""The workflow killed, repeated, side by side and by hand: always the same bytes."""

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from helpers.kills import fingerprint
from helpers.workflows import TINY, snakemake, write_config
from manyseeds.core.layout import REPOSITORY

RUN = "results/tiny/default/seed_1"
PATIENCE_S = 600
TRAINING = re.compile(rb"\0manyseeds\0(launch|train)\0")


def start(folder: Path, *arguments: str) -> subprocess.Popen:
    """Start snakemake in a folder, in a session of its own, with its output in a file."""
    command = [sys.executable, "-m", "snakemake", "--snakefile", str(REPOSITORY / "Snakefile"), "--cores", "2"]
    with (folder / "snakemake.log").open("a") as log:
        return subprocess.Popen([*command, *arguments], cwd=folder, stdout=log, stderr=log, start_new_session=True)


def by_hand(folder: Path, config: Path, threads: int) -> subprocess.Popen:
    """Start the training command with what a run's resolved config says."""
    settings = json.loads(config.read_text())
    variant = settings["variants"]["default"]
    (folder / "agent.json").write_text(json.dumps(variant["agent"]))
    (folder / "task.json").write_text(json.dumps(variant["task_cfg"]))
    options = {
        "agent_cfg_path": folder / "agent.json",
        "task_cfg_path": folder / "task.json",
        "log_dir": folder / "run",
        "seed": 1,
        "threads": threads,
        **{key: variant["train"][key] for key in ("num_envs", "max_iterations", "save_interval", "env_spacing")},
    }
    flags = [part for name, value in options.items() for part in (f"--{name}", str(value))]
    command = [sys.executable, "-m", "manyseeds", "train", *flags, "--headless", "lift_object"]
    environment = os.environ | {"OMP_NUM_THREADS": str(threads), "MKL_NUM_THREADS": str(threads)}
    return subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL)


def wait_for(condition, process: subprocess.Popen) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert process.poll() is None and time.monotonic() < deadline, "ended before it could be killed"
        time.sleep(0.01)


def training_processes(folder: Path) -> list[int]:
    """Return the trainings, and who waits for them, that go on in a folder."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if (process / "cwd").resolve() == folder.resolve() and TRAINING.search((process / "cmdline").read_bytes()):
                found.append(int(process.name))
        except OSError:
            continue
    return found


def signal_all(processes: list[int], number: signal.Signals) -> None:
    for process in processes:
        with contextlib.suppress(ProcessLookupError):
            os.kill(process, number)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """What the runs below must end with: trained by hand, on three threads."""
    from manyseeds.config import resolve

    folder = tmp_path_factory.mktemp("by_hand")
    (folder / "config.json").write_text(resolve(TINY | LONG).to_json())
    assert by_hand(folder, folder / "config.json", threads=3).wait() == 0
    return fingerprint(folder / "run")


LONG = {
    "seeds": [1],
    "train": {"num_envs": 8, "max_iterations": 80, "save_interval": 20, "state_interval": 1},
}


def test_by_hand_and_from_snakemake_beside_another_job_with_other_threads_gives_the_same_bytes(tmp_path):
    """The default agent and task, with mini-batches of more rows than a thread takes at once."""
    train = {"num_envs": 64, "max_iterations": 3, "save_interval": 2, "state_interval": 2}
    task = {"name": "lift_object", "overrides": {"grasp_start_share": 0.5}}
    write_config(tmp_path, agent="agent.json", train=train, task=task)
    workflow = start(tmp_path, "train")
    config = tmp_path / "results" / "tiny" / "config.json"
    wait_for(config.is_file, workflow)
    hand = by_hand(tmp_path, config, threads=3)
    assert workflow.wait() == 0, (tmp_path / "snakemake.log").read_text()
    assert hand.wait() == 0
    wanted = fingerprint(tmp_path / "run")
    assert wanted["checkpoints"].keys() == {"model_2.pt", "model_3.pt"} and wanted["iterations"] == [1, 2, 3]
    assert fingerprint(tmp_path / RUN) == wanted
    assert fingerprint((tmp_path / RUN).with_name("seed_2")) != wanted
    assert json.loads((tmp_path / RUN / "run.json").read_text())["threads"] == 1


def test_a_second_workflow_is_refused_and_after_a_kill_waits_for_the_orphan(tmp_path, undisturbed):
    write_config(tmp_path, **LONG)
    first = start(tmp_path, "train")
    wait_for((tmp_path / RUN / "state.pt").exists, first)
    trainings, log = training_processes(tmp_path), tmp_path / "snakemake.log"
    # Training pauses, so that it does not end before the others come, however slow this machine is.
    signal_all(trainings, signal.SIGSTOP)
    try:
        second = snakemake(tmp_path, "train")
        assert second.returncode != 0
        assert "error: results/tiny: another Snakemake works on this experiment" in second.stdout
        assert first.poll() is None
        first.kill()
        first.wait()
        assert set(trainings) <= set(training_processes(tmp_path)), "training went on without its Snakemake"
        third = start(tmp_path, "train")
        wait_for(lambda: "default/seed_1: waiting for another process that trains this run" in log.read_text(), third)
    finally:
        signal_all(trainings, signal.SIGCONT)
    assert third.wait() == 0, log.read_text()
    assert fingerprint(tmp_path / RUN) == undisturbed


def test_killed_workflows_and_killed_jobs_with_retries_end_with_the_same_bytes(tmp_path, undisturbed):
    write_config(tmp_path, **LONG)
    first = start(tmp_path, "train")
    wait_for((tmp_path / RUN / "state.pt").exists, first)
    first.kill()
    first.wait()
    for process in training_processes(tmp_path):
        os.kill(process, signal.SIGKILL)
    log = tmp_path / "snakemake.log"
    second = start(tmp_path, "train", "--retries", "1")
    wait_for(lambda: "[INFO] Continuing" in log.read_text(), second)
    for process in training_processes(tmp_path):
        os.kill(process, signal.SIGKILL)
    assert second.wait() == 0, (tmp_path / "snakemake.log").read_text()
    assert log.read_text().count("default/seed_1: [INFO] Continuing") == 2
    assert json.loads((tmp_path / RUN / "run.json").read_text())["resumed"] == 2
    assert fingerprint(tmp_path / RUN) == undisturbed
