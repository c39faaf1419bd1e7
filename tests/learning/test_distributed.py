"""Several processes train one policy: the same bits every time, one console, and no waiting for a dead rank."""

import json
import multiprocessing
import os
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from helpers.kills import fingerprint
from helpers.training_runs import OPTIONS, agent, train
from manyseeds.config import resolve
from manyseeds.core.errors import UserError
from manyseeds.learning import distributed
from manyseeds.learning.agent import load_agent
from manyseeds.learning.checkpoint import load_checkpoint
from manyseeds.learning.distributed import ALONE, Ranks, joined
from manyseeds.runs.command import parser

OURS = agent(class_name="manyseeds.learning.ppo:PPO")
TORCHRUN = (sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2", "-m")


def command(folder: Path, *start: str, **options: object) -> list[str]:
    """A distributed run's command line; `start` is what comes before the module's name."""
    path = folder.with_name("agent.json")
    path.write_text(json.dumps(OURS))
    values = OPTIONS | {"log_dir": folder, "agent_cfg_path": path} | options
    flags = [part for name, value in values.items() for part in (f"--{name}", str(value))]
    return [*(start or (sys.executable, "-m")), "manyseeds", "train", *flags, "--distributed", "lift_object"]


def run(arguments: list[str]) -> subprocess.CompletedProcess:
    return subprocess.run(arguments, capture_output=True, text=True, timeout=300)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An undisturbed run of two ranks."""
    folder = tmp_path_factory.mktemp("distributed") / "run"
    done = run(command(folder, nproc_per_node=2))
    assert done.returncode == 0, done.stderr
    # Only the first rank prints.
    assert len(re.findall("Learning iteration", done.stdout)) == OPTIONS["max_iterations"]
    return folder


def test_torchrun_and_the_flag_alone_give_the_same_bits(tmp_path: Path, finished: Path) -> None:
    done = run(command(tmp_path / "run", *TORCHRUN))
    assert done.returncode == 0, done.stderr
    assert fingerprint(tmp_path / "run") == fingerprint(finished)


def test_a_killed_rank_ends_the_run_and_is_named_and_the_same_command_resumes_exactly(
    tmp_path: Path, finished: Path
) -> None:
    folder = tmp_path / "run"
    arguments = command(folder, nproc_per_node=2)
    process = subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 200
    while not (folder / "model_2.pt").exists():
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.02)
    os.kill(_pid_of_rank(1, folder), signal.SIGKILL)
    _, errors = process.communicate(timeout=200)
    assert process.returncode != 0
    assert "rank 1 of 2 was killed by SIGKILL" in errors
    done = run(arguments)
    assert done.returncode == 0, done.stderr
    assert "Continuing" in done.stdout
    assert fingerprint(folder) == fingerprint(finished)


def test_a_checkpoint_of_two_ranks_loads_in_one_rank(tmp_path: Path, finished: Path) -> None:
    assert train(tmp_path / "alone", OURS) == 0
    ours, theirs = (load_checkpoint(folder / "model_6.pt") for folder in (tmp_path / "alone", finished))
    assert ours.keys() == theirs.keys()
    shapes = [{k: v.shape for k, v in content["actor_state_dict"].items()} for content in (ours, theirs)]
    assert shapes[0] == shapes[1]
    counts = [content["actor_state_dict"]["obs_normalizer.count"] for content in (ours, theirs)]
    assert counts[0] == counts[1] == 6 * 24 * OPTIONS["num_envs"]


def test_another_number_of_ranks_starts_over(tmp_path: Path, finished: Path, capsys: pytest.CaptureFixture) -> None:
    subprocess.run(["cp", "-r", finished, tmp_path / "run"], check=True)
    assert train(tmp_path / "run", OURS, max_iterations=1) == 0
    assert "Starting over: ranks was 2 and is not set" in capsys.readouterr().out


def test_all_ranks_hold_the_same_parameters_from_different_samples(tmp_path: Path) -> None:
    with socket.socket() as probe:
        probe.bind(("localhost", 0))
        port = probe.getsockname()[1]
    (tmp_path / "agent.json").write_text(json.dumps(OURS))
    context = multiprocessing.get_context("spawn")
    results = context.Queue()
    processes = [context.Process(target=_two_iterations, args=(r, port, tmp_path, results)) for r in (0, 1)]
    for process in processes:
        process.start()
    (one, reward_one), (two, reward_two) = (results.get(timeout=200) for _ in processes)
    for process in processes:
        process.join(60)
    assert one == two
    assert reward_one != reward_two


def _two_iterations(rank: int, port: int, folder: Path, results: multiprocessing.Queue) -> None:
    from manyseeds.learning.runner import Runner
    from manyseeds.simulators import make_env

    os.environ |= {"RANK": str(rank), "WORLD_SIZE": "2", "LOCAL_RANK": str(rank), "MASTER_ADDR": "localhost"}
    os.environ["MASTER_PORT"] = str(port)
    with joined("cpu") as ranks:
        env = make_env("mujoco", "lift_object", num_envs=4, seed=3 + rank, threads=1)
        runner = Runner(env, load_agent(folder / "agent.json"), seed=3, device="cpu", threads=1, ranks=ranks)
        runner.iterate()
        own = runner.alg.storage.rewards.sum().item()
        runner.iterate()
        models = (runner.alg.actor, runner.alg.critic)
        parameters = torch.cat([value.flatten().double() for m in models for value in m.state_dict().values()])
        results.put((parameters.tolist(), own))
        ranks.gather(None)


def _pid_of_rank(rank: int, folder: Path) -> int:
    for place in Path("/proc").glob("[0-9]*"):
        try:
            environment, arguments = (place / "environ").read_bytes(), (place / "cmdline").read_bytes()
        except OSError:
            continue
        if f"\0RANK={rank}\0".encode() in b"\0" + environment and str(folder).encode() in arguments:
            return int(place.name)
    raise AssertionError(f"there is no process of rank {rank}")


def test_means_over_ranks_leave_out_ranks_without_a_value(monkeypatch: pytest.MonkeyPatch) -> None:
    assert ALONE.mean({"a": 1.0}) == {"a": 1.0}
    monkeypatch.setattr(Ranks, "gather", lambda _, own: [own, {"a": 3.0, "b": 2.0}])
    assert Ranks(0, 2).mean({"a": 1.0}) == {"a": 2.0, "b": 2.0}
    assert Ranks(0, 1) == ALONE and ALONE.first and not Ranks(1, 2).first


@pytest.mark.parametrize(
    ("flags", "sentence"),
    [
        (["--distributed"], "--distributed finds no GPU to train on"),
        (["--nproc_per_node", "2"], "it needs --distributed"),
        (["--distributed", "--nproc_per_node", "0"], "must be at least 1"),
        (["--distributed", "--nproc_per_node", "3"], "--num_envs is 8; 3 processes need a multiple of 3"),
    ],
)
def test_bad_options_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture, flags: list[str], sentence: str
) -> None:
    assert train(tmp_path / "run", flags=flags) == 2
    assert sentence in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("variables", "sentence"),
    [
        ({"RANK": "node-3", "WORLD_SIZE": "2"}, "RANK is 'node-3'; it must be a whole number of at least 0"),
        ({"RANK": "0", "WORLD_SIZE": "two"}, "WORLD_SIZE is 'two'; it must be a whole number of at least 1"),
        ({"RANK": "0", "WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "0"}, "LOCAL_WORLD_SIZE is '0'; it must be a whole"),
        ({"RANK": "-1", "WORLD_SIZE": "2"}, "RANK is '-1'"),
    ],
)
def test_variables_that_another_program_left_are_one_sentence_or_have_no_meaning(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], sentence: str
) -> None:
    for name in ("RANK", "WORLD_SIZE", "LOCAL_WORLD_SIZE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("RANK", variables["RANK"])
    assert (distributed.rank(), distributed.world_size(), distributed.local_size()) == (0, 1, 1)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(UserError, match=re.escape(f"the environment variable {sentence}")):
        _ = distributed.rank(), distributed.world_size(), distributed.local_size()


def test_a_run_of_several_gpus_trains_in_as_many_processes() -> None:
    train = {"num_envs": 16, "max_iterations": 1}
    fields = {"experiment": "tiny", "seeds": [1], "train": train, "agent": "generic_policy.json"}
    one = resolve(fields | {"device": "cuda"})
    two = resolve(fields | {"device": "cuda", "gpus_per_run": 2})
    runs = [experiment.run("default", 1) for experiment in (one, two)]
    alone, together = (parser(run).parse_args([]) for run in runs)
    assert not alone.distributed and (together.distributed, together.nproc_per_node) == (True, 2)
    # Two processes draw other samples than one: another result, so another run.
    assert [run.identity()["ranks"] for run in runs] == [1, 2]
