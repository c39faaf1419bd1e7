"""Every training command in the documentation, as it stands, is one that starts training on a machine with GPUs."""

import re
import shlex
from pathlib import Path

import pytest

from helpers.documentation import commands
from helpers.gpu_machines import gpu_machine
from manyseeds.config.settings import RunConfig
from manyseeds.core.layout import REPOSITORY
from manyseeds.learning import distributed, warm_start
from manyseeds.runs import command

GPUS = 4
PAGES = [
    REPOSITORY / "README.md",
    *sorted((REPOSITORY / "docs").glob("*.md")),
    REPOSITORY / "profiles/slurm/torchrun.sh",
]
LINES = [
    pytest.param(line, id=f"{path.name}: {line[:60]}")
    for path in PAGES
    for line in commands(path)
    if re.search(r"manyseeds train |torchrun\.sh ", line) and "exec srun" not in line
]


def test_the_pages_have_such_commands() -> None:
    found = {str(line.id).split(":")[0] for line in LINES}
    assert found >= {"README.md", "clusters.md", "isaaclab.md", "torchrun.sh"} and len(LINES) >= 7


@pytest.mark.parametrize("line", LINES)
def test_a_documented_command_trains_where_it_says(
    line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    words = shlex.split(line)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "pusher.py").write_text("")
    run = tmp_path / command.LOGS / "2026-01-29_12-30-00"
    run.mkdir(parents=True)
    for name in ("model_2000.pt", "state.pt"):
        (run / name).write_text("")
    monkeypatch.setattr(warm_start, "check", lambda *_: None)
    gpu_machine(monkeypatch, GPUS)
    started: list[RunConfig | int] = []
    monkeypatch.setattr(command, "_train", lambda run, *_: started.append(run) or 0)
    monkeypatch.setattr(distributed, "launch", lambda _, count: started.append(count))
    for name in ("RANK", "WORLD_SIZE", "LOCAL_WORLD_SIZE"):
        monkeypatch.delenv(name, raising=False)
    if words[0] in ("torchrun", "sbatch"):  # which start the command in as many processes as they are told
        nodes = int(words[words.index("--nodes") + 1]) if "--nodes" in words else 1
        number = {"torchrun": "--nproc_per_node", "sbatch": "--gpus-per-node"}[words[0]]
        local = int(words[words.index(number) + 1])
        assert local <= GPUS
        for name, value in (("RANK", 0), ("WORLD_SIZE", nodes * local), ("LOCAL_WORLD_SIZE", local)):
            monkeypatch.setenv(name, str(value))
    marker = next(i for i, word in enumerate(words) if word == "train" or word.endswith("torchrun.sh"))
    flags = words[marker + 1 :] + (["--distributed"] if words[0] == "sbatch" else [])
    assert command.main(flags) == 0, capsys.readouterr().err
    [found] = started
    if isinstance(found, int):
        assert found == GPUS
    else:
        assert found.device == "cuda" and found.simulator in ("mujoco_warp", "isaaclab")
