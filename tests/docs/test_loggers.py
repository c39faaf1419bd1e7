"""docs/loggers.md: every command of the page, with a server of Weights & Biases and an MLflow."""

import re
import shlex
import sys

from helpers.documentation import commands
from helpers.foreign_logs import franka_lift
from helpers.wandb_server import wandb_server
from manyseeds import cli
from manyseeds.core.layout import REPOSITORY

PAGE = REPOSITORY / "docs" / "loggers.md"


def test_every_command_works(tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.setenv("WANDB_ERROR_REPORTING", "false")
    franka_lift(tmp_path / "results" / "lift_object")
    install, train, later, told = commands(PAGE)
    assert install == "pip install 'manyseeds[loggers]'"
    with wandb_server(monkeypatch) as runs:
        monkeypatch.setenv("WANDB_MODE", "offline")
        assert cli.main(shlex.split(train)[1:]) == 0
        monkeypatch.delenv("WANDB_MODE")
        assert not runs and (tmp_path / "mlflow.db").is_file()
        assert cli.main(shlex.split(later)[1:]) == 0
        [run] = runs.values()
        assert run.steps == list(range(1, 21)) and run.names[0] == "generic_experiment"
        said = capfd.readouterr().out
        for line in re.findall(r"```text\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)[0].splitlines():
            shown = re.escape(line).replace(r"\.\.\.", ".*").replace("https://wandb", "http.*").replace(r"\.ai", "")
            assert re.search(shown, said), line
        one = next(path for path in (tmp_path / "results" / "lift_object").iterdir() if any(path.glob("*tfevents*")))
        assert cli.main(shlex.split(told.replace("results/lift_object", str(one)))[1:]) == 0
        assert len(runs) == 2
        sys.modules["wandb"].teardown()
