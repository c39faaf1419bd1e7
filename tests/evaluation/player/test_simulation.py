"""The player's simulation does what evaluation does, until somebody drags the target or pulls a body."""

import numpy as np
import pytest
import torch

from helpers.training_runs import train
from manyseeds.evaluation.evaluate import evaluate_run, evaluation_settings
from manyseeds.evaluation.player.simulation import Pull, Simulation

from .conftest import TASKS


@pytest.fixture
def play(runs):
    """A function from a task to its simulation, with the last checkpoint loaded."""
    made = []

    def simulation(name):
        made.append(Simulation(runs(name)))
        made[-1].load(runs(name) / "model_2.pt")
        return made[-1]

    yield simulation
    for each in made:
        each.close()


def steps(simulation, count):
    for _ in range(count):
        simulation.step()
    return simulation.data.qpos.copy()


@pytest.mark.parametrize("task", TASKS)
def test_an_episode_goes_as_evaluation_has_it(play, runs, task):
    seed = evaluation_settings(runs(task)).seed
    simulation = play(task)
    *_, evaluated = evaluate_run(runs(task), episodes=3, seed=seed, threads=1)
    simulation.restart(2)
    steps(simulation, simulation.episode_length)
    assert simulation.ended and not simulation.changed
    assert sum(simulation.sums.values()) == pytest.approx(float(evaluated.total_reward[2]), rel=1e-3, abs=1e-4)
    wanted = {name: float(values[2]) for name, values in evaluated.outcomes.items()}
    assert simulation.outcomes() == pytest.approx(wanted, rel=1e-3, abs=1e-4, nan_ok=True)
    before = simulation.outcomes()
    steps(simulation, 2)  # without end, but what was judged stays
    assert simulation.outcomes() == pytest.approx(before, nan_ok=True)


def test_without_a_checkpoint_nothing_moves(runs):
    simulation = Simulation(runs("cart_pole"))
    before = simulation.data.qpos.copy()
    assert np.array_equal(steps(simulation, 3), before) and simulation.steps == 0 and simulation.outcomes() == {}


def test_an_episode_starts_again_the_same_with_noise_and_without(play):
    simulation = play("cart_pole")
    found = []
    for noise in (False, False, True, True):
        simulation.restart(1)
        simulation.noise = noise
        found.append(steps(simulation, 20))
    assert np.array_equal(found[0], found[1]) and np.array_equal(found[2], found[3])
    assert not np.allclose(found[0], found[2])


@pytest.mark.parametrize("task", ["lift_object", "reach", "file_task"])
def test_a_target_moves_as_far_as_the_task_can_show_it(play, task):
    simulation = play(task)
    steps(simulation, 3)
    marks, qpos = simulation.marks(), simulation.data.qpos.copy()
    shift = np.array([0.05, -0.1, 0.02])
    simulation.move_target(shift)
    wanted = marks + (shift * [1, 0, 0] if task == "file_task" else shift)
    assert simulation.marks() == pytest.approx(wanted, abs=1e-4)
    assert simulation.data.mocap_pos == pytest.approx(wanted, abs=1e-4)
    assert simulation.changed and np.array_equal(simulation.data.qpos, qpos)
    observed = simulation._env.get_observations()["policy"][0]
    assert torch.isin(simulation.command[0], observed)  # the policy sees it
    steps(simulation, 1)
    assert simulation.data.mocap_pos == pytest.approx(wanted, abs=1e-4)
    simulation.restart(0)
    assert simulation.marks() == pytest.approx(marks) and not simulation.changed


def test_a_target_turns_only_where_a_command_looks_like_that(play):
    simulation = play("reach")
    marks, command = simulation.marks(), simulation.command
    angle = 0.4
    about_z = np.array([[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0], [0, 0, 1]])
    simulation.move_target(np.zeros(3), about_z)
    wanted = (marks - marks.mean(0)) @ about_z.T + marks.mean(0)
    assert simulation.marks() == pytest.approx(wanted, abs=1e-3)
    assert float(simulation.command[3:].norm()) == pytest.approx(1.0, abs=1e-3)
    assert torch.allclose(simulation.command[:3], command[:3], atol=1e-4)
    about_x = np.array([[1, 0, 0], [0, 0, -1], [0, 1, 0]])  # the fingertips of no command are above each other
    simulation.move_target(np.array([0.0, 0.0, 0.1]), about_x)
    assert simulation.marks() == pytest.approx(wanted + np.array([0, 0, 0.1]), abs=1e-3)


def test_numbers_of_a_command_have_the_names_of_the_starts(play):
    simulation = play("file_task")
    assert simulation.command_names() == ["goal (m)"]
    low, high = simulation.command_ranges()
    assert 0.2 <= float(low) < 0.25 and 0.75 < float(high) <= 0.8


@pytest.mark.parametrize(("task", "body"), [("lift_object", "object"), ("file_task", "puck"), ("cart_pole", "pole")])
def test_a_pulled_body_follows_and_is_free_again_afterwards(play, task, body):
    simulation = play(task)
    number = simulation.model.body(body).id
    start, away = simulation.data.xpos[number].copy(), np.array([0.3, 0.0, 0.3 if task != "cart_pole" else 0.0])
    simulation.pull = Pull(number, np.zeros(3), start + away)
    steps(simulation, 40)
    moved = simulation.data.xpos[number] - start
    assert moved @ away > 0.3 * away @ away and simulation.changed
    simulation.pull = None
    steps(simulation, 1)
    assert not simulation.data.xfrc_applied.any()


def test_only_what_moves_by_itself_can_be_pulled(play):
    simulation = play("file_task")
    found = {simulation.model.body(i).name for i in range(simulation.model.nbody) if simulation.can_pull(i)}
    assert found == {"cart", "puck", ""}  # the nameless one swings on the cart; the world and the goal do not move
    assert not simulation.can_pull(0)


def test_a_simulation_that_fails_says_so_and_starts_again(play):
    simulation = play("cart_pole")
    simulation.pull = Pull(simulation.model.body("pole").id, np.zeros(3), np.full(3, 1e300))
    steps(simulation, 5)
    assert simulation.broken == "physics state" and simulation.ended
    simulation.pull = None
    simulation.restart(0)
    steps(simulation, 5)
    assert not simulation.broken and simulation.steps == 5


def test_episodes_are_those_of_the_experiments_evaluation(tmp_path):
    run = tmp_path / "carts" / "default" / "seed_1"
    assert train(run, task="cart_pole", num_envs=4, max_iterations=1, save_interval=1) == 0
    (tmp_path / "carts" / "config.json").write_text(
        '{"evaluate": {"episodes": 5, "seed": 3, "overrides": {"cart_range": 1.5}, "estimate": "last"}}'
    )
    simulation = Simulation(run)
    assert simulation.episodes == 5 and simulation.cfg.cart_range == 1.5
    first = simulation.data.qpos.copy()
    simulation.restart(5)  # there are 0 to 4
    assert simulation.episode == 0 and np.array_equal(simulation.data.qpos, first)
