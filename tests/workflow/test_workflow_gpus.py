"""The workflow on a machine with two GPUs: a stand-in for nvidia-smi says so, and training happens on the CPU."""

import json
import os
import subprocess
import sys
from itertools import combinations
from pathlib import Path

import pytest
import yaml

from manyseeds.core.errors import UserError
from manyseeds.core.layout import REPOSITORY
from manyseeds.workflow.plan import make_plan

TINY = {
    "experiment": "tiny",
    "device": "cuda",
    "seeds": [1, 2, 3, 4],
    "train": {"num_envs": 4, "max_iterations": 2, "save_interval": 2},
    "agent": {
        "file": "generic_policy.json",
        "overrides": {"policy.actor_hidden_dims": [8], "policy.critic_hidden_dims": [8]},
    },
}
# Python runs this at its start. Training is asked for a GPU, which is noted, and gets the CPU.
ON_THE_CPU = """
import atexit, json, os, sys, time
if "train" in sys.orig_argv and "--run" in sys.orig_argv:
    run = json.load(open(sys.argv[sys.argv.index("--run") + 1]))
    assert (run["device"], run["simulator"]) == ("cuda", "mujoco_warp")
    sys.argv += ["--device", "cpu", "--simulator", "mujoco"]
    seed, begin = run["seed"], time.monotonic()
    def note():
        with open(os.environ["NOTES"], "a") as stream:
            stream.write(f"{seed} {os.environ['CUDA_VISIBLE_DEVICES']} {begin} {time.monotonic()}\\n")
    atexit.register(note)
"""


@pytest.fixture
def machine(tmp_path, monkeypatch) -> Path:
    """A working directory on a machine with two GPUs."""
    (tmp_path / "bin").mkdir()
    script = tmp_path / "bin" / "nvidia-smi"
    script.write_text("#!/bin/sh\nprintf '0, GPU-a, 0, 80000\\n1, GPU-b, 0, 80000\\n'\n")
    script.chmod(0o755)
    (tmp_path / "start").mkdir()
    (tmp_path / "start" / "sitecustomize.py").write_text(ON_THE_CPU)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "start"), prepend=os.pathsep)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"), prepend=os.pathsep)
    monkeypatch.setenv("MANYSEEDS_LOCKS", str(tmp_path / "locks"))
    monkeypatch.setenv("NOTES", str(tmp_path / "notes"))
    for name in ("CUDA_VISIBLE_DEVICES", "SLURM_JOB_ID"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(TINY))
    return tmp_path


def snakemake(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "snakemake", "--snakefile", str(REPOSITORY / "Snakefile"), *arguments]
    return subprocess.run(command, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=300)


def test_as_many_seeds_train_at_once_as_there_are_gpus_each_on_its_own(machine):
    result = snakemake("--cores", "8", "train")
    assert result.returncode == 0, result.stdout
    runs = [line.split() for line in (machine / "notes").read_text().splitlines()]
    assert {device for _, device, *_ in runs} == {"GPU-a", "GPU-b"} and len(runs) == 4
    together = 0
    for one, other in combinations(runs, 2):
        overlap = min(float(one[3]), float(other[3])) - max(float(one[2]), float(other[2]))
        together += overlap > 0
        assert overlap <= 0 or one[1] != other[1], "two seeds trained on one GPU"
    assert together >= 1
    # Snakemake starts no run that would have to wait.
    assert "waits for" not in result.stdout
    records = [json.loads(path.read_text()) for path in (machine / "results").rglob("run.json")]
    assert {tuple(record["gpus"]) for record in records} == {("0 (GPU-a)",), ("1 (GPU-b)",)}


def test_a_machine_with_too_few_gpus_is_one_sentence_before_any_run(machine):
    result = snakemake("--cores", "2", "train", "--config", "gpus_per_run=4")
    assert result.returncode != 0
    assert "error: device is cuda and a run takes 4 GPUs, but 2 can be used here" in result.stdout
    assert "Traceback" not in result.stdout and not (machine / "results/tiny/default").exists()


@pytest.mark.parametrize(
    ("fields", "cores", "slots", "threads"),
    [
        ({}, 16, 2, 8),
        ({"jobs_per_gpu": 2}, 16, 4, 4),
        ({"gpus_per_run": 2}, 16, 2, 16),
        ({"gpus": [1]}, 16, 1, 16),
        ({"jobs_per_gpu": 8}, 16, 16, 4),
        ({"gpus": "none"}, 2, None, 1),
        ({"device": "cpu"}, 2, None, 1),
        ({}, None, None, 4),
    ],
)
def test_cores_are_shared_among_the_runs_that_go_side_by_side(machine, fields, cores, slots, threads):
    plan = make_plan([], fields, cores)
    assert (plan.gpu_slots, set(plan.threads.values())) == (slots, {threads})


def test_a_user_can_allow_fewer_gpus(machine, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1")
    assert make_plan([], {}, 4).gpu_slots == 1
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    plan = make_plan([], {}, 4)
    with pytest.raises(UserError, match="but none can be used here"):
        plan.check_gpus()


def test_what_is_asked_of_a_cluster_grows_with_the_work(machine):
    small = make_plan([], {}, None).training_demand("default")
    assert small["gpu"] == 1 and small["runtime"] == 11
    two = make_plan([], {"gpus_per_run": 2}, None).training_demand("default")
    assert (two["gpu"], two["nodes"]) == (2, 1), "a scheduler must not spread a run's GPUs"
    large = make_plan([], {"train": {"num_envs": 512, "max_iterations": 3000}}, None).training_demand("default")
    assert large["runtime"] > 100 * 3 and large["mem_mb"] > small["mem_mb"]
    longest = make_plan([], {"train": {"num_envs": 4096, "max_iterations": 12000}}, None).training_demand("default")
    assert longest["runtime"] == 24 * 60
    assert make_plan([], {"device": "cpu"}, None).training_demand("default").keys() == {"runtime", "mem_mb"}
