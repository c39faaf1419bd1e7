"""The task cart_pole against the equations of a cart with a pole, and that its terms and outcomes are what they say."""

import math

import mujoco
import numpy as np
import pytest
import torch
import yaml

from manyseeds.config.loading import load
from manyseeds.core.errors import UserError
from manyseeds.core.layout import PACKAGE, REPOSITORY
from manyseeds.learning.agent import load_agent
from manyseeds.learning.runner import Runner
from manyseeds.simulators import make_env
from manyseeds.simulators.model import load_model
from manyseeds.tasks import base, registry
from manyseeds.tasks.base import State, Trace, configure
from manyseeds.tasks.cart_pole import task
from manyseeds.tasks.cart_pole.task import TASK, CartPoleCfg

CFG = CartPoleCfg()
FOLDER = PACKAGE / "tasks" / "cart_pole"

CART, POLE, LENGTH, DAMPING, GRAVITY = 1.0, 1.0, 0.47, 10.0, 9.81
INERTIA = POLE * (0.06**2 + 1.0**2) / 12 + POLE * LENGTH**2
"""Of a box of 0.06 m by 1 m about a hinge 0.47 m from its centre, kg m^2."""


def accelerations(angle: float, speed: float, turning: float, force: float) -> np.ndarray:
    """Lagrange's equations of a cart (position x) with a pole at `angle` from upright: x'' and angle''."""
    mass = np.array([[CART + POLE, POLE * LENGTH * math.cos(angle)], [POLE * LENGTH * math.cos(angle), INERTIA]])
    forces = np.array(
        [
            force - DAMPING * speed + POLE * LENGTH * math.sin(angle) * turning**2,
            POLE * GRAVITY * LENGTH * math.sin(angle),
        ]
    )
    return np.linalg.solve(mass, forces)


def state_of(qpos: list[list[float]], qvel: list[list[float]], length: int = 1) -> State:
    n = len(qpos)
    zero = torch.zeros(n, 1)
    lengths = torch.full((n,), length)
    return State(
        torch.tensor(qpos), torch.tensor(qvel), {}, {}, torch.zeros(n, 0), zero, zero, lengths, torch.zeros(n, 0)
    )


def test_the_model_accelerates_as_the_equations_say() -> None:
    data = mujoco.MjData(load_model(TASK, CFG))
    for angle, speed, turning, force in np.random.default_rng(0).normal(0, [1.5, 2, 3, 60], (50, 4)):
        data.qpos[:], data.qvel[:], data.ctrl[:] = [0.3, angle], [speed, turning], force
        mujoco.mj_forward(data.model, data)
        np.testing.assert_allclose(data.qacc, accelerations(angle, speed, turning, force), rtol=1e-9, atol=1e-9)


def test_a_pole_that_is_left_alone_falls_as_fast_as_the_linearised_equations_say() -> None:
    """With the task's own time step; a slow one would let it fall at another rate."""
    linear = np.zeros((4, 4))
    linear[:2, 2:] = np.eye(2)
    tiny = 1e-6
    linear[2:, 1] = accelerations(tiny, 0, 0, 0) / tiny
    linear[2:, 2] = accelerations(0, tiny, 0, 0) / tiny
    values, vectors = np.linalg.eig(linear)
    fastest = values.real.argmax()
    assert 4 < values[fastest].real < 5.5
    data = mujoco.MjData(load_model(TASK, CFG))
    begin = 1e-4 * vectors[:, fastest].real / vectors[1, fastest].real
    data.qpos[:], data.qvel[:] = begin[:2], begin[2:]
    for _ in range(round(1 / CFG.physics_dt)):
        mujoco.mj_step(data.model, data)
    assert math.log(data.qpos[1] / 1e-4) == pytest.approx(values[fastest].real, rel=0.03)


def test_energy_is_lost_to_the_cart_s_damping_only() -> None:
    """A pole that falls by itself, with a time step of 0.1 ms: the energy follows from position and speed alone."""
    data = mujoco.MjData(load_model(TASK, configure(TASK, {"physics_dt": 1e-4})))
    data.qpos[1] = 0.5

    def energy() -> float:
        (_, angle), (speed, turning) = data.qpos, data.qvel
        kinetic = (CART + POLE) * speed**2 / 2 + INERTIA * turning**2 / 2
        return kinetic + POLE * LENGTH * math.cos(angle) * (speed * turning + GRAVITY)

    begin, lost = energy(), 0.0
    for _ in range(10_000):
        lost += DAMPING * data.qvel[0] ** 2 * 1e-4
        mujoco.mj_step(data.model, data)
    assert lost > 0.5
    assert energy() == pytest.approx(begin - lost, abs=0.01)


def test_numbers_are_those_of_isaac_lab() -> None:
    assert CFG.step_dt == pytest.approx(1 / 60)
    assert (CFG.episode_length, TASK.description.episode_steps) == (300, 300)
    assert (TASK.action_width, TASK.observation_width, TASK.command_width) == (1, 4, 0)
    assert TASK.termination_names == ("time_out", "cart_out_of_bounds")
    weights = base.reward_weights(TASK, CFG) * 60
    torch.testing.assert_close(weights, torch.tensor([1.0, -2.0, -1.0, -0.01, -0.005]))
    assert task.TASK.act(CFG, torch.tensor([[-0.5]])).tolist() == [[-50.0]]


def test_rewards_are_those_computed_by_hand() -> None:
    state = state_of([[0.5, 0.2], [3.1, -0.1], [-2.9, 2 * math.pi - 0.3]], [[1.0, -2.0], [-1.0, 0.0], [0.0, 3.0]])
    expected = torch.tensor(
        [
            [1, 0, -(0.2**2), -0.01, -0.01],
            [0, -2, -(0.1**2), -0.01, 0],
            [1, 0, -(0.3**2), 0, -0.015],
        ]
    )
    torch.testing.assert_close(base.rewards(TASK, CFG, state) * 60, expected, atol=1e-5, rtol=1e-5)
    ended = base.terminations(TASK, CFG, state)
    assert ended.tolist() == [[False, False], [False, True], [False, False]]


def test_success_is_an_upright_pole_at_the_end_of_a_whole_episode() -> None:
    qpos = [[0.0, 0.05], [0.0, 0.11], [3.01, 0.0], [0.0, -2 * math.pi - 0.05]]
    still = [[0.0, 0.0]] * 4
    assert task.success(CFG, state_of(qpos, still, 300)).tolist() == [True, False, False, True]
    assert not task.success(CFG, state_of(qpos, still, 299)).any()


def test_the_last_step_and_the_whole_way_decide_an_episode() -> None:
    """Three steps: always balanced, swung up at last, fallen at last, out of the range in between."""
    angles = torch.tensor([[0.0, 1.0, 0.0, 0.0], [0.02, 0.05, 0.0, 0.0], [0.01, 0.05, -0.2, 0.0]])
    carts = torch.tensor([[0.0, 0.0, 0.0, 0.0], [1.0, -2.9, 0.0, -3.1], [0.0, 0.0, 0.0, 0.0]])
    qpos = torch.stack((carts, angles), dim=2)
    outcomes = task.judge(CFG, Trace(qpos, torch.zeros_like(qpos), {}, {}, torch.zeros(4, 0), CFG.step_dt))
    assert outcomes["balanced"].tolist() == [True, True, False, False]
    assert outcomes["left"].tolist() == [False, False, False, True]
    np.testing.assert_allclose(outcomes["settled_s"], [1 / 60, 2 / 60, math.nan, 1 / 60], rtol=1e-6)
    np.testing.assert_allclose(outcomes["final_angle"], [0.01, 0.05, 0.2, 0.0], atol=1e-6)
    assert tuple(outcomes) == tuple(outcome.name for outcome in TASK.description.outcomes)


def test_episodes_start_in_their_ranges_and_do_not_depend_on_their_number() -> None:
    starts = task.start(CFG, 4000, torch.Generator().manual_seed(0))
    for index, (name, limit) in enumerate((("cart_position", 1.0), ("pole_angle", math.pi / 4))):
        column = starts.columns[name]
        assert torch.equal(column, starts.qpos[:, index])
        assert -limit <= column.min() < -0.99 * limit and 0.99 * limit < column.max() <= limit
    torch.testing.assert_close(task.start(CFG, 10, torch.Generator().manual_seed(0)).qpos, starts.qpos[:10])


def test_marks_are_at_the_ends_of_the_range() -> None:
    model = load_model(TASK, configure(TASK, {"cart_range": 2.5}), visual=True)
    assert [model.geom(name).pos[0] for name in ("left_end", "right_end")] == [-2.5, 2.5]


def test_a_mistake_in_the_numbers_is_one_sentence() -> None:
    with pytest.raises(UserError, match=r"^config\.yaml: 'cart_range' is 0\.0; it must be greater than 0\.$"):
        configure(TASK, {"cart_range": 0}, "config.yaml")


def test_a_linear_controller_balances_from_every_start() -> None:
    """The task can be solved: feedback of the four observations brings every pole upright within the rail."""
    env = make_env("mujoco", "cart_pole", num_envs=64, seed=1, threads=1, auto_reset=False)
    gains = torch.tensor([[0.1], [2.0], [0.25], [0.45]])
    for _ in range(CFG.episode_length):
        env.step(env.get_observations()["policy"] @ gains)
    assert task.success(CFG, env.state()).float().mean() > 0.95


def test_a_run_of_45_iterations_learns_to_keep_the_pole_up() -> None:
    env = make_env("mujoco", "cart_pole", num_envs=128, seed=1, threads=1)
    torch.manual_seed(1)
    runner = Runner(env, load_agent(registry.agent_file("cart_pole")), seed=1, device="cpu", threads=1)
    rewards = [runner.iterate().scalars["Train/mean_reward"] for _ in range(45)]
    assert rewards[-1] > rewards[9] + 2


def test_the_demo_is_the_task_with_its_own_agent_and_a_few_checkpoints() -> None:
    path = REPOSITORY / "experiments" / "demo.yaml"
    assert set(yaml.safe_load(path.read_text(encoding="utf-8"))) >= {"task", "seeds", "train"}
    experiment = load([str(path)])
    (variant,) = experiment.variants
    assert variant.agent_file == "agent.json" or variant.agent_file.endswith("cart_pole/agent.json")
    assert len(experiment.seeds) == 3 and 3 <= len(variant.checkpoints) <= 5


def test_the_task_is_one_folder_of_200_lines() -> None:
    lines = sum(len(path.read_text().splitlines()) for path in FOLDER.glob("*.py"))
    assert lines <= 200
    assert TASK.kernels is None
