"""NaN and infinity stop a run, are named, and can be seen again."""

import re

import pytest

from helpers.training_runs import agent, train
from helpers.verbs import verb
from manyseeds.audit.verify import verify

replay_verb = verb("replay")


TOO_FAST = {"schedule": "fixed", "learning_rate": 100}
CASES = {
    "parameters": ({**TOO_FAST, "learning_rate": 1e30}, "(parameter|Loss)", 1),
    # RSL-RL's own optimizer refuses such a step; ours takes it, and its parameters are infinite.
    "a step that float32 cannot hold": (
        {**TOO_FAST, "learning_rate": 1e38, "class_name": "rsl_rl.algorithms:PPO"},
        "step of the optimizer",
        1,
    ),
    "environment": (TOO_FAST, r".* is not finite in environment \d", 2),
}


@pytest.mark.parametrize("case", CASES)
def test_what_is_not_finite_stops_the_run_with_its_name_and_replays(tmp_path, capsys, case):
    algorithm, named, iteration = CASES[case]
    assert train(tmp_path / "run", agent(**algorithm)) == 1
    error = capsys.readouterr().err.splitlines()[-1]
    found = re.fullmatch(rf"error: ({named}.* in iteration {iteration}); .* (\S*diverged_{iteration}.pt)", error)
    assert found and "is not finite" in found[1], error
    assert replay_verb([found[found.lastindex], "--threads", "2"]) == 0
    assert f"{found[1]}." in capsys.readouterr().out


def test_checkpoints_from_before_a_divergence_are_kept(tmp_path, capsys):
    """A policy that learns far too fast acts without bounds from the second iteration on."""
    folder = tmp_path / "run"
    assert train(folder, agent(**TOO_FAST), save_interval=1) == 1
    assert "is not finite in environment 0 in iteration 2" in capsys.readouterr().err
    assert sorted(path.name for path in folder.glob("model_*.pt")) == ["model_1.pt"]
    assert "this run has not ended" in verify(folder).problems[0]


def test_a_file_that_is_no_dump_is_refused(tmp_path, capsys):
    folder = tmp_path / "run"
    assert train(folder, max_iterations=1) == 0
    assert replay_verb([str(folder / "state.pt")]) == 2
    assert "not the dump of a divergence" in capsys.readouterr().err
    assert replay_verb([str(folder / "model_1.pt")]) == 2
    assert "is damaged, or the state of another version" in capsys.readouterr().err
