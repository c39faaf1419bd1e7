"""Evaluation under factors: the same episodes with the last checkpoint, one number of the task changed at a time."""

import dataclasses
import json
import os
import re
import shlex

import pytest
import torch
import yaml

from helpers.csv_files import rows
from helpers.documentation import commands
from helpers.training_runs import train
from helpers.verbs import verb
from manyseeds.config import resolve
from manyseeds.config.conditions import conditions
from manyseeds.core.layout import REPOSITORY
from manyseeds.core.manifest import problems, read_manifest
from manyseeds.core.record import recorded_checkpoints
from manyseeds.core.simulators import SIMULATORS
from manyseeds.evaluation import evaluate as evaluate_module
from manyseeds.evaluation.evaluate import evaluate_run, make_evaluation_env
from manyseeds.evaluation.factors import evaluate_factors

evaluate, main = verb("evaluate"), verb("evaluate-factors")
PAGE = REPOSITORY / "docs" / "robustness.md"
FACTORS = {
    "success_angle": [0.2, 10.0],
    "pole_angle": [[-0.01, 0.01]],
    "pole_mass_scale": [[0.5, 2.0]],
    "action_delay": [[2, 2]],
}
LEVELS = ["success_angle = 0.2", "success_angle = 10", "pole_angle = -0.01 to 0.01", "pole_mass_scale = 0.5 to 2"]
NAMES = ["nominal", *LEVELS, "action_delay = 2", "all"]


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("factors") / "run"
    # With such a rail and such an angle, the untrained policy succeeds now and then.
    numbers = {"cart_range": 100.0, "success_angle": 2.0}
    assert train(folder, task="cart_pole", max_iterations=4, num_envs=4, task_cfg=numbers) == 0
    return folder


def play(run, output, *arguments, factors=FACTORS):
    flags = ["--run_dir", str(run), "--output", str(output), "--seed", "7", "--episodes", "12"]
    assert main([*flags, "--factors", json.dumps(factors), *arguments]) == 0
    return output.read_bytes()


@pytest.fixture(scope="module")
def table(run, tmp_path_factory):
    output = tmp_path_factory.mktemp("table") / "factors.csv"
    play(run, output, "--threads", "1")
    return output


def test_each_level_has_a_row_then_all_last_levels_together(table):
    content = rows(table)
    assert [row["condition"] for row in content] == NAMES
    assert [(row["factor"], row["value"]) for row in content] == [
        ("", ""),
        ("success_angle", "0.2"),
        ("success_angle", "10.0"),
        ("pole_angle", "[-0.01, 0.01]"),
        ("pole_mass_scale", "[0.5, 2.0]"),
        ("action_delay", "[2, 2]"),
        ("", ""),
    ]
    assert {(row["iteration"], row["episodes"]) for row in content} == {("4", "12")}


def test_the_nominal_row_sums_up_what_the_evaluation_wrote_of_the_last_checkpoint(run, table, tmp_path):
    flags = ["--run_dir", str(run), "--output", str(tmp_path / "episodes.csv"), "--seed", "7", "--episodes", "12"]
    assert evaluate(flags) == 0
    last, nominal = [row for row in rows(tmp_path / "episodes.csv") if row["iteration"] == "4"], rows(table)[0]
    assert 0 < int(nominal["balanced"]) < 12
    for share in ("balanced", "left"):
        assert int(nominal[share]) == sum(int(row[share]) for row in last)
    for measure in ("settled_s", "final_angle"):
        numbers = [float(row[measure]) for row in last if row[measure]]
        assert int(nominal[f"{measure}_episodes"]) == len(numbers)
        assert float(nominal[f"{measure}_mean"]) == pytest.approx(sum(numbers) / len(numbers), abs=1e-6)
    assert float(nominal["return_mean"]) == pytest.approx(sum(float(row["return"]) for row in last) / 12, abs=1e-6)


def test_every_condition_has_the_same_starts_but_for_what_it_changes(run):
    found = {condition.name: result for condition, result in evaluate_factors(run, FACTORS, episodes=5, seed=7)}
    for name in (*NAMES[1:3], *NAMES[4:6]):
        for column, numbers in found["nominal"].starts.items():
            assert torch.equal(found[name].starts[column], numbers)
    # The random draws are the same: a range a hundredth as wide makes angles a hundredth as large.
    narrow, wide = (found[name].starts["pole_angle"] for name in ("all", "nominal"))
    torch.testing.assert_close(narrow / 0.01, wide / (torch.pi / 4))


def test_all_is_what_the_last_levels_give_together(run, table):
    numbers = {factor: levels[-1] for factor, levels in FACTORS.items()}
    [result] = evaluate_run(run, episodes=12, seed=7, overrides=numbers, only=4)
    assert float(rows(table)[-1]["final_angle_mean"]) == pytest.approx(result.outcomes["final_angle"].mean().item())
    assert len({row["final_angle_mean"] for row in rows(table)}) == 5, "all but success_angle change what happens"


def test_a_level_replaces_the_number_of_the_overrides(run, tmp_path):
    overrides = ["--overrides", json.dumps({"success_angle": 10.0})]
    play(run, tmp_path / "factors.csv", *overrides, factors={"success_angle": [1e-9]})
    nominal, changed = rows(tmp_path / "factors.csv")
    assert nominal["balanced"] == "12" and changed["balanced"] == "0"
    assert changed["settled_s_mean"] == "" and changed["settled_s_episodes"] == "0"


def test_threads_change_no_byte(run, table, tmp_path):
    assert play(run, tmp_path / "factors.csv", "--threads", "2") == table.read_bytes()


def test_where_a_process_holds_one_simulation_only_each_condition_gets_one(run, tmp_path, monkeypatch):
    factors = {"success_angle": [10.0]}
    together = play(run, tmp_path / "together.csv", factors=factors)
    row = dataclasses.replace(SIMULATORS["mujoco"], one_a_process=True)
    monkeypatch.setitem(SIMULATORS, "mujoco", row)
    # In this process there is none.
    monkeypatch.setattr(evaluate_module, "make_evaluation_env", in_another_process(os.getpid()))
    assert play(run, tmp_path / "apart.csv", factors=factors) == together


def in_another_process(pid):
    def make(*arguments, **options):
        assert os.getpid() != pid
        return make_evaluation_env(*arguments, **options)

    return make


def test_its_manifest_vouches_for_the_table(run, table):
    path = table.with_name("factors.manifest.json")
    content = read_manifest(path)
    assert problems(path) == [] and content["settings"]["factors"] == FACTORS
    assert "evaluation/factors.py" in content["made_by"]["files"]
    [checkpoint] = [name for name in content["inputs"] if name.endswith(".pt")]
    assert checkpoint.endswith(recorded_checkpoints(run)[4].name)


def test_the_command_of_the_page_works_and_its_config_names_the_conditions(run, tmp_path, capsys):
    [command] = [line for line in commands(PAGE) if line.startswith("manyseeds evaluate-factors ")]
    words = shlex.split(command)[2:]
    for flag, value in (("--run_dir", run), ("--output", tmp_path / "factors.csv"), ("--episodes", 3)):
        words[words.index(flag) + 1] = str(value)
    assert main(words) == 0
    shown = yaml.safe_load(re.findall(r"^```yaml\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL)[0])
    experiment = resolve(shown)
    assert words[words.index("--seed") + 1] == str(experiment.evaluate.seed)
    said, played = capsys.readouterr().out, conditions(json.loads(words[words.index("--factors") + 1]))
    for place, condition in enumerate(played, 1):
        assert f"[{place}/{len(played)}] {condition.name}: " in said
    named = [condition.name for condition in conditions(experiment.evaluate.factors)]
    assert {condition.name for condition in played} <= set(named)
    assert [name for name in named if f"`{name}`" not in PAGE.read_text()] == []


@pytest.mark.parametrize(
    ("factors", "words"),
    [
        ("{", "--factors is not valid JSON"),
        ("{}", "--factors is {}; it must name at least one number of the task"),
        (
            '{"success_angle": 0.2}',
            "--factors.success_angle is 0.2; it must be a list of at least one value, each once",
        ),
        ('{"success_angle": []}', "--factors.success_angle is []; it must be a list of at least one value"),
        ('{"success_angle": [1, 1]}', "--factors.success_angle has 1 more than once"),
        ('{"sucess_angle": [1]}', "unknown key 'sucess_angle' (did you mean success_angle?)"),
        ('{"success_angle": [1, -1]}', "success_angle = -1: 'success_angle' is -1.0; it must be greater than 0"),
        ('{"pole_angle": [0.1, 0.2]}', "pole_angle = 0.1: 'pole_angle' is 0.1; it must be a list of 2 numbers"),
    ],
)
def test_bad_factors_are_one_sentence_before_anything_is_played(run, tmp_path, capsys, factors, words):
    assert main(["--run_dir", str(run), "--output", str(tmp_path / "f.csv"), "--factors", factors]) == 2
    said = capsys.readouterr()
    assert said.err.startswith("error: ") and words in said.err and said.err.count("\n") == 1
    assert not said.out and not (tmp_path / "f.csv").exists()
