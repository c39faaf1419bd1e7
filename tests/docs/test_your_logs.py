"""docs/your-logs.md: every command of the page, on logs as the programs leave them."""

import re
import shlex
from pathlib import Path

import pytest

from helpers import foreign_logs
from helpers.documentation import commands
from manyseeds import cli
from manyseeds.core.layout import REPOSITORY

PAGE = REPOSITORY / "docs" / "your-logs.md"


@pytest.fixture
def logs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    foreign_logs.franka_lift(Path("logs/rsl_rl/franka_lift"))
    foreign_logs.legged_gym(Path("logs/rough_anymal_c"))
    foreign_logs.zoo(Path("logs/zoo"))
    for seed in (1, 2):
        foreign_logs.progress(Path(f"logs/sb3/sac_{seed}"), seed)
        foreign_logs.history(Path(f"wandb/ppo_s{seed}.csv"), seed)
    foreign_logs.chart(Path("charts/reward.csv"), (1, 2))
    foreign_logs.chart(Path("charts/success.csv"), (1, 2), tag="Metrics/success_rate")
    return tmp_path


def test_every_command_works(logs: Path, capsys: pytest.CaptureFixture) -> None:
    lines = commands(PAGE)
    assert len(lines) >= 9 and all(line.startswith("manyseeds ") for line in lines)
    said = {}
    for line in lines:
        assert cli.main(shlex.split(line)[1:]) == 0, capsys.readouterr().err
        said[line] = capsys.readouterr().out
    [block] = re.findall(r"```text\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    for shown in (row for row in block.splitlines() if row != "..."):
        assert shown in said[lines[0]]
    results = Path("results/franka_lift")
    made = {path.name for path in results.iterdir()}
    assert {"report.html", "curves.html", "success_rates.tex", "config.json"} <= made
    assert (results / "ppo_sym/seed_2/params/agent.yaml").is_file() and (results / "ppo_sym/seed_2/git").is_dir()
    assert Path("paper/learning_curves.pdf").is_file()
