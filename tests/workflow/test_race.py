"""A race through the whole workflow: three variants, two seeds, two rungs, and a kill on the way."""

import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml

from helpers.documentation import commands
from helpers.verbs import verb
from helpers.workflows import planned, snakemake
from manyseeds.audit.verify import verify
from manyseeds.config import resolve
from manyseeds.core.layout import REPOSITORY
from manyseeds.core.race import Stop, read_decision
from manyseeds.evaluation.evaluate import evaluate_run

PAGE = REPOSITORY / "docs" / "racing.md"
SHOWN, WINNER = map(yaml.safe_load, re.findall(r"^```yaml\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL))
SMALL = {
    "train": SHOWN["train"] | {"num_envs": 8, "max_iterations": 3, "save_interval": 1, "threads": 1},
    "race": SHOWN["race"] | {"rungs": [1, 2], "episodes": 8},
    "evaluate": {"episodes": 8},
}
TARGETS = ("tables", "draw")
"""All but the films, which take most of the time."""
CONFIGFILE = ("--configfile", "race.yaml")


@pytest.fixture(scope="module")
def raced(tmp_path_factory) -> Path:
    """A folder in which the page's commands ran, and the second one was killed during the race and started again."""
    folder = tmp_path_factory.mktemp("race")
    (folder / "race.yaml").write_text(yaml.safe_dump(SHOWN | SMALL))
    dry, run, race, *others = commands(PAGE)
    assert dry == f"{run} --dry-run" and not others
    arguments = shlex.split(run.replace("--cores all", ""))[1:]
    (folder / "dry.txt").write_text(snakemake(folder, *arguments, "--dry-run").stdout)
    command = [sys.executable, "-m", "snakemake", "--snakefile", str(REPOSITORY / "Snakefile"), "--cores", "2"]
    command += [*TARGETS, *arguments]
    with (folder / "first.txt").open("w") as log:
        first = subprocess.Popen(command, cwd=folder, stdout=log, stderr=log, start_new_session=True)
        while first.poll() is None and not any(folder.glob("results/*/*/*/rung_1.json")):
            time.sleep(0.05)
        assert first.poll() is None, (folder / "first.txt").read_text()
        os.killpg(first.pid, signal.SIGKILL)
        first.wait()
    result = snakemake(folder, *TARGETS, *arguments)
    assert result.returncode == 0, result.stdout
    decided = (folder / "results" / "race" / "race_1.json").read_bytes()
    by_hand = [sys.executable, "-m", "manyseeds", *shlex.split(race.replace("--rung 10", "--rung 1"))[1:]]
    done = subprocess.run(by_hand, cwd=folder, capture_output=True, text=True, check=True)
    assert "1  " in done.stdout and (folder / "results" / "race" / "race_1.json").read_bytes() == decided
    return folder


def decisions(folder: Path):
    return [read_decision(folder / "results" / "race" / f"race_{rung}.json") for rung in (1, 2)]


def test_a_dry_run_shows_what_there_is_to_do_at_most(raced):
    shown = dict(re.findall(r"^(\w+) +(\d+)$", (raced / "dry.txt").read_text(), re.MULTILINE))
    wanted = {"race_run": "12", "race": "2", "train_run": "6", "evaluate_run": "6"}
    assert {rule: shown[rule] for rule in wanted} == wanted


def test_the_worst_stops_at_each_rung_and_the_last_one_left_trains_to_its_end(raced):
    first, second = decisions(raced)
    assert [standing.place for standing in first.standings] == [1, 2, 3]
    last, *_ = (one.variant for one in first.standings if one.stopped)
    loser, *_ = (one.variant for one in second.standings if one.stopped)
    winner = second.standings[0].variant
    assert second.stopped == {last: Stop(1, 3, 3), loser: Stop(2, 2, 2)}
    ends = {last: 1, loser: 2, winner: 3}
    results = raced / "results" / "race"
    for variant, end in ends.items():
        for seed in (1, 2):
            run = results / variant / f"seed_{seed}"
            assert sorted(path.name for path in run.glob("model_*.pt")) == [f"model_{n + 1}.pt" for n in range(end)]
            record = json.loads((run / "run.json").read_text())
            assert record["config"]["train"]["max_iterations"] == end
            assert record.get("race") == (second.stopped[variant].words() if variant in second.stopped else None)
    table = (results / "success_rates.md").read_text()
    assert f"{last} (stopped at 1)" in table and f"{loser} stopped at rung 2, as 2nd of 2" in table
    assert verify(results).problems == ()


def test_the_runs_and_their_scores_are_those_of_trainings_that_nothing_disturbed(raced, tmp_path):
    """Neither the kill nor the stops at the rungs changed a byte, and the scores are of the race's own episodes."""
    second = decisions(raced)[1]
    winner = second.standings[0].variant
    run = raced / "results" / "race" / winner / "seed_2"
    plan = json.loads((run / "run_config.json").read_text())
    plan["log_dir"] = str(tmp_path / "alone")
    plan["launched"] = None
    (tmp_path / "run.json").write_text(json.dumps(plan))
    assert verb("train")(["--run", str(tmp_path / "run.json")]) == 0
    for name in ("model_1.pt", "model_2.pt", "model_3.pt"):
        assert (run / name).read_bytes() == (tmp_path / "alone" / name).read_bytes()
    [played] = evaluate_run(tmp_path / "alone", episodes=8, seed=20270101, only=2)
    assert second.standings[0].seeds["2"] == pytest.approx(float(played.total_reward.mean()))


def test_what_is_decided_stays_and_what_decides_is_watched(raced, tmp_path, monkeypatch, capsys):
    assert planned(raced, *TARGETS, *CONFIGFILE) == set()
    # With more to keep, the rungs are decided again, and whoever depends on that asks what to do.
    assert {"race", "race_run", "train_run"} <= planned(raced, *CONFIGFILE, "--config", "race={keep: 0.9}")
    copy = shutil.copytree(raced, tmp_path / "copy")
    score = copy / "results" / "race" / "small_steps" / "seed_1" / "rung_1.json"
    score.write_text(score.read_text().replace("played", "played "))
    dry = snakemake(copy, *CONFIGFILE, "--dry-run", "--", "train")
    assert "rung_1.json is not the file that `manyseeds rung` left; it is made again" in dry.stdout
    monkeypatch.chdir(copy)
    run = ["--config", "results/race/config.json", "--variant", "small_steps", "--seed", "1", "--threads", "1"]
    assert verb("rung")([*run, "--rung", "1"]) == 0
    assert score.read_bytes() == (raced / score.relative_to(copy)).read_bytes()
    assert "Continuing" not in capsys.readouterr().err, "a run that is long enough is only played again"


def test_the_winner_may_be_trained_with_fresh_seeds_as_the_page_says():
    alone = {key: value for key, value in SHOWN.items() if key not in ("race", "variants")}
    assert resolve(alone | WINNER).development.seeds == tuple(SHOWN["seeds"])
