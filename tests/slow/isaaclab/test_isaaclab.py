"""Isaac Lab's real package, on a CPU and on a Python that it does not support: `make test-isaaclab`.

Isaac Lab 3.0 asks for Python 3.12; the environment of envs/isaaclab_cpu.sh takes what is here. The code is real.
"""

import csv
import functools
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml

from manyseeds.core.layout import REPOSITORY
from manyseeds.tasks import registry
from manyseeds.tasks.lift_object import task

pytestmark = pytest.mark.isaaclab

STATES = REPOSITORY / "tests" / "helpers" / "isaaclab_states.py"
NUM_ENVS = 8
TASKS = ("lift_object", "reach", "cart_pole", "walk")
TRAINING = ("--simulator", "isaaclab", "--device", "cpu", "--num_envs", NUM_ENVS, "--state_interval", 1, "--headless")


@pytest.fixture(scope="session")
def isaaclab() -> Path:
    """The environment of Isaac Lab; made when it is not there."""
    script = REPOSITORY / "envs" / "isaaclab_cpu.sh"
    return Path(subprocess.run([script], check=True, capture_output=True, text=True).stdout.splitlines()[-1])


def run(program: Path, *arguments: object, **options) -> subprocess.CompletedProcess[str]:
    """Run a program on this checkout; show what it said when it fails."""
    options = {"cwd": REPOSITORY, "env": environment()} | options
    result = subprocess.run([str(x) for x in (program, *arguments)], capture_output=True, text=True, **options)
    assert result.returncode == 0, f"{result.stdout[-3000:]}\n{result.stderr[-5000:]}"
    return result


def environment(path: Path = REPOSITORY / "src") -> dict[str, str]:
    return os.environ | {"PYTHONPATH": str(path)}


# Parity.


@pytest.fixture(scope="module")
def states_of(isaaclab, tmp_path_factory):
    """What gives a task's states of tests/helpers/isaaclab_states.py with MuJoCo's answers, and Isaac Lab's."""

    @functools.cache
    def make(name: str):
        folder = tmp_path_factory.mktemp(f"states_{name}")
        states, answers = folder / "states.npz", folder / "answers.npz"
        run(Path(sys.executable), STATES, "mujoco", name, states)
        run(isaaclab / "bin" / "python", STATES, "isaaclab", name, states, answers)
        return np.load(states), np.load(answers)

    return make


@pytest.fixture(scope="module", params=TASKS)
def both(request, states_of):
    """The states and answers of each task."""
    return states_of(request.param)


@pytest.fixture(scope="module")
def lift_object(states_of):
    """Those of lift_object, for what only it can show."""
    return states_of("lift_object")


def test_the_states_of_the_parity_tests_are_reaching_grasped_dropped_and_out_of_range(lift_object):
    states, _ = lift_object
    cube, played = states["qpos"][:, 9:12], states["qpos"][128:]
    assert len(cube) == 256
    assert (cube[:, 2] < -0.05).sum() > 10
    assert (states["qpos"][:, 3] < -3.0718).sum() > 10, "joints beyond their limits"
    grasped = (np.abs(played[:, 7:9] - 0.024).max(axis=1) < 0.003) & (played[:, 11] > 0.06)
    assert grasped.sum() > 20
    assert (played[:, 11] < 0.03).sum() > 10, "on the table"


def test_coordinates_that_are_written_are_read_again(both):
    states, answers = both
    for name in ("qpos", "qvel"):
        np.testing.assert_allclose(answers[name], states[name], atol=5e-6, rtol=1e-6)


@pytest.mark.parametrize("both", ["lift_object", "reach", "walk"], indirect=True)
def test_sites_are_where_mujoco_has_them(both):
    states, answers = both
    poses = [name for name in answers.files if name.startswith(("site.", "rotation."))]
    assert len(poses) >= 2
    for name in poses:
        np.testing.assert_allclose(answers[name], states[name], atol=2e-5)


def test_observations_agree_with_mujoco_in_every_entry(both):
    states, answers = both
    assert answers["observation"].shape == states["observation"].shape
    np.testing.assert_allclose(answers["observation"], states["observation"], atol=5e-6, rtol=1e-6)


def test_rewards_agree_with_mujoco_in_every_term(both):
    states, answers = both
    assert (np.abs(states["reward"]).max(axis=0) > 1e-4).all(), "every term says something in these states"
    np.testing.assert_allclose(answers["reward"], states["reward"], atol=1e-5, rtol=1e-5)


def test_terminations_agree_with_mujoco(both):
    states, answers = both
    np.testing.assert_array_equal(answers["termination"], states["termination"])


def test_in_some_states_of_cart_pole_the_cart_has_left_its_range_or_is_at_the_end_of_the_rail(states_of):
    states, _ = states_of("cart_pole")
    cart = np.abs(states["from_qpos"][128:, 0])
    assert (cart > 3).sum() > 5 and (cart > 3.99).any()
    assert states["termination"].any(axis=0).all()


def test_some_states_end_for_their_length_and_some_because_the_cube_fell(lift_object):
    states, _ = lift_object
    assert states["termination"][:, :2].any(axis=0).all()


@pytest.mark.parametrize("which", ["first", "second"])
def test_episodes_start_where_mujoco_starts_them_with_the_same_seed(both, which):
    states, answers = both
    np.testing.assert_allclose(answers[f"{which}_command"], states[f"{which}_command"], atol=1e-6)
    np.testing.assert_allclose(answers[f"{which}_reset"], states[f"{which}_reset"], atol=5e-6)


def test_episodes_start_uniformly_in_the_tasks_ranges(lift_object):
    _, answers = lift_object
    cfg = task.LiftObjectCfg()
    at_home = np.abs(answers["second_reset"][:, :7] - cfg.default_arm).max(axis=1) < 1e-5
    assert 0.35 < at_home.mean() < 0.65, "the other half starts around the cube"
    cube, target = answers["first_reset"][:, 9:11], answers["first_command"]
    ranges = (cfg.object_x, cfg.object_y, cfg.target_x, cfg.target_y, cfg.target_z)
    for values, (low, high) in zip((*cube.T, *target.T), ranges, strict=True):
        share = np.sort((values - low) / (high - low))
        # Kolmogorov and Smirnov's distance from the uniform distribution, at the level of one in a million.
        assert np.abs(share - (np.arange(len(share)) + 0.5) / len(share)).max() < 2.7 / np.sqrt(len(share))
        assert share[0] > -1e-5 and share[-1] < 1 + 1e-5
    np.testing.assert_allclose(answers["first_reset"][:, 11], cfg.object_z, atol=1e-6)


def test_the_model_that_newton_builds_is_the_mjcf(both):
    _, answers = both
    fields = [name.removeprefix("our.") for name in answers.files if name.startswith("our.")]
    assert len(fields) > 30
    for field in fields:
        ours, theirs = answers[f"our.{field}"], answers[f"newton.{field}"]
        if ours.dtype.kind == "U":
            assert ours.tolist() == theirs.tolist(), field
        else:
            np.testing.assert_allclose(theirs, ours, rtol=2e-6, atol=1e-6, err_msg=field)


def test_contacts_are_made_by_the_same_pairs_of_shapes(lift_object):
    _, answers = lift_object
    assert len([name for name in answers.files if name.startswith("our.")]) > 45, "shapes and their pair, too"
    pairs = answers["our.collisions"].tolist()
    assert len(pairs) == 11 and sum(pair.endswith("as a pair") for pair in pairs) == 1
    assert answers["newton.collisions"].tolist() == pairs


def test_a_step_of_physics_ends_where_mujocos_does(both):
    states, answers = both
    error = np.abs(answers["after"] - states["after"])  # rad, m, and 1 for quaternions
    everything_moves, played = error[:128].max(axis=1), error[128:, :12].max(axis=1)
    assert everything_moves.max() < 1e-4
    assert np.median(played) < 1e-5
    assert np.quantile(played, 0.9) < 1e-4
    assert played.max() < 5e-3


def test_the_robot_moves_in_the_same_steps_as_in_mujoco(both):
    states, answers = both
    moved = np.abs(states["driven"][-1] - states["driven"][0])
    assert (moved > 0.02).sum() >= min(6, len(moved)), "of an arm's seven joints, the cart and its pole, a dog's twelve"
    np.testing.assert_allclose(answers["driven"][:, :9], states["driven"][:, :9], atol=1e-5)


def test_walk_remembers_the_same_of_the_same_steps(states_of):
    states, answers = states_of("walk")
    assert (np.abs(states["remembered"]) > 0).sum() > 12, "joint velocities, and what the feet did"
    np.testing.assert_allclose(answers["remembered"], states["remembered"], rtol=1e-3, atol=1e-4)


def test_the_hand_of_lift_object_closes_in_the_same_steps_as_in_mujoco(lift_object):
    states, answers = lift_object
    assert states["driven"][0, 7] > 0.02 > 0.002 > states["driven"][-1, 7]
    np.testing.assert_allclose(answers["driven"][:, 7:9], states["driven"][:, 7:9], atol=1e-5)


# Training.


@pytest.fixture(scope="module")
def trained(isaaclab, tmp_path_factory):
    """A run of 3 iterations that nothing disturbed."""
    folder = tmp_path_factory.mktemp("trained") / "run"
    train(isaaclab, folder)
    return folder


def train(isaaclab: Path, folder: Path, *more: object) -> None:
    run(isaaclab / "bin" / "python", "-m", "manyseeds", "train", *training(folder, *more))


def training(folder: Path, *more: object) -> tuple[object, ...]:
    run_options = ("--max_iterations", 3, "--save_interval", 2, "--seed", 3, "--log_dir", folder)
    return (*TRAINING, *run_options, *more, "lift_object")


def test_training_leaves_checkpoints_curves_and_parameters(trained):
    for name in ("model_2.pt", "model_3.pt", "events.out.tfevents.manyseeds", "params/agent.yaml", "params/env.yaml"):
        assert (trained / name).stat().st_size > 0
    env = yaml.safe_load((trained / "params" / "env.yaml").read_text())
    assert env["simulator"] == "isaaclab" and env["num_envs"] == NUM_ENVS


def test_reach_trains_and_is_evaluated(isaaclab, tmp_path):
    folder, episodes = tmp_path / "run", tmp_path / "episodes.csv"
    python, options = isaaclab / "bin" / "python", ("--max_iterations", 2, "--seed", 3, "--log_dir", folder)
    run(python, "-m", "manyseeds", "train", *TRAINING, *options, "reach")
    run(python, "-m", "manyseeds", "evaluate", "--run_dir", folder, "--episodes", 4, "--seed", 4, "--output", episodes)
    rows = list(csv.DictReader(episodes.open()))
    assert [row["iteration"] for row in rows] == ["2"] * 4
    assert tuple(rows[0]) == registry.describe("reach").columns


def test_a_run_that_is_killed_and_started_again_has_the_bits_of_another_with_its_seed(isaaclab, trained, tmp_path):
    killed = tmp_path / "killed"
    command = [str(x) for x in (isaaclab / "bin" / "python", "-m", "manyseeds", "train", *training(killed))]
    with subprocess.Popen(command, env=environment(), stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if "Learning iteration 2/" in line:
                break
        process.send_signal(signal.SIGKILL)
    assert not (killed / "model_3.pt").exists() and (killed / "state.pt").exists()
    train(isaaclab, killed)
    for name in ("model_2.pt", "model_3.pt"):
        assert (killed / name).read_bytes() == (trained / name).read_bytes(), name


def test_filming_borrows_the_only_simulation_and_leaves_the_bits_the_same(isaaclab, trained, tmp_path):
    train(isaaclab, tmp_path / "filmed", "--video", "--video_interval", 2, "--video_length", 20)
    assert (tmp_path / "filmed" / "videos" / "iteration_2.mp4").stat().st_size > 1000
    for name in ("model_2.pt", "model_3.pt"):
        assert (tmp_path / "filmed" / name).read_bytes() == (trained / name).read_bytes(), name


def test_evaluation_plays_the_fixed_episodes_with_the_checkpoints_of_a_run(isaaclab, trained, tmp_path):
    output = tmp_path / "episodes.csv"
    python = isaaclab / "bin" / "python"
    run(python, "-m", "manyseeds", "evaluate", "--run_dir", trained, "--episodes", 6, "--seed", 4, "--output", output)
    rows = list(csv.DictReader(output.open()))
    assert [row["iteration"] for row in rows] == ["2"] * 6 + ["3"] * 6
    assert rows[0]["target_z"] == rows[6]["target_z"]
    assert all(float(row["final_distance"]) > 0 for row in rows)


def test_a_policy_trained_in_mujoco_holds_the_cube_in_isaac_lab(isaaclab, tmp_path):
    output = tmp_path / "episodes.csv"
    source = REPOSITORY / "results" / "published" / "lift_object" / "default" / "seed_132"
    python = isaaclab / "bin" / "python"
    run(python, "-m", "manyseeds", "evaluate", "--run_dir", source, "--simulator", "isaaclab", "--episodes", 8,
        "--seed", 20260101, "--output", output)  # fmt: skip
    rows = list(csv.DictReader(output.open()))
    assert sum(int(row["held"]) for row in rows) >= 6


@pytest.fixture(scope="module")
def installed(isaaclab, tmp_path_factory):
    """The folder of the package as pip installs it."""
    folder = tmp_path_factory.mktemp("installed")
    site, source = folder / "site", folder / "source"
    run(Path("git"), "-C", REPOSITORY, "clone", "--quiet", "--no-hardlinks", REPOSITORY, source)
    for name in ("src/manyseeds", "pyproject.toml"):  # what is not committed yet, too
        run(Path("cp"), "-r", REPOSITORY / name, (source / name).parent)
    run(isaaclab / "bin" / "python", "-m", "pip", "install", "--quiet", "--no-deps", "--target", site, source)
    return site


@pytest.mark.parametrize(
    "name, env_id",
    [("lift_object", "ManySeeds-Lift-Object"), ("reach", "ManySeeds-Reach"), ("cart_pole", "ManySeeds-Cart-Pole")],
)
def test_stock_isaaclab_train_runs_the_tasks_that_the_installed_package_registers(
    isaaclab, installed, tmp_path, name, env_id
):
    run(isaaclab / "bin" / "isaaclab", "train", "--rl_library", "rsl_rl", "--task", env_id,
        "--num_envs", NUM_ENVS, "--seed", 1, "--max_iterations", 2, "--device", "cpu", "--viz", "none",
        "--run_timestamp", "run", "agent.device=cpu", cwd=tmp_path, env=environment(installed))  # fmt: skip
    folder = tmp_path / "logs" / "rsl_rl" / name / "run"
    checkpoint = torch.load(folder / "model_1.pt", weights_only=True)
    assert checkpoint["actor_state_dict"]["mlp.0.weight"].shape[1] == registry.load(name).observation_width
    assert list(folder.glob("events.out.tfevents.*"))


@pytest.mark.parametrize(
    "name, parts",
    [
        ("lift_object", {"table", "panda_link0", "object"}),
        ("reach", {"panda_link0"}),
        ("cart_pole", {"rail"}),
        ("walk", {"world", "trunk"}),
    ],
)
def test_the_model_of_a_task_is_converted_to_usd_files(isaaclab, tmp_path, name, parts):
    run(isaaclab / "bin" / "python", "-m", "manyseeds", "usd", name, tmp_path)
    assert {file.name for file in tmp_path.iterdir()} == {f"{part}.usdc" for part in parts}


# The workflow.


def test_the_workflow_trains_evaluates_and_draws_with_isaac_labs_own_interpreter(isaaclab, tmp_path):
    experiment = {
        "experiment": "lab",
        "simulator": "isaaclab",
        "seeds": [1],
        "train": {"num_envs": NUM_ENVS, "max_iterations": 1},
        "agent": "generic_policy.json",
        "evaluate": {"episodes": 4},
        "python": {"isaaclab": str(isaaclab / "bin" / "python")},
    }
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(experiment))
    run(Path("snakemake"), "--snakefile", REPOSITORY / "Snakefile", "--cores", 1, cwd=tmp_path)
    results = tmp_path / "results" / "lab"
    for name in ("default/seed_1/model_1.pt", "default/seed_1/episodes.csv", "success_rates.csv",
                 "default/policy.gif", "figures/learning_curves.png"):  # fmt: skip
        assert (results / name).stat().st_size > 0, name
    record = (results / "default" / "seed_1" / "run.json").read_text()
    assert '"isaaclab": "3.0.0"' in record and '"newton"' in record
    again = run(Path("snakemake"), "--snakefile", REPOSITORY / "Snakefile", "--cores", 1, "--dry-run", cwd=tmp_path)
    assert "Nothing to be done" in again.stdout + again.stderr
