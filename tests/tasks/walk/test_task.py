"""The task walk against MuJoCo and independent computations: its robot, its terms, and how episodes are judged."""

import math

import mujoco
import numpy as np
import pytest
import torch

from manyseeds.config.loading import load
from manyseeds.core.errors import UserError
from manyseeds.core.layout import PACKAGE, REPOSITORY
from manyseeds.learning.agent import load_agent
from manyseeds.learning.runner import Runner
from manyseeds.simulators import make_env
from manyseeds.simulators.base import TaskEnv
from manyseeds.simulators.model import load_model
from manyseeds.tasks import base, registry
from manyseeds.tasks.base import State, Trace, configure
from manyseeds.tasks.walk import description, task
from manyseeds.tasks.walk.description import FEET, FOOT_RADIUS, TRUNK
from manyseeds.tasks.walk.task import TASK, WalkCfg

CFG = WalkCfg()
MODEL = load_model(TASK, CFG)
FOLDER = PACKAGE / "tasks" / "walk"
DEFAULT = np.array(CFG.default_joints)


def quaternions(n: int, generator: torch.Generator, tilt: float = 1.0) -> torch.Tensor:
    """Rotations, not far from upright for a small tilt."""
    draws = tilt * torch.randn(n, 4, generator=generator)
    draws[:, 0] += 1
    return torch.nn.functional.normalize(draws, dim=1)


def random_state(n: int = 32) -> State:
    """A state in which nothing is special; half of the feet are on the floor."""
    generator = torch.Generator().manual_seed(3)

    def draw(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=generator)

    position = torch.cat((draw(n, 2), 0.3 + 0.1 * draw(n, 1)), dim=1)
    feet = {name: torch.cat((draw(n, 2), FOOT_RADIUS + 0.02 * draw(n, 1).abs()), dim=1) for name in FEET}
    return State(
        qpos=torch.cat((position, quaternions(n, generator, 0.3), draw(n, 12)), dim=1),
        qvel=draw(n, 18),
        sites=feet,
        rotations={name: quaternions(n, generator) for name in FEET},
        command=draw(n, 3),
        action=draw(n, 12),
        previous_action=draw(n, 12),
        episode_length=torch.full((n,), 60),
        memory=draw(n, TASK.memory_width).abs(),
    )


def matrix(quaternion: np.ndarray) -> np.ndarray:
    """The rotation matrix of w x y z, by MuJoCo."""
    result = np.empty(9)
    mujoco.mju_quat2Mat(result, np.asarray(quaternion, float))
    return result.reshape(3, 3)


def environment(num_envs: int = 4, **changes: float) -> TaskEnv:
    return make_env("mujoco", "walk", num_envs=num_envs, seed=1, threads=1, auto_reset=False, task_cfg=changes)


def data_of(env: TaskEnv, index: int) -> mujoco.MjData:
    """MuJoCo's own quantities of an environment's state, with the controls of its last action."""
    state, data = env.state(), mujoco.MjData(MODEL)
    data.qpos[:], data.qvel[:] = state.qpos[index].double(), state.qvel[index].double()
    data.ctrl[:] = task.act(CFG, state.action)[index].double()
    mujoco.mj_forward(MODEL, data)
    return data


def standing() -> mujoco.MjData:
    """The robot in the pose in which episodes start, whose servos keep it."""
    data = mujoco.MjData(MODEL)
    data.qpos[:], data.ctrl[:] = [0, 0, CFG.start_height, 1, 0, 0, 0, *DEFAULT], DEFAULT
    return data


def test_numbers_are_those_of_isaac_lab() -> None:
    assert CFG.step_dt == pytest.approx(0.02)
    assert (CFG.episode_length, TASK.description.episode_steps) == (1000, 1000)
    assert (TASK.action_width, TASK.observation_width, TASK.command_width) == (12, 48, 3)
    assert TASK.termination_names == ("time_out", "base_contact")
    weights = dict(zip(TASK.rewards, (base.reward_weights(TASK, CFG) * 50).tolist(), strict=True))
    assert weights == pytest.approx(
        {
            "track_lin_vel_xy_exp": 1.5, "track_ang_vel_z_exp": 0.75, "lin_vel_z_l2": -2.0, "ang_vel_xy_l2": -0.05,
            "dof_torques_l2": -2e-4, "dof_acc_l2": -2.5e-7, "action_rate_l2": -0.01, "feet_air_time": 0.25,
            "flat_orientation_l2": -2.5,
        }
    )  # fmt: skip
    assert CFG.tracking_std**2 == 0.25


def test_the_robot_has_the_published_numbers_and_the_formulas_have_the_robot_s() -> None:
    model = MODEL
    assert model.body_mass.sum() == pytest.approx(6.921 + 4 * (0.678 + 1.152 + 0.241352))
    assert [model.actuator(i).trnid[0] for i in range(12)] == list(range(1, 13))
    np.testing.assert_array_equal(model.actuator_forcerange[:, 1], task.TORQUE_LIMITS)
    np.testing.assert_array_equal(model.actuator_forcerange[:, 0], -np.array(task.TORQUE_LIMITS))
    np.testing.assert_array_equal(model.geom("trunk").size, TRUNK)
    assert not model.geom("trunk").pos.any()
    for name in FEET:
        assert model.geom(name).size[0] == FOOT_RADIUS
        np.testing.assert_array_equal(model.geom(name).pos, model.site(name).pos)
    assert (model.jnt_range[1:, 0] < DEFAULT).all() and (model.jnt_range[1:, 1] > DEFAULT).all()


def test_left_and_right_are_mirror_images() -> None:
    """When every leg takes the mirrored pose of the one on the other side, so does the centre of mass."""
    pose = np.random.default_rng(0).uniform([-0.3, 0.6, -1.9], [0.3, 1.2, -1.3], (4, 3))
    centres = []
    for joints in (pose, pose[[1, 0, 3, 2]] * [-1, 1, 1]):
        data = mujoco.MjData(MODEL)
        data.qpos[7:] = joints.ravel()
        mujoco.mj_forward(MODEL, data)
        centres.append(data.subtree_com[1].copy())
    np.testing.assert_allclose(centres[0] * [1, -1, 1], centres[1], atol=2e-5)


def test_the_terms_are_those_that_mujoco_computes() -> None:
    """Velocities, gravity, torques and heights of a robot that stumbles about."""
    env = environment()
    generator = torch.Generator().manual_seed(0)
    for _ in range(12):
        env.step(2 * torch.randn(4, 12, generator=generator))
    state = env.state()
    for i in range(4):
        data = data_of(env, i)
        motion = np.empty(6)
        mujoco.mj_objectVelocity(data.model, data, mujoco.mjtObj.mjOBJ_XBODY, 1, motion, 1)
        rotation = data.body("trunk").xmat.reshape(3, 3)
        corners = np.array([[x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)]) * TRUNK @ rotation.T
        lowest = data.qpos[2] + corners[:, 2].min()
        np.testing.assert_allclose(task.velocity(CFG, state)[i], motion[3:], atol=1e-5)
        np.testing.assert_allclose(state.qvel[i, 3:6], motion[:3], atol=1e-5)
        np.testing.assert_allclose(task.vertical(CFG, state)[i], rotation[2], atol=1e-6)
        np.testing.assert_allclose(task.torques(CFG, state)[i], data.actuator_force, atol=1e-3)
        for above, down in ((1e-4, True), (-1e-4, False)):
            cfg = configure(TASK, {"contact_height": max(0.0, lowest + above)})
            assert lowest < 0 or bool(description.trunk_down(cfg, state)[i]) == down


def test_rewards_are_those_that_numpy_computes() -> None:
    state = random_state()
    rewards = base.rewards(TASK, CFG, state).double().numpy() / CFG.step_dt
    s = {name: getattr(state, name).double().numpy() for name in ("qpos", "qvel", "command", "action", "memory")}
    before = state.previous_action.double().numpy()
    for i in range(len(rewards)):
        rotation, command = matrix(s["qpos"][i, 3:7]), s["command"][i]
        velocity, gravity = rotation.T @ s["qvel"][i, :3], rotation.T @ [0, 0, -1]
        turning = s["qvel"][i, 3:6]
        target = DEFAULT + 0.25 * s["action"][i]
        limits = np.array([23.7, 23.7, 45.43] * 4)
        torque = np.clip(25 * (target - s["qpos"][i, 7:]) - 0.5 * s["qvel"][i, 6:], -limits, limits)
        terms = {
            "track_lin_vel_xy_exp": 1.5 * math.exp(-((velocity[:2] - command[:2]) ** 2).sum() / 0.25),
            "track_ang_vel_z_exp": 0.75 * math.exp(-((turning[2] - command[2]) ** 2) / 0.25),
            "lin_vel_z_l2": -2 * velocity[2] ** 2,
            "ang_vel_xy_l2": -0.05 * (turning[:2] ** 2).sum(),
            "dof_torques_l2": -2e-4 * (torque**2).sum(),
            "dof_acc_l2": -2.5e-7 * s["memory"][i, 12],
            "action_rate_l2": -0.01 * ((s["action"][i] - before[i]) ** 2).sum(),
            "feet_air_time": 0.25 * s["memory"][i, 17] * (np.linalg.norm(command[:2]) > 0.1),
            "flat_orientation_l2": -2.5 * (gravity[:2] ** 2).sum(),
        }
        assert tuple(terms) == tuple(TASK.rewards)
        np.testing.assert_allclose(rewards[i], list(terms.values()), rtol=1e-4, atol=1e-5)


def test_the_memory_is_what_a_loop_over_steps_computes() -> None:
    """Random states in a row, feet up and down: accelerations, time in the air, touch-downs and errors."""
    cfg = configure(TASK, {"success_after_s": 0.1, "contact_height": 0.015})
    memory = torch.zeros(8, TASK.memory_width)
    before, air = np.zeros((8, 12)), np.zeros((8, 4))
    linear, yaw = np.zeros(8), np.zeros(8)
    touched = 0
    for step in range(1, 12):
        state = random_state(8)
        shuffled = torch.Generator().manual_seed(step)
        state.qvel = torch.randn(8, 18, generator=shuffled)
        for name in FEET:
            state.sites[name][:, 2] = FOOT_RADIUS + 0.03 * torch.rand(8, generator=shuffled)
        state.memory, state.episode_length = memory, torch.full((8,), step)
        memory = task.remember(cfg, state)
        for i in range(8):
            velocity = matrix(state.qpos[i, 3:7].numpy()).T @ state.qvel[i, :3].double().numpy()
            if step > 5:
                linear[i] += np.linalg.norm(velocity[:2] - state.command[i, :2].numpy())
                yaw[i] += abs(state.qvel[i, 5].item() - state.command[i, 2].item())
            reward = 0.0
            for foot, name in enumerate(FEET):
                if state.sites[name][i, 2] < FOOT_RADIUS + 0.015:
                    reward += (air[i, foot] + 0.02 - 0.5) if air[i, foot] > 0 else 0.0
                    touched += air[i, foot] > 0
                    air[i, foot] = 0
                else:
                    air[i, foot] += 0.02
            joints = state.qvel[i, 6:].double().numpy()
            acceleration = (((joints - before[i]) / 0.02) ** 2).sum()
            before[i] = joints
            expected = [*joints, acceleration, *air[i], reward, linear[i], yaw[i], max(0, step - 5)]
            np.testing.assert_allclose(memory[i], expected, rtol=1e-4, atol=1e-5)
    assert touched > 20
    state = random_state(8)
    state.memory, state.episode_length = memory, torch.full((8,), 11)
    np.testing.assert_allclose(base.metrics(TASK, cfg, state).T, [linear / 6, yaw / 6], rtol=1e-4)


def test_the_observation_is_isaac_lab_s() -> None:
    state = random_state(2)
    parts = base.observe(TASK, CFG, state).split([term.width for term in TASK.observations.values()], dim=1)
    velocity, turning, gravity, command, positions, velocities, actions = parts
    for i in range(2):
        rotation = matrix(state.qpos[i, 3:7].numpy())
        np.testing.assert_allclose(velocity[i], rotation.T @ state.qvel[i, :3].numpy(), atol=1e-5)
        np.testing.assert_allclose(gravity[i], rotation.T @ [0, 0, -1], atol=1e-6)
    torch.testing.assert_close(turning, state.qvel[:, 3:6])
    torch.testing.assert_close(command, state.command)
    torch.testing.assert_close(positions, state.qpos[:, 7:] - torch.tensor(CFG.default_joints))
    torch.testing.assert_close(velocities, state.qvel[:, 6:])
    torch.testing.assert_close(actions, state.action)


def trace_of(steps: int, n: int, command: list[float]) -> Trace:
    """Upright robots that stand still with their feet on the floor, from `success_after_s` = 0.04 s on."""
    qpos = torch.zeros(steps, n, 19)
    qpos[..., 2], qpos[..., 3] = 0.3, 1.0
    feet = {name: torch.tensor([0.0, 0.0, FOOT_RADIUS - 1e-4]).repeat(steps, n, 1) for name in FEET}
    still = {name: torch.tensor([1.0, 0, 0, 0]).repeat(steps, n, 1) for name in FEET}
    return Trace(qpos, torch.zeros(steps, n, 18), feet, still, torch.tensor(command).repeat(n, 1), CFG.step_dt)


def test_mean_errors_and_falls_decide_an_episode() -> None:
    """Five robots: exact; exact but for the first steps; too slow; turning; on their belly for one step."""
    cfg = configure(TASK, {"success_after_s": 0.04})
    trace = trace_of(10, 5, [0.3, -0.4, 0.5])
    half = math.sqrt(0.5)
    trace.qpos[..., 3], trace.qpos[..., 6] = half, half  # turned to the left by a quarter: forward is the world's y
    trace.qvel[..., 0], trace.qvel[..., 1], trace.qvel[..., 5] = 0.4, 0.3, 0.5
    trace.qvel[:2, 1] = 0.0
    trace.qvel[:, 2, 1] = 0.04  # 0.26 m/s too slow
    trace.qvel[:, 3, 5] = 0.76
    trace.qpos[4, 4, 2] = TRUNK[2]
    outcomes = description.judge(cfg, trace)
    assert outcomes["followed"].tolist() == [True, True, False, False, False]
    assert outcomes["fell"].tolist() == [False, False, False, False, True]
    np.testing.assert_allclose(outcomes["velocity_error"], [0, 0, 0.26, 0, 0], atol=1e-6)
    np.testing.assert_allclose(outcomes["yaw_rate_error"], [0, 0, 0, 0.26, 0], atol=1e-6)
    assert tuple(outcomes) == tuple(outcome.name for outcome in TASK.description.outcomes)


def test_a_foot_that_rolls_does_not_slip() -> None:
    """Feet that stay, slide, roll without a slip, spin in place, hover, and skim the floor; each at 0.1 m/s."""
    trace = trace_of(6, 6, [0.0, 0.0, 0.0])
    times = torch.arange(6) * CFG.step_dt
    angles = 0.1 / FOOT_RADIUS * times
    for name in FEET:
        trace.sites[name][:, 1, 0] = 0.1 * times
        trace.sites[name][:, 2, 0] = 0.1 * times
        trace.sites[name][:, 4, 0] = 0.1 * times
        trace.sites[name][:, 4, 2] += 0.01
        trace.sites[name][:, 5, 0] = 0.1 * times
        trace.sites[name][:, 5, 2] += 0.001
        trace.rotations[name][:, 2:4, 0] = (angles / 2).cos()[:, None]
        trace.rotations[name][:, 2:4, 2] = (angles / 2).sin()[:, None]
        trace.rotations[name][3:, 2] *= -1  # the same rotation
    outcomes = description.judge(configure(TASK, {"success_after_s": 0.04}), trace)
    np.testing.assert_allclose(outcomes["foot_slip"], [0, 0.1, 0, 0.1, 0, 0], atol=1e-4)
    np.testing.assert_allclose(outcomes["air_time"], [0, 0, 0, 0, 1, 0], atol=1e-6)


def test_what_training_counts_as_success_is_what_the_judge_says() -> None:
    """Commands around zero; the robot stands still, and leans on its feet for the whole episode."""
    env = environment(16, episode_length_s=1.5, command_x=(0.0, 0.5), command_y=(0.0, 0.0), success_after_s=0.5)
    states = []
    for _ in range(env.max_episode_length):
        env.step(torch.zeros(16, 12))
        states.append(env.state())
        for part in ("qpos", "qvel"):
            setattr(states[-1], part, getattr(states[-1], part).clone())
    last = states[-1]
    trace = Trace(
        torch.stack([s.qpos for s in states]),
        torch.stack([s.qvel for s in states]),
        {name: torch.stack([s.sites[name] for s in states]) for name in FEET},
        {name: torch.stack([s.rotations[name] for s in states]) for name in FEET},
        last.command,
        env.step_dt,
    )
    outcomes = description.judge(env.task_cfg, trace)
    assert 0 < outcomes["followed"].sum() < 16
    assert torch.equal(task.success(env.task_cfg, last), outcomes["followed"])
    errors = torch.stack((outcomes["velocity_error"], outcomes["yaw_rate_error"]), dim=1)
    torch.testing.assert_close(base.metrics(TASK, env.task_cfg, last), errors, atol=1e-5, rtol=1e-4)


def test_an_episode_in_which_no_step_counts_is_no_success() -> None:
    cfg = configure(TASK, {"success_after_s": 2.0, "episode_length_s": 0.2})
    assert not description.judge(cfg, trace_of(10, 2, [0.0, 0.0, 0.0]))["followed"].any()
    state = random_state(2)
    state.memory, state.episode_length = torch.zeros(2, TASK.memory_width), torch.full((2,), 10)
    assert not task.success(cfg, state).any()


def test_a_robot_without_actions_stands_for_a_whole_episode() -> None:
    """Its feet sink into the floor by less than a millimetre and stay, and no servo is at its limit."""
    data = standing()
    for step in range(CFG.episode_length * CFG.decimation):
        mujoco.mj_step(MODEL, data)
        if step == 400:
            before = {name: data.site(name).xpos.copy() for name in FEET}
    mujoco.mj_forward(MODEL, data)
    assert data.qpos[2] > 0.22 and abs(data.qvel).max() < 0.05
    assert len(data.contact) == 4 and min(contact.dist for contact in data.contact) > -0.001
    assert max(np.linalg.norm(data.site(name).xpos - before[name]) for name in FEET) < 0.05
    assert np.abs(data.actuator_force).max() < 10
    weight = MODEL.body_mass.sum() * 9.81
    assert sum(_normal_force(data, i) for i in range(4)) == pytest.approx(weight, rel=0.02)


def _normal_force(data: mujoco.MjData, contact: int) -> float:
    force = np.empty(6)
    mujoco.mj_contactForce(MODEL, data, contact, force)
    return float(force[0])


def test_wild_actions_keep_to_limits_and_stay_above_the_floor() -> None:
    """Wilder than a policy at the start of training: torques, joints, and every part that can touch the floor."""
    data, random = standing(), np.random.default_rng(0)
    for step in range(1600):
        if step % CFG.decimation == 0:
            data.ctrl[:] = DEFAULT + 1.5 * CFG.action_scale * random.normal(size=12)
        mujoco.mj_step(MODEL, data)
        assert (np.abs(data.actuator_force) <= np.array(task.TORQUE_LIMITS) + 1e-9).all()
        low, high = MODEL.jnt_range[1:].T
        assert (data.qpos[7:] > low - 0.1).all() and (data.qpos[7:] < high + 0.1).all()
        assert all(contact.dist > -0.025 for contact in data.contact)


def test_a_fallen_robot_lies_on_the_floor_and_is_noticed() -> None:
    env = environment(2)
    starts = task.start(CFG, 2, torch.Generator().manual_seed(0))
    starts.qpos[0, 3:7] = torch.tensor([0.0, 1.0, 0.0, 0.0])  # on its back
    starts.qpos[1, 3:7] = torch.tensor([math.sqrt(0.5), math.sqrt(0.5), 0.0, 0.0])  # on its side
    env.reset_to(starts)
    for _ in range(100):
        env.step(torch.zeros(2, 12))
    assert description.trunk_down(CFG, env.state()).tolist() == [True, True]
    assert base.terminations(TASK, CFG, env.state())[:, 1].all()
    assert (env.state().qpos[:, 2] > 0.03).all() and (env.state().qpos[:, 2] < 0.25).all()


def test_ten_iterations_of_the_solver_are_enough() -> None:
    """A step with the MJCF's 10 iterations and one with 200 end with the same velocities, among many contacts."""
    exact = load_model(TASK, CFG)
    assert MODEL.opt.iterations == 10
    exact.opt.iterations, exact.opt.ls_iterations = 200, 100
    data, other = standing(), mujoco.MjData(exact)
    random, worst, contacts = np.random.default_rng(0), 0.0, 0
    for step in range(400):
        if step % CFG.decimation == 0:
            data.ctrl[:] = DEFAULT + random.normal(0, 0.5, 12)
        for part in ("qpos", "qvel", "ctrl", "qacc_warmstart"):
            getattr(other, part)[:] = getattr(data, part)
        mujoco.mj_step(exact, other)
        mujoco.mj_step(MODEL, data)
        contacts += len(data.contact)
        worst = max(worst, np.abs(other.qvel - data.qvel).max())
    assert contacts > 200 and worst < 1e-3


def test_episodes_start_in_the_default_pose_with_commands_in_their_ranges() -> None:
    starts = task.start(CFG, 4000, torch.Generator().manual_seed(0))
    assert (starts.qpos == starts.qpos[0]).all()
    data = mujoco.MjData(MODEL)
    data.qpos[:] = starts.qpos[0]
    mujoco.mj_forward(data.model, data)
    heights = [data.site(name).xpos[2] - FOOT_RADIUS for name in FEET]
    assert min(heights) > 0 and max(heights) < 0.015
    still = (starts.command == 0).all(1)
    assert still.float().mean().item() == pytest.approx(0.02, abs=0.01)
    assert torch.equal(still, (starts.command == 0).any(1))
    for index, name in enumerate(("command_x", "command_y", "command_yaw")):
        column = starts.columns[name]
        assert torch.equal(column, starts.command[:, index])
        assert -1 <= column.min() < -0.99 and 0.99 < column.max() <= 1
    few = task.start(CFG, 10, torch.Generator().manual_seed(0))
    assert torch.equal(few.command, starts.command[:10])


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"stiffness": 0}, r"'stiffness' is 0\.0; it must be greater than 0\."),
        ({"standing_share": -0.1}, r"'standing_share' is -0\.1; it must be 0 or greater\."),
        ({"success_velocity_error": 0}, r"'success_velocity_error' is 0\.0; it must be greater than 0\."),
    ],
)
def test_a_mistake_in_the_numbers_is_one_sentence(change: dict[str, float], sentence: str) -> None:
    with pytest.raises(UserError, match=rf"^config\.yaml: {sentence}$"):
        configure(TASK, change, "config.yaml")


def test_gains_of_the_config_are_those_of_the_servos() -> None:
    model = load_model(TASK, configure(TASK, {"stiffness": 30.0, "damping": 0.7}))
    np.testing.assert_array_equal(model.actuator_gainprm[:, 0], 30.0)
    np.testing.assert_array_equal(model.actuator_biasprm[:, 1:3], [[-30.0, -0.7]] * 12)


def test_the_number_of_threads_changes_no_bit() -> None:
    results = []
    for threads in (1, 3):
        env = make_env("mujoco", "walk", num_envs=32, seed=1, threads=threads, task_cfg={"episode_length_s": 1.2})
        generator = torch.Generator().manual_seed(0)
        for _ in range(80):
            observations, rewards, _, _ = env.step(2 * torch.randn(32, 12, generator=generator))
        results.append((observations["policy"], rewards))
    assert torch.equal(results[0][0], results[1][0]) and torch.equal(results[0][1], results[1][1])


def test_the_experiment_trains_with_short_episodes_and_judges_whole_ones() -> None:
    experiment = load([str(REPOSITORY / "experiments" / "walk.yaml")])
    (variant,) = experiment.variants
    assert variant.agent_file.endswith("agent.json")
    assert configure(TASK, experiment.evaluate.overrides).episode_length_s == 20.0


def test_the_task_is_one_folder_of_400_lines() -> None:
    lines = sum(len(path.read_text().splitlines()) for path in FOLDER.glob("*.py"))
    assert lines <= 400
    assert TASK.kernels is None


def test_a_run_of_25_iterations_falls_less() -> None:
    env = make_env("mujoco", "walk", num_envs=128, seed=1, threads=1, task_cfg={"episode_length_s": 5.0})
    torch.manual_seed(1)
    runner = Runner(env, load_agent(registry.agent_file("walk")), seed=1, device="cpu", threads=1)
    lengths = [runner.iterate().scalars.get("Train/mean_episode_length", math.nan) for _ in range(25)]
    assert lengths[-1] > 1.5 * np.nanmin(lengths)
