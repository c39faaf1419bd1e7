"""A run at a rung whose training does not get there."""

import json
from pathlib import Path

import pytest

from helpers.verbs import verb
from manyseeds.config import resolve
from manyseeds.core.race import Stop
from manyseeds.racing.decide import decide

SIZES = {"policy.actor_hidden_dims": [8], "policy.critic_hidden_dims": [8]}


def fields(**algorithm: object) -> dict:
    """An experiment of two variants, one of which has other values of the algorithm."""
    changes = {f"algorithm.{name}": value for name, value in algorithm.items()}
    return {
        "experiment": "tiny",
        "task": "cart_pole",
        "seeds": [1],
        "train": {"num_envs": 8, "max_iterations": 3, "save_interval": 1, "threads": 1},
        "agent": {"file": "generic_policy.json", "overrides": SIZES},
        "variants": {"tame": {}, "wild": {"agent": {"overrides": changes}}},
        "race": {"rungs": [2], "by": "return", "episodes": 4},
    }


def rung(folder: Path, variant: str, config: dict) -> int:
    (folder / "config.json").write_text(resolve(config).to_json())
    run = ["--config", str(folder / "config.json"), "--variant", variant, "--seed", "1", "--threads", "1"]
    return verb("rung")([*run, "--rung", "2"])


def score(folder: Path, variant: str) -> dict:
    return json.loads((folder / variant / "seed_1" / "rung_2.json").read_text())


def test_a_run_that_diverges_before_a_rung_is_beaten_there_and_holds_nobody_up(tmp_path, capfd):
    config = fields(learning_rate=1e30)
    assert rung(tmp_path, "wild", config) == 0
    assert capfd.readouterr().out.splitlines()[-1] == "wild/seed_1: diverged before rung 2"
    assert (score(tmp_path, "wild")["end"], score(tmp_path, "wild")["outcomes"]) == ("diverged", {})
    assert rung(tmp_path, "tame", config) == 0
    assert score(tmp_path, "tame")["end"] == "played" and score(tmp_path, "tame")["outcomes"]["return"] < 0
    decision = decide(resolve(config), tmp_path, 2)
    assert decision.stopped == {"wild": Stop(2, 2, 2)} and decision.standings[1].score is None


@pytest.mark.parametrize("value", ["fast"])
def test_a_run_that_fails_otherwise_fails_its_job_and_has_no_score(tmp_path, capfd, value):
    assert rung(tmp_path, "wild", fields(learning_rate=value)) != 0
    assert "error: wild/seed_1: training ended with exit code" in capfd.readouterr().err
    assert not (tmp_path / "wild" / "seed_1" / "rung_2.json").exists()
