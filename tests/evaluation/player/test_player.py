"""What is played: found, chosen, followed as a training goes on, and paced."""

import shutil

import pytest

from manyseeds.core.errors import UserError
from manyseeds.evaluation.player.player import NEWEST, Player
from manyseeds.evaluation.player.runs import find_runs


@pytest.fixture
def copy(runs, tmp_path):
    """A function that copies a run without its record, so that it counts as one in progress."""

    def copied(task, name, checkpoints=("model_1.pt", "model_2.pt")):
        target = tmp_path / name
        shutil.copytree(runs(task), target, ignore=shutil.ignore_patterns("run.json", "model_*.pt"))
        for checkpoint in checkpoints:
            shutil.copy(runs(task) / checkpoint, target)
        return target

    return copied


@pytest.fixture
def play():
    """A function that makes a player, which is closed at the end."""
    made = []

    def player(*paths, **options):
        made.append(Player(list(paths), **options))
        return made[-1]

    yield player
    for each in made:
        each.close()


def iterations(player):
    return [simulation.iteration for simulation in player.simulations]


def test_runs_are_found_below_an_experiment_a_variant_a_run_and_a_checkpoint(copy, tmp_path):
    for name in ("carts/b/seed_10", "carts/b/seed_9", "carts/a/seed_1"):
        copy("cart_pole", name)
    run = tmp_path / "carts" / "b" / "seed_9"
    assert list(find_runs(tmp_path / "carts")) == ["a/seed_1", "b/seed_9", "b/seed_10"]
    assert list(find_runs(tmp_path)) == ["carts/a/seed_1", "carts/b/seed_9", "carts/b/seed_10"]
    assert list(find_runs(tmp_path / "carts" / "b")) == ["b/seed_9", "b/seed_10"]
    assert find_runs(run) == find_runs(run / "model_1.pt") == {"b/seed_9": run}


def test_where_no_run_is_one_sentence_says_so(tmp_path):
    with pytest.raises(UserError, match="no such file or folder"):
        find_runs(tmp_path / "none")
    with pytest.raises(UserError, match="holds no run that has begun"):
        find_runs(tmp_path)


def test_a_training_is_waited_for_and_followed(copy, runs, play, tmp_path):
    run = copy("cart_pole", "carts/a/seed_1", checkpoints=())
    player = play(tmp_path / "carts")
    assert player.choices[0].problem == "Waiting for a/seed_1's first checkpoint." and player.simulations == []
    assert player.advance(1.0) == 0
    shutil.copy(runs("cart_pole") / "model_1.pt", run)
    player.follow()
    assert iterations(player) == [1] and player.choices[0].problem == ""
    player.advance(0.1)
    shutil.copy(runs("cart_pole") / "model_2.pt", run)
    copy("cart_pole", "carts/a/seed_2")
    steps = player.simulations[0].steps
    player.follow()
    assert iterations(player) == [2] and player.simulations[0].steps == steps  # in the middle of the episode
    assert list(player.runs) == ["a/seed_1", "a/seed_2"]
    assert player.choices[0].checkpoints() == [NEWEST, "model_2.pt", "model_1.pt"]


def test_a_chosen_checkpoint_stays(copy, runs, play):
    run = copy("cart_pole", "a/seed_1", checkpoints=("model_1.pt",))
    player = play(run / "model_1.pt")
    shutil.copy(runs("cart_pole") / "model_2.pt", run)
    player.follow()
    assert iterations(player) == [1]
    player.choose(0, "a/seed_1", "model_2.pt")
    assert iterations(player) == [2]


def test_what_cannot_be_played_is_said_and_the_rest_goes_on(copy, play, tmp_path):
    for seed in (1, 2, 3):
        copy("cart_pole", f"carts/a/seed_{seed}")
    (tmp_path / "carts/a/seed_1/model_2.pt").write_bytes(b"garbage")
    (tmp_path / "carts/a/seed_2/params/env.yaml").unlink()
    player = play(tmp_path / "carts/a/seed_1/model_1.pt", tmp_path / "carts/a/seed_3")
    player.choose(0, "a/seed_1", "model_2.pt")
    assert "model_2.pt is damaged or not a checkpoint" in player.choices[0].problem
    player.choose(0, "a/seed_3")
    assert player.choices[0].problem == "" and iterations(player) == [2, 2]
    player.runs.update(find_runs(tmp_path / "carts"))
    player.choose(0, "a/seed_2")
    assert "env.yaml" in player.choices[0].problem and iterations(player) == [2]
    with pytest.raises(UserError, match=r"env\.yaml"):
        play(tmp_path / "carts/a/seed_2")  # at the start there is nothing else to play


def test_a_finished_run_without_a_checkpoint_is_not_waited_for(runs, play, tmp_path):
    shutil.copytree(runs("cart_pole"), tmp_path / "a/seed_1", ignore=shutil.ignore_patterns("model_*.pt"))
    assert play(tmp_path / "a").choices[0].problem == "a/seed_1 holds no checkpoint."


def test_time_passes_at_the_chosen_speed(runs, play):
    player = play(runs("cart_pole"), speed=2.0)
    step_dt = player.simulations[0].step_dt
    assert sum(player.advance(step_dt / 4) for _ in range(20)) == 10
    assert player.advance(100.0) == int(0.25 * 2 / step_dt)  # a slow machine does not catch up for ever
    player.paused = True
    steps = player.simulations[0].steps
    assert player.advance(1.0) == 0
    player.step()
    assert player.simulations[0].steps == steps + 1


def test_the_next_episode_follows_or_this_one_goes_on(runs, play):
    player = play(runs("cart_pole"), episode=4)
    simulation = player.simulations[0]
    player.next_episode = False
    for _ in range(simulation.episode_length + 3):
        player.step()
    assert (player.episode, simulation.steps) == (4, simulation.episode_length + 3)
    player.next_episode = True
    player.step()
    assert (player.episode, simulation.episode, simulation.steps) == (5, 5, 1)


def test_a_second_policy_meets_the_same_episode_and_target(runs, play):
    player = play(runs("reach"), episode=1)
    player.step()
    player.beside(True)
    player.choose(1, player.choices[1].run, "model_1.pt")
    first, second = player.simulations
    assert iterations(player) == [2, 1] and first.steps == second.steps == 0
    assert first.command.tolist() == second.command.tolist()
    player.move_target([0.1, 0.0, 0.0])
    assert first.command.tolist() == second.command.tolist() and second.changed
    player.step()
    assert first.data.qpos.tolist() != second.data.qpos.tolist()
    player.beside(False)
    assert len(player.simulations) == 1


def test_policies_of_different_steps_keep_the_same_time(runs, play):
    player = play(runs("cart_pole"), runs("file_task"))
    for _ in range(30):
        player.step()
    first, second = player.simulations
    assert first.task.name != second.task.name and first.step_dt != second.step_dt
    assert first.steps == 30
    assert second.steps * second.step_dt == pytest.approx(first.steps * first.step_dt, abs=second.step_dt)
    player.set_command(first.command)  # asks nothing of another task
    assert not second.changed
