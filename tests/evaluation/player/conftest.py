"""Tiny runs of each kind of task, trained once for all tests of the player."""

import pytest

from helpers import file_task
from helpers.training_runs import train
from manyseeds.learning import foreign

TASKS = ("cart_pole", "reach", "lift_object", "file_task")


@pytest.fixture(scope="session")
def runs(tmp_path_factory):
    """A function from a task to the folder of a run with model_1.pt and model_2.pt."""
    folder, made = tmp_path_factory.mktemp("player"), {}
    foreign.allow([file_task.__file__])

    def run(name):
        if name not in made:
            task = file_task.__file__ if name == "file_task" else name
            made[name] = folder / name / "seed_1"
            assert train(made[name], task=task, num_envs=4, max_iterations=2, save_interval=1) == 0
        return made[name]

    return run
