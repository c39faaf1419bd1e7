"""A published copy of an experiment: small, and good for the same tables and figures."""

import json
import subprocess

import pandas as pd
import pytest

from helpers.synthetic_results import NUM_ENVS, make_results
from helpers.verbs import verb
from manyseeds.analysis.results import find_results
from manyseeds.audit.publish import publish
from manyseeds.audit.verify import verify
from manyseeds.core.layout import REPOSITORY
from manyseeds.report.tables.write import write_tables

main = verb("publish")


TABLES = ("success_rates", "success_rates_over_seeds", "success_rates_compared")


@pytest.fixture
def original(tmp_path):
    """Two variants of two seeds, with a checkpoint that is an output and an event file that is none here."""
    folder = make_results(tmp_path / "original", ("base", "other"), seeds=(1, 2), iterations=30, save_interval=10)
    config = json.loads((folder / "config.json").read_text())
    config["variants"] = {
        name: {"train": {"num_envs": NUM_ENVS}, "agent": {"num_steps_per_env": 24}} for name in config["variants"]
    }
    (folder / "config.json").write_text(json.dumps(config))
    for run in folder.glob("*/seed_*"):
        (run / "model_30.pt").write_bytes(b"policy")
        outputs = {"model_30.pt": "1d2eb7d6ef7bd1d3cb6b6aa7a9e9a44d"}
        (run / "run.json").write_text(json.dumps({"ended": "2026-01-01", "outputs": outputs}))
    return folder


def test_the_copy_has_the_last_episodes_sums_of_the_others_and_the_chosen_policies(original, tmp_path):
    copy = tmp_path / "copy"
    assert main([str(original), "--output", str(copy), "--policies", "2"]) == 0
    assert sorted(path.parent.name for path in copy.rglob("*.pt")) == ["seed_2", "seed_2"]
    whole = (original / "base" / "seed_1" / "episodes.csv").read_text().splitlines()
    cut = (copy / "base" / "seed_1" / "episodes.csv").read_text().splitlines()
    assert cut == [whole[0], *(line for line in whole if line.startswith("30,"))]
    sums = pd.read_csv(copy / "base" / "seed_1" / "checkpoints.csv")
    assert sums["iteration"].tolist() == [10, 20] and sums["episodes"].tolist() == [50, 50]


def test_tables_of_the_copy_have_the_same_numbers(original, tmp_path):
    publish(find_results(original)[0], tmp_path / "copy", ())
    for folder in (original, tmp_path / "copy"):
        write_tables(find_results(folder)[0])
    for name in TABLES:
        assert (tmp_path / "copy" / f"{name}.csv").read_bytes() == (original / f"{name}.csv").read_bytes()


@pytest.mark.parametrize("every", [7, 10])
def test_scalars_can_be_thinned_and_the_last_iteration_stays(original, tmp_path, every):
    copy = tmp_path / "copy"
    assert main([str(original), "--output", str(copy), "--every", str(every)]) == 0
    whole = (original / "base" / "seed_1" / "scalars.csv").read_text().splitlines()
    thin = (copy / "base" / "seed_1" / "scalars.csv").read_text().splitlines()
    assert thin == [whole[row] for row in sorted({0, 30, *range(0, 31, every)})]


def test_an_impossible_thinning_is_refused(original, tmp_path, capsys):
    assert main([str(original), "--output", str(tmp_path / "copy"), "--every", "0"]) == 2
    assert "--every is 0; it must be at least 1" in capsys.readouterr().err
    assert not (tmp_path / "copy").exists()


@pytest.mark.parametrize("name", ["episodes.csv", "checkpoints.csv", "scalars.csv"])
def test_verify_finds_a_changed_copy(original, tmp_path, name):
    copy = tmp_path / "copy"
    publish(find_results(original)[0], copy, (), every=5)
    assert verify(copy).problems == ()
    path = copy / "other" / "seed_2" / name
    path.write_text(path.read_text().replace("1", "2", 1))
    assert verify(copy).problems == (f"{path} is not the file that was published",)


def test_a_file_that_cannot_be_read_leaves_no_half_copy(original, tmp_path):
    (original / "other" / "seed_2" / "episodes.csv").write_text("no table")
    before = sorted(tmp_path.iterdir())
    assert main([str(original), "--output", str(tmp_path / "copy")]) == 2
    assert sorted(tmp_path.iterdir()) == before


def test_nothing_is_overwritten(original, tmp_path, capsys):
    (tmp_path / "copy").mkdir()
    assert main([str(original), "--output", str(tmp_path / "copy")]) == 2
    assert "exists; remove it first" in capsys.readouterr().err


def test_what_the_repository_ships_is_small():
    listed = subprocess.run(
        ["git", "ls-files", "-z", "results/published"], cwd=REPOSITORY, capture_output=True, text=True, check=True
    )
    paths = [REPOSITORY / name for name in listed.stdout.split("\0") if name]
    assert sum(path.stat().st_size for path in paths if path.is_file()) < 8_000_000
    assert not [path for path in paths if path.suffix == ".html"]
    for task in (REPOSITORY / "results" / "published").iterdir():
        assert len([path for path in paths if path.suffix == ".pt" and path.is_relative_to(task)]) <= 2
