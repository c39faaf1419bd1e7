"""Where `manyseeds train` trains on a machine with GPUs and on one without; a stand-in plays the GPUs."""

import importlib.util
import shlex
from pathlib import Path
from typing import Any

import pytest
import yaml

from helpers.gpu_machines import gpu_machine
from helpers.verbs import verb
from manyseeds.config.settings import RunConfig
from manyseeds.core.errors import UserError
from manyseeds.learning import distributed
from manyseeds.runs import command
from manyseeds.runs.hardware import choose

train_verb = verb("train")


GUIDE = shlex.split("--env_spacing 5.0 --num_envs 512 --max_iterations 12000 --save_interval 500 --headless")


@pytest.fixture(autouse=True)
def _alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No scheduler started this process, and it writes nowhere else."""
    for name in ("RANK", "WORLD_SIZE", "LOCAL_WORLD_SIZE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What the command starts: a run in this process, or arguments and a number of processes."""
    calls: list[Any] = []
    monkeypatch.setattr(command, "_train", lambda run, *_: calls.append(run) or 0)
    monkeypatch.setattr(distributed, "launch", lambda arguments, count: calls.append((list(arguments), count)))
    return calls


@pytest.mark.parametrize(
    ("flags", "with_gpus", "without"),
    [
        ([], ("cuda", "mujoco_warp"), ("cpu", "mujoco")),
        (["--device", "auto"], ("cuda", "mujoco_warp"), ("cpu", "mujoco")),
        (["--device", "cuda"], ("cuda", "mujoco_warp"), "--device is 'cuda', but PyTorch sees no GPU here"),
        (["--device", "cuda:1"], ("cuda:1", "mujoco_warp"), "--device is 'cuda:1', but PyTorch sees no GPU here"),
        (["--device", "cuda:2"], "--device is 'cuda:2', but PyTorch sees 2 GPUs here", "PyTorch sees no GPU here"),
        (["--device", "cpu"], ("cpu", "mujoco"), ("cpu", "mujoco")),
        (["--simulator", "mujoco"], ("cpu", "mujoco"), ("cpu", "mujoco")),
        (["--simulator", "mujoco_warp"], ("cuda", "mujoco_warp"), ("cpu", "mujoco_warp")),
        (["--simulator", "mujoco_warp", "--device", "cpu"], ("cpu", "mujoco_warp"), ("cpu", "mujoco_warp")),
        (["--simulator", "mujoco", "--device", "cuda"], *2 * ["--device is cuda, and --simulator mujoco runs on cpu"]),
    ],
)
def test_the_guides_command_uses_a_gpu_where_there_is_one(
    flags: list[str],
    with_gpus: tuple[str, str] | str,
    without: tuple[str, str] | str,
    started: list[RunConfig],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture,
) -> None:
    for gpus, expected in ((2, with_gpus), (0, without)):
        gpu_machine(monkeypatch, gpus)
        code = train_verb([*GUIDE, *flags, "lift_object"])
        out, err = capsys.readouterr()
        if isinstance(expected, str):
            assert code == 2 and expected in err and err.count("\n") == 1 and not started
            continue
        run = started.pop()
        assert code == 0 and (run.device, run.simulator) == expected
        assert out.startswith(f"[INFO] Training on {expected[0]} with {expected[1]}: ") and out.count("\n") == 1


@pytest.mark.parametrize(
    ("gpus", "flags", "line"),
    [
        (1, [], "[INFO] Training on cuda with mujoco_warp: PyTorch can use 1 GPU here."),
        (2, [], "[INFO] Training on cuda with mujoco_warp: PyTorch can use 2 GPUs here."),
        (0, [], "[INFO] Training on cpu with mujoco: PyTorch sees no GPU here."),
        (1, ["--device", "cpu"], "[INFO] Training on cpu with mujoco: --device is cpu."),
        (1, ["--simulator", "mujoco"], "[INFO] Training on cpu with mujoco: --simulator is mujoco."),
    ],
)
def test_the_first_line_says_what_was_chosen_and_why(
    gpus: int,
    flags: list[str],
    line: str,
    started: list[RunConfig],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture,
) -> None:
    gpu_machine(monkeypatch, gpus)
    assert train_verb([*flags, "lift_object"]) == 0
    assert capsys.readouterr().out.splitlines()[0] == line


def test_without_the_simulator_for_gpus_it_trains_on_the_cpu_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    gpu_machine(monkeypatch, 1)
    found = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "mujoco_warp" else found(name))
    hardware = choose("auto", "auto")
    assert (hardware.device, hardware.simulator) == ("cpu", "mujoco")
    assert "there is a GPU, but mujoco_warp is not installed" in hardware.why


def test_a_pytorch_for_cpus_is_named_as_the_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    gpu_machine(monkeypatch, 0)
    monkeypatch.setattr("torch.version.cuda", None)
    assert choose("auto", "auto").why == "this PyTorch is built for CPUs only"


@pytest.mark.parametrize(
    ("gpus", "flags", "expected"),
    [
        (2, [], 2),
        (3, ["--nproc_per_node", "2"], 2),
        (2, ["--device", "cuda"], 2),
        (2, ["--nproc_per_node", "4"], "--nproc_per_node asks for 4 processes, but PyTorch sees 2 GPUs here"),
        (2, ["--device", "cuda:1"], "--device is cuda:1, but --distributed gives every process a GPU of its own"),
        (2, ["--device", "cpu"], "--distributed finds no GPU to train on; give the number of processes on the CPU"),
        (2, ["--device", "cpu", "--nproc_per_node", "4"], 4),
        (3, [], "--num_envs is 512; 3 processes need a multiple of 3"),
        (0, [], "--distributed finds no GPU to train on; give the number of processes on the CPU"),
        (0, ["--nproc_per_node", "2"], 2),
    ],
)
def test_distributed_starts_a_process_for_every_gpu(
    gpus: int,
    flags: list[str],
    expected: int | str,
    started: list[tuple[list[str], int]],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture,
) -> None:
    gpu_machine(monkeypatch, gpus)
    code = train_verb([*GUIDE, "--distributed", *flags, "lift_object"])
    if isinstance(expected, str):
        assert code == 2 and expected in capsys.readouterr().err and not started
        return
    [(arguments, count)] = started
    assert code == 0 and count == expected
    # Each of them reads the same command line and finds the same.
    monkeypatch.setenv("RANK", "0")
    monkeypatch.setenv("WORLD_SIZE", str(count))
    monkeypatch.setenv("LOCAL_WORLD_SIZE", str(count))
    capsys.readouterr()
    started.clear()
    assert train_verb(arguments) == 0
    [run] = started
    assert run.device == ("cuda" if gpus and "cpu" not in flags else "cpu")
    assert f" in {count} processes: " in capsys.readouterr().out.splitlines()[0]


def test_torchruns_processes_need_a_gpu_each(
    started: list[Any], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    gpu_machine(monkeypatch, 1)
    for name in ("WORLD_SIZE", "LOCAL_WORLD_SIZE"):
        monkeypatch.setenv(name, "2")
    monkeypatch.setenv("RANK", "1")
    assert train_verb(["--distributed", "lift_object"]) == 2
    assert "torchrun started 2 processes, but PyTorch sees 1 GPUs here" in capsys.readouterr().err
    assert train_verb(["--distributed", "--device", "cpu", "lift_object"]) == 0
    assert "Training on" not in capsys.readouterr().out, "only the first process speaks"


def test_a_run_that_has_begun_stays_on_its_device(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "params").mkdir()
    env = tmp_path / "params" / "env.yaml"
    env.write_text(yaml.safe_dump({"device": "cpu", "simulator": "mujoco"}))
    gpu_machine(monkeypatch, 1)
    found = choose("auto", "auto", tmp_path)
    assert (found.device, found.simulator, found.why) == ("cpu", "mujoco", f"the run in {tmp_path} began there")
    assert choose("cuda", "auto", tmp_path).device == "cuda"
    env.write_text(yaml.safe_dump({"device": "cuda", "simulator": "mujoco_warp"}))
    assert choose("auto", "auto", tmp_path).device == "cuda"
    gpu_machine(monkeypatch, 0)
    with pytest.raises(UserError, match="began on cuda, but PyTorch sees no GPU here; --device cpu trains without"):
        choose("auto", "auto", tmp_path)
