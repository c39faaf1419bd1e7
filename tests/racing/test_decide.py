"""A rung is decided from the scores of all runs, whatever the order, and by nothing else."""

import json
import os
import random

import pytest

from helpers.verbs import verb
from manyseeds.config import resolve
from manyseeds.core.errors import UserError
from manyseeds.core.layout import decision_name, score_name
from manyseeds.core.manifest import write_manifest
from manyseeds.core.race import Stop, read_decision
from manyseeds.racing.decide import decide
from manyseeds.racing.score import Score

FIELDS = {
    "experiment": "tiny",
    "seeds": [1, 2],
    "train": {"num_envs": 8, "max_iterations": 3, "save_interval": 1},
    "agent": "generic_policy.json",
    "variants": {"low": {}, "middle": {}, "high": {}},
    "race": {"rungs": [1, 2], "episodes": 10, "seed": 5},
}
PLAYED = {"episodes": 10, "seed": 5, "overrides": {}}
RATES = {"low": (0.1, 0.3), "middle": (0.5, 0.4), "high": (0.9, 0.8)}


def write_score(folder, variant, seed, rung, rate, end="played"):
    run = folder / variant / f"seed_{seed}"
    run.mkdir(parents=True, exist_ok=True)
    outcomes = {"reached": rate, "return": -100 * rate} if end == "played" else {}
    path = run / score_name(rung)
    path.write_text(json.dumps(Score(rung, end, PLAYED, outcomes).to_dict()))
    write_manifest(run, "rung", [path], [], path.stem)
    return path


def write_scores(folder, rung, rates=RATES):
    runs = [(variant, seed, rate) for variant, own in rates.items() for seed, rate in enumerate(own, start=1)]
    random.shuffle(runs)
    for variant, seed, rate in runs:
        write_score(folder, variant, seed, rung, rate)


def experiment(**race):
    return resolve(FIELDS | {"race": FIELDS["race"] | race})


def test_halving_stops_the_worst_at_each_rung_and_remembers_the_rungs_before(tmp_path):
    write_scores(tmp_path, 1)
    first = decide(experiment(), tmp_path, 1)
    assert [(one.variant, one.place, one.stopped) for one in first.standings] == [
        ("high", 1, False),
        ("middle", 2, False),
        ("low", 3, True),
    ]
    assert first.standings[0].score == pytest.approx(0.85)
    assert first.standings[0].seeds == {"1": 0.9, "2": 0.8}
    write_score(tmp_path, "low", 1, 2, 0.0, "stopped")
    write_scores(tmp_path, 2, {"middle": (0.9, 0.9), "high": (0.1, 0.2)})
    second = decide(experiment(), tmp_path, 2)
    assert second.stopped == {"low": Stop(1, 3, 3), "high": Stop(2, 2, 2)}
    assert read_decision(tmp_path / decision_name(2)) == second


def test_the_decision_has_the_same_bytes_in_whatever_order_the_runs_ended(tmp_path):
    written = []
    for place in ("a", "b"):
        write_scores(tmp_path / place, 1)
        decide(experiment(), tmp_path / place, 1)
        written.append([(tmp_path / place / name).read_bytes() for name in ("race_1.json", "race_1.manifest.json")])
    assert written[0] == written[1]


def test_deciding_again_leaves_the_file_as_old_as_it_is(tmp_path):
    write_scores(tmp_path, 1)
    decide(experiment(), tmp_path, 1)
    path = tmp_path / decision_name(1)
    os.utime(path, (1, 1))
    decide(experiment(), tmp_path, 1)
    assert path.stat().st_mtime == 1
    decide(experiment(keep=0.1), tmp_path, 1)
    assert path.stat().st_mtime > 1


def test_another_outcome_may_decide_and_a_test_needs_more_than_two_seeds_for_this(tmp_path):
    write_scores(tmp_path, 1)
    assert set(decide(experiment(by="return"), tmp_path, 1).stopped) == {"high"}
    assert decide(experiment(stop="test"), tmp_path, 1).stopped == {}
    alike = {"low": (0.2, 0.2), "middle": (0.2, 0.2), "high": (0.2, 0.2)}
    write_scores(tmp_path, 1, alike)
    assert decide(experiment(), tmp_path, 1).stopped == {}, "variants that tie go on"


def test_a_variant_of_which_a_run_diverged_is_stopped_behind_all_others(tmp_path):
    write_scores(tmp_path, 1)
    write_score(tmp_path, "high", 2, 1, 0.0, "diverged")
    decision = decide(experiment(keep=0.9), tmp_path, 1)
    assert decision.stopped == {"high": Stop(1, 3, 3)}
    assert decision.standings[-1].score is None and decision.standings[-1].seeds == {"1": 0.9, "2": None}


def test_a_score_that_is_missing_edited_or_of_another_race_decides_nothing(tmp_path):
    write_scores(tmp_path, 1)
    with pytest.raises(UserError, match=r"rung_1\.json belongs to another race than the config's"):
        decide(experiment(episodes=11), tmp_path, 1)
    with pytest.raises(UserError, match=r"race_1\.json is missing"):
        decide(experiment(), tmp_path, 2)
    path = tmp_path / "low" / "seed_1" / score_name(1)
    text = path.read_text()
    path.write_text(text.replace("0.1", "1.0"))
    with pytest.raises(UserError, match=r"rung_1\.json is not the file that `manyseeds rung` left"):
        decide(experiment(), tmp_path, 1)
    path.unlink()
    with pytest.raises(UserError, match=r"low/seed_1/rung_1\.json is missing: the run is not at rung 1 yet"):
        decide(experiment(), tmp_path, 1)


def test_the_verb_prints_the_standings_and_refuses_what_is_no_rung(tmp_path, capsys):
    (tmp_path / "config.json").write_text(experiment().to_json())
    write_scores(tmp_path, 1)
    race = verb("race")
    assert race(["--config", str(tmp_path / "config.json"), "--rung", "1"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[1].split() == ["1", "high", "0.85", "1:", "0.9,", "2:", "0.8", "goes", "on"]
    assert lines[3].split() == ["3", "low", "0.2", "1:", "0.1,", "2:", "0.3", "stopped", "at", "rung", "1"]
    assert race(["--config", str(tmp_path / "config.json"), "--rung", "3"]) == 2
    assert "--rung is 3; it must be 1 or 2" in capsys.readouterr().err
    (tmp_path / "config.json").write_text(resolve(FIELDS | {"race": None}).to_json())
    assert race(["--config", str(tmp_path / "config.json"), "--rung", "1"]) == 2
    assert "experiment tiny has no race" in capsys.readouterr().err
