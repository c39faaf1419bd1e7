"""The first iterations of a recorded run are trained again: identical, or the first difference is named."""

import json
import re
import shutil

import pytest
import torch

from helpers.verbs import verb
from manyseeds.cli import main as manyseeds
from manyseeds.config import resolve
from manyseeds.core.errors import UserError
from manyseeds.core.files import sha256
from manyseeds.core.layout import EVENT_FILE
from manyseeds.launch import run as trainer
from manyseeds.tasks.code import check_task

main = verb("verify")


FIELDS = {
    "experiment": "tiny",
    "seeds": [1],
    "train": {"num_envs": 8, "max_iterations": 4, "save_interval": 2, "state_interval": 1},
    "agent": {
        "file": "generic_policy.json",
        "overrides": {
            "policy.actor_hidden_dims": [16],
            "policy.critic_hidden_dims": [16],
            "algorithm.class_name": "manyseeds.learning.ppo:PPO",
            "algorithm.ema_decay": 0.5,
        },
    },
}


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """An experiment's folder with one finished run."""
    folder = tmp_path_factory.mktemp("trained") / "tiny"
    folder.mkdir()
    (folder / "config.json").write_text(resolve(FIELDS).to_json())
    assert trainer.main(["--config", str(folder / "config.json"), "--seed", "1", "--threads", "1"]) == 0
    return folder


@pytest.fixture
def run(trained, tmp_path):
    """A copy of the run's folder."""
    return shutil.copytree(trained / "default" / "seed_1", tmp_path / "tiny" / "default" / "seed_1")


def change(run, **fields):
    record = json.loads((run / "run.json").read_text())
    for dotted, value in fields.items():
        *parents, last = dotted.split("__")
        place = record
        for parent in parents:
            place = place[parent]
        place[last] = value
    (run / "run.json").write_text(json.dumps(record))


def test_a_run_is_repeated_to_the_bit_with_its_checkpoint(run, capsys):
    assert main([str(run), "--repeat", "3", "--threads", "2"]) == 0
    printed = capsys.readouterr().out
    assert "the first 3 iterations are identical: " in printed and "the parameters in model_2.pt" in printed
    assert not re.search("note: .* was .* and is ", printed)


def test_another_learning_rate_than_recorded_is_found_with_tag_iteration_and_values(run, capsys):
    change(run, config__agent__algorithm__learning_rate=0.5, config__agent__algorithm__schedule="fixed")
    assert main([str(run), "--repeat", "1"]) == 1
    printed = capsys.readouterr().out
    assert re.search(
        r"the first difference: Loss/\w+ of iteration 1 was -?\d\S* and is -?\d\S*$", printed, re.MULTILINE
    )


@pytest.mark.parametrize("part", ["actor_state_dict", "learning_actor_state_dict", "critic_state_dict"])
def test_a_difference_in_the_parameters_alone_is_found(run, capsys, part):
    checkpoint = torch.load(run / "model_2.pt", weights_only=True)
    checkpoint[part]["mlp.0.weight"][0, 0] += 0.25
    torch.save(checkpoint, run / "model_2.pt")
    change(run, outputs=json.loads((run / "run.json").read_text())["outputs"] | {
        "model_2.pt": sha256(run / "model_2.pt")
    })  # fmt: skip
    assert main([str(run), "--repeat", "2"]) == 1
    printed = capsys.readouterr().out
    assert f"the first difference: model_2.pt: {part}.mlp.0.weight differs by up to 0.25" in printed


def test_without_an_event_file_the_table_made_of_it_is_compared(run, capsys):
    assert manyseeds(["scalars", str(run), "--output", str(run / "scalars.csv")]) == 0
    (run / EVENT_FILE).unlink()
    assert main(["--declare-not-shipped", str(run)]) == 0
    assert main([str(run), "--repeat", "2"]) == 0
    text = (run / "scalars.csv").read_text()
    header, first, *rest = text.splitlines()
    column = header.split(",").index('"Loss/entropy"')
    cells = first.split(",")
    cells[column] = "7.5"
    (run / "scalars.csv").write_text("\n".join([header, ",".join(cells), *rest, ""]))
    assert main([str(run), "--repeat", "2"]) == 1
    assert "Loss/entropy of iteration 1 was 7.5 and is " in capsys.readouterr().out


def test_other_code_packages_and_machine_than_recorded_are_noted(run, capsys):
    change(run, code={"version": "0.1.0", "commit": "cafe", "dirty": True}, packages__torch="1.0", hardware__cpu="Z80")
    assert main([str(run), "--repeat", "1"]) == 0
    printed = capsys.readouterr().out
    for note in ("the code was cafe with changes", "torch was 1.0", "the processor was Z80"):
        assert note in printed
    kept = "code.diff has those of src" if (run / "code.diff").is_file() else "which are not recorded"
    assert f"the code had changes after its commit when the run was made; {kept}" in printed


@pytest.mark.parametrize(
    ("fields", "iterations", "words"),
    [
        ({}, "5", "--repeat is 5; it must be at least 1 and at most 4"),
        ({}, "0", "--repeat is 0; it must be at least 1"),
        ({"config__trainer": "other"}, "1", "was trained by 'other'"),
        ({"config": {}}, "1", "does not say how the run was trained"),
    ],
)
def test_what_cannot_be_repeated_is_one_sentence(run, capsys, fields, iterations, words):
    change(run, **fields)
    assert main([str(run), "--repeat", iterations]) == 2
    error = capsys.readouterr().err
    assert words in error and error.count("\n") == 1


def test_one_run_at_a_time_is_repeated(run, capsys):
    shutil.copytree(run, run.with_name("seed_2"))
    assert main([str(run.parent), "--repeat", "1"]) == 2
    assert "holds 2 runs; with --repeat give one run's folder" in capsys.readouterr().err


def test_of_a_thinned_table_the_iterations_that_it_has_are_compared(run, capsys):
    assert manyseeds(["scalars", str(run), "--output", str(run / "scalars.csv")]) == 0
    (run / EVENT_FILE).unlink()
    assert main(["--declare-not-shipped", str(run)]) == 0
    header, *rows = (run / "scalars.csv").read_text().splitlines()
    (run / "scalars.csv").write_text("\n".join([header, rows[1], rows[3], ""]))
    assert main([str(run), "--repeat", "3"]) == 0
    assert main([str(run), "--repeat", "1"]) == 2
    assert "scalars.csv has none of the first 1 iterations; repeat more" in capsys.readouterr().err


def of_other_code(run):
    """Let a run's record say that it began with another task."""
    made_by = json.loads((run / "run.json").read_text())["made_by"]
    change(run, made_by=made_by | {"files": made_by["files"] | {"task/task.py": "0"}, "digest": "0"})


def accepted(run):
    return [entry["note"] for entry in json.loads((run / "run.json").read_text())["accepted"]]


def test_changed_code_is_accepted_once_and_the_record_says_what_was_compared(run, capsys):
    of_other_code(run)
    with pytest.raises(UserError, match=r"manyseeds verify .*seed_1 --accept"):
        check_task(run, "lift_object")
    assert main([str(run), "--repeat", "2", "--accept"]) == 0
    assert "seed_1: today's code is accepted; changed: task/task.py" in capsys.readouterr().out
    check_task(run, "lift_object")
    assert main([str(run), "--accept"]) == 0
    assert "every run was made by today's code" in capsys.readouterr().out
    assert accepted(run) == ["accepted by manyseeds verify --accept, whose first 2 iterations are identical"]


def test_what_differs_is_not_accepted(run):
    of_other_code(run)
    change(run, config__agent__algorithm__learning_rate=0.5, config__agent__algorithm__schedule="fixed")
    assert main([str(run), "--repeat", "1", "--accept"]) == 1
    assert accepted(run) == []


def test_a_run_whose_files_differ_is_not_accepted(run):
    of_other_code(run)
    (run / "model_2.pt").write_bytes(b"other")
    assert main([str(run), "--accept"]) == 1
    assert accepted(run) == []


def test_a_run_of_an_external_trainer_is_not_accepted_here(run, capsys):
    change(run, config__trainer="other")
    assert main([str(run), "--accept"]) == 2
    assert "was trained by 'other'; only manyseeds' runs are accepted here" in capsys.readouterr().err
