"""The shipped profile on a real Slurm of one node with two stand-ins for GPUs: `make test-slurm` starts it."""

import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml

from helpers.documentation import commands
from helpers.kills import fingerprint
from helpers.training_runs import agent
from manyseeds.core.layout import REPOSITORY

pytestmark = pytest.mark.slurm

SLOTS = 2
SEEDS = [1, 2, 3, 4]
ITERATIONS = 120
# An ended job leaves the queue at some time.
ENDED = ("", "COMPLETED", "FAILED", "CANCELLED")
TINY = {
    "experiment": "tiny",
    "seeds": SEEDS,
    "train": {
        "num_envs": 8,
        "max_iterations": ITERATIONS,
        "save_interval": ITERATIONS,
        "state_interval": 2,
        "threads": 1,
    },
    "agent": {
        "file": "generic_policy.json",
        "overrides": {"policy.actor_hidden_dims": [8], "policy.critic_hidden_dims": [8]},
    },
}
# A folder of images, as `make test-containers` leaves it: every job then runs in one.
IMAGES = os.environ.get("MANYSEEDS_IMAGES")
# Without accounting only squeue answers, and this machine is asked more often than a cluster should be.
HERE = ["--slurm-status-command", "squeue", "--slurm-init-seconds-before-status-checks", "3", "--latency-wait", "5"]
# The tiny experiment trains on the CPU; the GPUs are asked for all the same.
ONE_GPU = ["--set-resources", "train_run:gpu=1"]


def snakemake(*arguments: str) -> list[str]:
    command = [sys.executable, "-m", "snakemake", "--snakefile", str(REPOSITORY / "Snakefile"), *arguments]
    return ["timeout", "-k", "10", "1200", *command]


def on_slurm(*arguments: str) -> list[str]:
    contained = ["--software-deployment-method", "apptainer"] if IMAGES else []
    return snakemake("--workflow-profile", "slurm", *contained, *HERE, *arguments)


def start(folder: Path, *arguments: str) -> subprocess.Popen:
    log = log_of(folder).open("a")
    return subprocess.Popen(
        on_slurm(*arguments), cwd=folder, stdout=log, stderr=subprocess.STDOUT, start_new_session=True
    )


def log_of(folder: Path) -> Path:
    return folder / "snakemake.out"


def write_config(folder: Path, **fields: object) -> Path:
    images = {name: f"{IMAGES}/{name}.sif" for name in ("mujoco", "analysis")} if IMAGES else {}
    (folder / "config.yaml").write_text(yaml.safe_dump(TINY | ({"container": images} if images else {}) | fields))
    return folder


def queue(*states: str) -> dict[str, str]:
    """Return the ids of the jobs in these states by the seed they train."""
    command = ["squeue", "--noheader", f"--states={','.join(states)}", "--format=%i %k"]
    lines = subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()
    jobs = (re.fullmatch(r"(\d+) rule_train_run_wildcards_default_(\d+)", line.strip()) for line in lines)
    return {match[2]: match[1] for match in jobs if match}


def run_folder(folder: Path, seed: str | int) -> Path:
    return folder / "results" / "tiny" / "default" / f"seed_{seed}"


def has_state(folder: Path, seed: str | int) -> bool:
    return (run_folder(folder, seed) / "state.previous.pt").exists()


def record(folder: Path, seed: int) -> dict:
    return json.loads((run_folder(folder, seed) / "run.json").read_text())


def wait_for(condition: Callable[[], object], what: str, log: Path, seconds: float = 600) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"{what} did not happen\n{log.read_text() if log.exists() else ''}"
        time.sleep(0.1)


def policies(folder: Path) -> dict[int, bytes]:
    return {seed: (run_folder(folder, seed) / f"model_{ITERATIONS}.pt").read_bytes() for seed in SEEDS}


@pytest.fixture(scope="module")
def without_slurm(tmp_path_factory) -> dict[int, bytes]:
    """The policies that the experiment leaves when Snakemake trains on this machine."""
    folder = write_config(tmp_path_factory.mktemp("here"))
    subprocess.run(snakemake("--cores", "2", "train"), cwd=folder, check=True, capture_output=True)
    return policies(folder)


@pytest.fixture
def folder(tmp_path) -> Iterator[Path]:
    yield write_config(tmp_path)
    subprocess.run(["scancel", "--user", str(os.getuid())], check=False)


def test_more_seeds_than_gpus_one_requeued_and_one_worker_killed(folder, without_slurm):
    """Never more jobs than GPUs, each GPU used, and the bytes of a run that nothing disturbed."""
    begin = time.monotonic()
    process = start(folder, "train", *ONE_GPU)
    most = 0

    def running(number: int) -> bool:
        nonlocal most
        jobs = queue("RUNNING")
        most = max(most, len(jobs))
        return len(jobs) == number

    wait_for(lambda: running(2), "two jobs running", log_of(folder))
    wait_for(lambda: len(queue("PENDING", "RUNNING")) >= 3, "a job waiting for a GPU", log_of(folder))
    requeued, killed = sorted(queue("RUNNING"))
    job = queue("RUNNING")[requeued]
    wait_for(lambda: has_state(folder, requeued) and has_state(folder, killed), "training", log_of(folder))
    subprocess.run(["scontrol", "requeue", job], check=True)
    pattern = f"manyseeds (launch .*--seed {killed} |train --run .*/seed_{killed}/)"
    workers = subprocess.run(["pgrep", "--full", pattern], capture_output=True, text=True, check=True).stdout.split()
    for worker in workers:
        os.kill(int(worker), signal.SIGKILL)
    # Slurm holds a requeued job back for two minutes; here it need not wait.
    wait_for(lambda: requeued in queue("PENDING"), "requeuing", log_of(folder))
    while process.poll() is None:
        if requeued in queue("PENDING"):
            subprocess.run(["scontrol", "update", f"jobid={job}", "starttime=now"], check=False, capture_output=True)
        running(0)
        time.sleep(0.3)
    assert process.returncode == 0, log_of(folder).read_text()
    assert most == SLOTS
    records = {seed: record(folder, seed) for seed in SEEDS}
    assert {tuple(entry["gpus"]) for entry in records.values()} == {("0",), ("1",)}
    assert records[int(requeued)]["slurm_job"] == job
    assert records[int(requeued)]["resumed"] >= 1 and records[int(killed)]["resumed"] >= 1
    for seed in (requeued, killed):
        log = (folder / "logs" / "tiny" / "default" / f"seed_{seed}" / "train.log").read_text()
        assert "[INFO] Continuing" in log
    assert policies(folder) == without_slurm
    print(f"{len(SEEDS)} runs on {SLOTS} GPUs, two of them disturbed: {time.monotonic() - begin:.0f} s")


def test_a_killed_snakemake_finds_its_jobs_again_and_repeats_nothing(folder, without_slurm):
    first = start(folder, "train", *ONE_GPU)
    wait_for(lambda: len(queue("RUNNING")) == 2, "two jobs running", log_of(folder))
    left = queue("RUNNING", "PENDING")
    wait_for(lambda: all(has_state(folder, seed) for seed in queue("RUNNING")), "training", log_of(folder))
    os.killpg(first.pid, signal.SIGKILL)
    first.wait()
    assert queue("RUNNING", "PENDING").keys() & left.keys(), "Slurm's jobs ended with Snakemake"
    second = start(folder, "train", *ONE_GPU)
    assert second.wait() == 0, log_of(folder).read_text()
    assert policies(folder) == without_slurm
    # The jobs that were left behind trained to the end; those submitted again found nothing to do.
    for seed in left:
        log = (folder / "logs" / "tiny" / "default" / f"seed_{seed}" / "train.log").read_text()
        assert "is finished: all" in log and "Learning iteration" not in log, "iterations were trained twice"
    third = subprocess.run(on_slurm("train", *ONE_GPU), cwd=folder, capture_output=True, text=True)
    assert third.returncode == 0 and "Nothing to be done" in third.stdout + third.stderr


def test_a_race_stops_a_variant_and_continues_the_other(folder):
    """Jobs to a rung, its decision next to Snakemake, and jobs that continue what they find."""
    steps = {"slow": 1e-5, "fast": 1e-2}
    write_config(
        folder,
        seeds=[1],
        train=TINY["train"] | {"max_iterations": 2, "save_interval": 1},
        variants={name: {"agent": {"overrides": {"algorithm.learning_rate": rate}}} for name, rate in steps.items()},
        race={"rungs": [1], "by": "return", "episodes": 4},
    )
    result = subprocess.run(on_slurm("train"), cwd=folder, capture_output=True, text=True)
    assert result.returncode == 0, result.stdout + result.stderr
    results = folder / "results" / "tiny"
    [(stopped, end)] = json.loads((results / "race_1.json").read_text())["stopped"].items()
    assert end == {"iteration": 1, "place": 2, "of": 2}
    for variant in steps:
        run = results / variant / "seed_1"
        content = json.loads((run / "run.json").read_text())
        assert (run / "model_2.pt").exists() == (variant != stopped)
        assert content["slurm_job"] and content.get("race") == (
            "stopped at rung 1, as 2nd of 2" if variant == stopped else None
        )
        assert content["resumed"] == (0 if variant == stopped else 1)


def test_a_job_that_no_node_can_ever_run_is_an_error_not_a_wait(folder):
    result = subprocess.run(
        on_slurm("--set-resources", "train_run:gpu=3", "--config", "seeds=[1]", "--", "train"),
        cwd=folder,
        capture_output=True,
        text=True,
    )
    text = result.stdout + result.stderr
    assert result.returncode not in (0, 124, 137), text
    assert "Requested node configuration is not available" in text
    assert queue("PENDING", "RUNNING") == {}


def test_two_nodes_train_one_run_and_after_a_kill_and_a_requeue_it_has_the_same_bytes(folder):
    """Two tasks on this machine are the two nodes; without Slurm two processes do the same."""
    (folder / "agent.json").write_text(json.dumps(agent(class_name="manyseeds.learning.ppo:PPO")))
    options = {"num_envs": 8, "max_iterations": 60, "save_interval": 20, "state_interval": 2, "threads": 1, "seed": 3}
    flags = [part for name, value in options.items() for part in (f"--{name}", str(value))]
    flags += ["--agent_cfg_path", str(folder / "agent.json"), "--log_dir"]
    alone = [sys.executable, "-m", "manyseeds", "train", "--distributed", "--nproc_per_node", "2"]
    subprocess.run([*alone, *flags, str(folder / "alone"), "lift_object"], check=True, capture_output=True)

    log, nodes = folder / "job.log", folder / "nodes"
    script = [str(REPOSITORY / "profiles" / "slurm" / "torchrun.sh"), *flags, str(nodes), "lift_object"]
    job = submit(folder, log, *script)
    wait_for((nodes / "state.previous.pt").exists, "training", log)
    ranks = ["pgrep", "--full", "--", f"-u -m manyseeds train --distributed .*{nodes} "]
    first, second = subprocess.run(ranks, capture_output=True, text=True, check=True).stdout.split()
    os.kill(int(second), signal.SIGKILL)
    wait_for(lambda: state(job) in ENDED, "the end of the other node", log)
    assert not (nodes / "model_60.pt").exists() and not Path(f"/proc/{first}").exists()

    job = submit(folder, log, *script)
    wait_for(lambda: "Continuing" in log.read_text(), "continuing", log)
    subprocess.run(["scontrol", "requeue", job], check=True)
    wait_for(lambda: state(job) == "PENDING", "requeuing", log)
    assert not (nodes / "model_60.pt").exists(), "the run had ended before it was disturbed"

    def continued() -> bool:
        # Slurm holds a requeued job back for two minutes; here it need not wait.
        if state(job) == "PENDING":
            subprocess.run(["scontrol", "update", f"jobid={job}", "starttime=now"], check=False, capture_output=True)
        return log.read_text().count("Continuing") >= 2

    wait_for(continued, "continuing after the requeue", log)
    wait_for(lambda: state(job) in ENDED, "the end of the job", log)
    assert log.read_text().count("Continuing") >= 2, log.read_text()
    assert fingerprint(nodes) == fingerprint(folder / "alone")


@pytest.mark.parametrize("page", ["docs/clusters.md", "profiles/slurm/torchrun.sh"])
def test_the_documented_sbatch_line_trains(folder, page):
    """As it stands, but on this one node, on its CPUs, and for a few small iterations."""
    [line] = [line for line in commands(REPOSITORY / page) if line.startswith("sbatch ")]
    words = shlex.split(line)
    script = next(index for index, word in enumerate(words) if word.endswith("torchrun.sh"))
    log = folder / "job.log"
    here = ["--nodes", "1", "--gpus-per-node", "2", "--wait", "--output", str(log), "--chdir", str(folder)]
    small = ["--device", "cpu", "--num_envs", "8", "--max_iterations", "2", "--threads", "1"]
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        [*words[:script], *here, *words[script:], *small],
        cwd=REPOSITORY,
        env=os.environ | {"PROCESSES_PER_NODE": "2", "PATH": path},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr + log.read_text()
    assert "[INFO] Training on cpu with mujoco in 2 processes: --device is cpu." in log.read_text()
    record = json.loads((folder / "results" / "large" / "run.json").read_text())
    assert record["config"]["ranks"] == 2 and "model_2.pt" in record["outputs"]


def test_a_run_on_two_gpus_gets_both_on_one_node(folder, monkeypatch):
    """The GPUs are stand-ins, so a module on PYTHONPATH, which containers do not see, makes it train on the CPU."""
    monkeypatch.setattr(sys.modules[__name__], "IMAGES", None)
    two_gpus(folder, monkeypatch)
    write_config(folder, device="cuda", gpus_per_run=2, seeds=[1], train=TINY["train"] | {"max_iterations": 2})
    before = geometries().keys()
    process = start(folder, "train")
    seen: dict[str, tuple[str, ...]] = {}
    while process.poll() is None:
        seen |= geometries()
        time.sleep(0.2)
    assert process.returncode == 0, log_of(folder).read_text()
    assert {seen[job] for job in seen.keys() - before} == {("1", "gres:gpu:2")}
    assert record(folder, 1)["gpus"] == ["0 (GPU-a)", "1 (GPU-b)"] and record(folder, 1)["config"]["ranks"] == 2


def geometries() -> dict[str, tuple[str, ...]]:
    """Return by job the most nodes that it asks for (0 for any number), and its GPUs."""
    command = ["squeue", "--noheader", "--Format=JobID,MaxNodes,tres-per-job:40", "--states=PENDING,RUNNING,COMPLETED"]
    lines = subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()
    return {job: tuple(geometry) for job, *geometry in map(str.split, lines)}


def two_gpus(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let jobs find two GPUs, and let what they train with find none of it."""
    (folder / "bin").mkdir()
    (folder / "start").mkdir()
    (folder / "start" / "sitecustomize.py").write_text(
        "import sys\n"
        "if 'train' in sys.orig_argv and '--run' in sys.orig_argv:\n"
        "    sys.argv += ['--device', 'cpu', '--simulator', 'mujoco']\n"
    )
    nvidia_smi = folder / "bin" / "nvidia-smi"
    nvidia_smi.write_text("#!/bin/sh\nprintf '0, GPU-a, 0, 80000\\n1, GPU-b, 0, 80000\\n'\n")
    nvidia_smi.chmod(0o755)
    monkeypatch.setenv("PATH", str(folder / "bin"), prepend=os.pathsep)
    monkeypatch.setenv("PYTHONPATH", str(folder / "start"), prepend=os.pathsep)


def submit(folder: Path, log: Path, *script: str) -> str:
    """Submit a script as a job of two tasks; return its id."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    options = ["--nodes=1", "--ntasks-per-node=2", f"--output={log}", "--chdir", str(folder)]
    return subprocess.run(
        ["sbatch", "--parsable", *options, *script],
        env=os.environ | {"PROCESSES_PER_NODE": "1", "PATH": path},
        check=True,
        capture_output=True,
        text=True,
    ).stdout.strip()


def state(job: str) -> str:
    command = ["squeue", "--noheader", "--format=%T", f"--jobs={job}"]
    return subprocess.run(command, check=False, capture_output=True, text=True).stdout.strip()


def test_slurm_is_really_there():
    assert shutil.which("sbatch") and SLOTS == 2
    nodes = subprocess.run(["sinfo", "--noheader", "--format=%G"], check=True, capture_output=True, text=True).stdout
    assert nodes.strip() == "gpu:2"
