"""The task reach against independent computations, and that it stays small and learns."""

import copy
import math

import mujoco
import numpy as np
import pytest
import torch
import yaml

from manyseeds.core.errors import UserError
from manyseeds.core.layout import PACKAGE, REPOSITORY
from manyseeds.learning.agent import load_agent
from manyseeds.learning.runner import Runner
from manyseeds.simulators import make_env
from manyseeds.simulators.model import load_model
from manyseeds.simulators.mujoco import MujocoEnv
from manyseeds.tasks import base, registry
from manyseeds.tasks.base import State, Trace, configure
from manyseeds.tasks.reach import task
from manyseeds.tasks.reach.task import TASK, ReachCfg

CFG = ReachCfg()
FOLDER = PACKAGE / "tasks" / "reach"


def random_state(n: int = 64) -> State:
    """A state in which nothing is special."""
    generator = torch.Generator().manual_seed(3)

    def draw(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=generator)

    return State(
        qpos=draw(n, 9),
        qvel=draw(n, 9),
        sites={"hand": draw(n, 3)},
        rotations={"hand": torch.nn.functional.normalize(draw(n, 4), dim=1)},
        command=torch.cat((draw(n, 3), torch.nn.functional.normalize(draw(n, 4), dim=1)), dim=1),
        action=draw(n, 7),
        previous_action=draw(n, 7),
        episode_length=torch.ones(n, dtype=torch.long),
        memory=torch.zeros(n, 0),
    )


def matrix(quaternion: np.ndarray) -> np.ndarray:
    """The rotation matrix of w x y z, by MuJoCo."""
    result = np.empty(9)
    mujoco.mju_quat2Mat(result, np.asarray(quaternion, float))
    return result.reshape(3, 3)


def angle_between(a: np.ndarray, b: np.ndarray) -> float:
    """The angle of the rotation from a to b, from the trace of a matrix."""
    return math.acos(np.clip((np.trace(matrix(a).T @ matrix(b)) - 1) / 2, -1, 1))


def test_numbers_are_those_of_isaac_lab() -> None:
    assert CFG.step_dt == pytest.approx(1 / 30)
    assert CFG.episode_length == 120
    assert (TASK.action_width, TASK.observation_width, TASK.command_width) == (7, 32, 7)
    assert TASK.termination_names == ("time_out",)
    weights = base.reward_weights(TASK, CFG) * 30
    torch.testing.assert_close(weights, torch.tensor([-0.2, 0.1, -0.1, -1e-4, -1e-4]))


def test_rewards_are_those_that_numpy_computes() -> None:
    state = random_state()
    rewards = base.rewards(TASK, CFG, state).numpy()
    for i in range(len(rewards)):
        command = state.command[i].double().numpy()
        away = np.linalg.norm(state.sites["hand"][i].double().numpy() - command[:3])
        terms = {
            "end_effector_position_tracking": -0.2 * away,
            "end_effector_position_tracking_fine_grained": 0.1 * (1 - np.tanh(away / 0.1)),
            "end_effector_orientation_tracking": -0.1 * angle_between(state.rotations["hand"][i].numpy(), command[3:]),
            "action_rate": -1e-4 * ((state.action[i] - state.previous_action[i]).numpy() ** 2).sum(),
            "joint_vel": -1e-4 * (state.qvel[i].numpy() ** 2).sum(),
        }
        assert tuple(terms) == tuple(TASK.rewards)
        np.testing.assert_allclose(rewards[i], np.array(list(terms.values())) / 30, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("error", [0.0, 1e-4, 0.2, 1.5, math.pi - 1e-3])
def test_the_angle_is_exact_also_when_it_is_small_and_for_either_sign(error: float) -> None:
    state = random_state(1)
    rotation, turned = state.rotations["hand"][0].double().numpy(), np.empty(4)
    step = np.array([math.cos(error / 2), *(math.sin(error / 2) * np.array([0.6, 0.0, 0.8]))])
    mujoco.mju_mulQuat(turned, rotation, step)
    for sign in (1, -1):
        state.command[0, 3:] = sign * torch.from_numpy(turned)
        assert task.orientation_error(CFG, state).item() == pytest.approx(error, abs=2e-6, rel=1e-5)


def test_the_observation_is_isaac_labs() -> None:
    state = random_state(2)
    parts = base.observe(TASK, CFG, state).split([term.width for term in TASK.observations.values()], dim=1)
    joint_pos, joint_vel, command, actions = parts
    torch.testing.assert_close(joint_pos, state.qpos - torch.tensor(CFG.default_joints))
    torch.testing.assert_close(joint_vel, state.qvel)
    torch.testing.assert_close(command[:, :3], state.command[:, :3])
    torch.testing.assert_close(command[:, 3:], state.command[:, 3:].roll(-1, dims=1), msg="x y z w")
    torch.testing.assert_close(actions, state.action)


def test_a_command_is_a_hand_that_points_down_turned_by_the_yaw() -> None:
    """Isaac Lab's Euler angles (0, pi, yaw): first about x, then about y, then about z."""
    starts = task.start(CFG, 200, torch.Generator().manual_seed(0))
    for command, yaw in zip(starts.command.numpy(), starts.columns["target_yaw"].numpy(), strict=True):
        about_z = np.array([[math.cos(yaw), -math.sin(yaw), 0], [math.sin(yaw), math.cos(yaw), 0], [0, 0, 1]])
        np.testing.assert_allclose(matrix(command[3:]), about_z @ np.diag([-1.0, 1, -1]), atol=1e-6)


def test_episodes_start_within_limits_and_ranges_and_do_not_depend_on_their_number() -> None:
    starts = task.start(CFG, 4000, torch.Generator().manual_seed(0))
    model = load_model(TASK, CFG)
    limits = torch.from_numpy(model.jnt_range).float()
    assert (starts.qpos >= limits[:, 0]).all() and (starts.qpos <= limits[:, 1]).all()
    factors = starts.qpos[:, [1, 6]] / torch.tensor([-0.569, 0.741])  # joints that the limits leave alone
    assert 0.5 <= factors.min() < 0.51 and 1.49 < factors.max() <= 1.5 + 1e-6
    for name in ("target_x", "target_y", "target_z", "target_yaw"):
        low, high = getattr(CFG, name)
        column = starts.columns[name]
        assert low <= column.min() < low + 0.01 * (high - low) and high - 0.01 * (high - low) < column.max() <= high
    few = task.start(CFG, 10, torch.Generator().manual_seed(0))
    torch.testing.assert_close(few.qpos, starts.qpos[:10])
    torch.testing.assert_close(few.command, starts.command[:10])


def test_the_last_step_decides_an_episode() -> None:
    """Four episodes of three steps: at the target to the end, only before, never near, near but turned away."""
    command = torch.tensor([[0.5, 0.0, 0.3, 0.0, 0.0, 1.0, 0.0]]).repeat(4, 1)
    position = command[:, :3].repeat(3, 1, 1)
    position[0, 0, 0] += 0.03
    position[2, 1, 2] += 0.021
    position[:, 2, 1] += 0.1
    rotation = command[:, 3:].repeat(3, 1, 1)
    rotation[:, 3] = torch.tensor([0.0, math.sin(0.11), math.cos(0.11), 0.0])
    blank = torch.zeros(3, 4, 9)
    outcomes = task.judge(CFG, Trace(blank, blank, {"hand": position}, {"hand": rotation}, command, CFG.step_dt))
    assert outcomes["reached"].tolist() == [True, False, False, False]
    np.testing.assert_allclose(outcomes["first_reached_s"], [2 / 30, 1 / 30, math.nan, math.nan], rtol=1e-6)
    np.testing.assert_allclose(outcomes["final_distance"], [0, 0.021, 0.1, 0], atol=1e-6)
    np.testing.assert_allclose(outcomes["final_angle"], [0, 0, 0, 0.22], atol=1e-6)
    assert tuple(outcomes) == tuple(outcome.name for outcome in TASK.description.outcomes)


def test_marks_are_where_the_fingertips_of_a_hand_at_its_target_are() -> None:
    cfg = ReachCfg()
    data = mujoco.MjData(load_model(TASK, cfg))
    data.qpos[:] = [*cfg.default_joints[:6], 0.3, 0.04, 0.04]
    data.qpos[3], data.qpos[5] = -2.2, 1.631  # the hand points down: 1.631 = 2.2 - 0.569
    mujoco.mj_kinematics(data.model, data)
    command = torch.tensor(np.array([[*data.site("hand").xpos, *data.body("panda_hand").xquat]])).float()
    left, right = task.show(cfg, command)[0]
    tip = np.array([0, 0, 0.1034 - 0.0584])
    for finger, mark in (("panda_leftfinger", left), ("panda_rightfinger", right)):
        expected = data.body(finger).xpos + data.body(finger).xmat.reshape(3, 3) @ tip
        np.testing.assert_allclose(mark.numpy(), expected, atol=1e-3)


def test_a_held_action_is_a_held_pose() -> None:
    """Gravity is compensated and nothing collides: the servos reach what the action says, if slowly."""
    env = make_env("mujoco", "reach", num_envs=16, seed=1, threads=1, auto_reset=False)
    actions = 0.5 * torch.randn(16, 7, generator=torch.Generator().manual_seed(0))
    actions[:, 3].clamp_(min=0)  # the elbow is near its limit
    for _ in range(CFG.episode_length):
        env.step(actions)
    torch.testing.assert_close(env.state().qpos, task.act(CFG, actions), atol=0.05, rtol=0)
    assert env.state().qvel.abs().max() < 0.1


def test_a_mistake_in_the_numbers_is_one_sentence() -> None:
    with pytest.raises(UserError, match=r"^config\.yaml: 'success_angle' is 0\.0; it must be greater than 0\.$"):
        configure(TASK, {"success_angle": 0}, "config.yaml")


def test_the_experiment_commands_only_what_joint_7_reaches_by_less_than_half_a_turn() -> None:
    """From any start; the joint turns the hand the other way round than yaw counts."""
    experiment = yaml.safe_load((REPOSITORY / "experiments" / "reach.yaml").read_text(encoding="utf-8"))
    cfg = configure(TASK, experiment["task"]["overrides"])
    starts = sorted(CFG.default_joints[6] * factor for factor in CFG.start_scale)
    for yaw in cfg.target_yaw:
        joint_7 = math.pi / 4 + math.pi - yaw
        assert -2.9 < joint_7 < 2.9
        assert all(abs(joint_7 - start) < math.pi + 0.01 for start in starts)


def test_the_task_is_one_folder_of_210_lines() -> None:
    """What a task costs: this folder, without kernels, and no line elsewhere."""
    lines = sum(len(path.read_text().splitlines()) for path in FOLDER.glob("*.py"))
    assert lines <= 210
    assert TASK.kernels is None
    assert sorted(path.name for path in FOLDER.iterdir() if path.is_file()) == [
        "__init__.py", "agent.json", "description.py", "task.py"
    ]  # fmt: skip


def test_a_run_of_50_iterations_brings_the_hand_nearer() -> None:
    agent = copy.deepcopy(load_agent(registry.agent_file("reach")))
    env = make_env("mujoco", "reach", num_envs=128, seed=1, threads=1, task_cfg={"episode_length_s": 1.0})
    assert isinstance(env, MujocoEnv)
    torch.manual_seed(1)
    runner = Runner(env, agent, seed=1, device="cpu", threads=1)
    scalars = [runner.iterate().scalars for _ in range(50)]
    distances = [s["Metrics/ee_pose/position_error"] for s in scalars if "Metrics/ee_pose/position_error" in s]
    assert sum(distances[-5:]) / 5 < 0.75 * sum(distances[:5]) / 5
