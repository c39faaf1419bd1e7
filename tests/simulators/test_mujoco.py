"""The MuJoCo simulator: the task's physics, honest and the same for every number of threads."""

import copy

import mujoco
import numpy as np
import pytest
import torch

from manyseeds.core.errors import UserError
from manyseeds.core.layout import REPOSITORY
from manyseeds.evaluation.evaluate import evaluation_starts
from manyseeds.simulators import NonFiniteError, make_env
from manyseeds.simulators.base import TaskEnv
from manyseeds.simulators.model import load_model
from manyseeds.simulators.mujoco import MujocoEnv
from manyseeds.tasks.lift_object import task
from manyseeds.tasks.lift_object.grasp_starts import grasp_starts
from manyseeds.tasks.lift_object.task import TASK

CLOSE = torch.tensor([0.0, 0, 0, 0, 0, 0, 0, -1])


def environment(num_envs: int = 8, **changes: object) -> MujocoEnv:
    values = {"num_envs": num_envs, "seed": 1, "threads": 1} | changes
    return make_env("mujoco", "lift_object", **values)  # type: ignore[arg-type]


def joint_pos(env: TaskEnv) -> torch.Tensor:
    return env.state().qpos[:, :9]


def object_pos(env: TaskEnv) -> torch.Tensor:
    return env.state().qpos[:, 9:12]


def hand_pos(env: TaskEnv) -> torch.Tensor:
    return env.state().sites["end_effector"]


def around_the_cube(num_envs: int = 64) -> MujocoEnv:
    """Every environment with the open hand around the resting cube."""
    env = environment(num_envs, task_cfg={"grasp_start_share": 1.0}, auto_reset=True)
    starts = grasp_starts(env.task_cfg)
    env._qpos[:, :7] = starts.arm[:num_envs].numpy()
    env._qpos[:, 9:12] = starts.object_pos[:num_envs].numpy()
    env._auto_reset = False
    return env


def rollout(env: MujocoEnv, steps: int, seed: int = 0) -> list[torch.Tensor]:
    """Observations, rewards and dones under noise."""
    generator = torch.Generator().manual_seed(seed)
    results = []
    for _ in range(steps):
        obs, rewards, dones, _ = env.step(torch.randn(env.num_envs, 8, generator=generator))
        results += [obs["policy"], rewards, dones]
    return results


def test_the_end_effector_is_where_mujoco_says() -> None:
    """Our kinematics replace MuJoCo's position stage; MuJoCo is the oracle."""
    env = environment(64)
    rollout(env, 20)
    model = env._model
    data = mujoco.MjData(model)
    for i in range(env.num_envs):
        data.qpos[:] = env._qpos[i]
        mujoco.mj_kinematics(model, data)
        expected = torch.tensor(data.site("end_effector").xpos, dtype=torch.float32)
        torch.testing.assert_close(hand_pos(env)[i], expected, atol=1e-6, rtol=0)


def test_the_home_pose_holds_still_and_keeps_its_limits() -> None:
    env = environment(auto_reset=False)
    for _ in range(100):
        env.step(torch.zeros(8, 8))
    torch.testing.assert_close(joint_pos(env)[0, :7], torch.tensor(task.LiftObjectCfg().default_arm))
    model = env._model
    forces = [model.jnt_actfrcrange[model.joint(f"panda_joint{i}").id, 1] for i in range(1, 8)]
    assert forces == [87, 87, 87, 87, 12, 12, 12]


def test_joints_stay_below_a_pandas_speed_limits() -> None:
    """2.175 rad/s for joints 1-4, 2.61 rad/s for 5-7 (Franka's control parameters), under the wildest targets."""
    env = environment(64, auto_reset=False)
    generator = torch.Generator().manual_seed(0)
    fastest = torch.zeros(7)
    for step in range(100):
        if step % 20 == 0:
            actions = 4 * torch.randn(64, 8, generator=generator)
        env.step(actions)
        fastest = torch.maximum(fastest, env.state().qvel[:, :7].abs().amax(0))
    assert (fastest <= torch.tensor([2.175] * 4 + [2.61] * 3)).all(), fastest


def test_a_closed_gripper_lifts_and_holds_the_cube_without_creeping_or_sinking_in() -> None:
    env = around_the_cube()
    for step in range(250):
        env.step(CLOSE.repeat(64, 1))
        if step == 100:
            grip = object_pos(env) - hand_pos(env)
    slipped = (object_pos(env) - hand_pos(env) - grip).norm(dim=1)
    assert (object_pos(env)[:, 2] > 0.2).all()
    assert slipped.median() < 0.002 and slipped.max() < 0.01
    penetration = 0.024 - joint_pos(env)[:, 7:].mean(1)
    assert penetration.abs().median() < 0.002


def test_the_fingers_press_as_hard_as_a_panda_hand_may_and_sink_in_a_little() -> None:
    """A Panda hand grips with up to 70 N; the servo's 1000 N/m over half the cube give 24 N at each finger."""
    env = around_the_cube(8)
    for _ in range(150):
        env.step(CLOSE.repeat(8, 1))
    data, force = mujoco.MjData(env._model), np.empty(6)
    for i in range(8):
        data.qpos, data.qvel, data.ctrl, data.qacc_warmstart = (
            x[i] for x in (env._qpos, env._qvel, env._ctrl, env._warmstart)
        )
        mujoco.mj_forward(env._model, data)
        pressed = {"left_pad": 0.0, "right_pad": 0.0}
        for c, contact in enumerate(data.contact):
            touching = {env._model.geom(g).name for g in contact.geom}
            assert "object" in touching and contact.dist > -0.002, touching
            mujoco.mj_contactForce(env._model, data, c, force)
            pressed[(touching - {"object"}).pop()] += force[0]
        assert all(20 < normal < 30 for normal in pressed.values()), pressed


def test_torques_stay_within_a_pandas_limits() -> None:
    """87 N m for joints 1-4, 12 N m for 5-7, under the wildest targets."""
    env = environment(16, auto_reset=False)
    generator = torch.Generator().manual_seed(0)
    data, limits = mujoco.MjData(env._model), np.array([87] * 4 + [12] * 3)
    largest = np.zeros(7)
    for _ in range(30):
        env.step(6 * torch.randn(16, 8, generator=generator))
        for i in range(16):
            data.qpos, data.qvel, data.ctrl = (x[i] for x in (env._qpos, env._qvel, env._ctrl))
            mujoco.mj_forward(env._model, data)
            largest = np.maximum(largest, np.abs(data.qfrc_actuator[:7]))
    assert (largest <= limits).all() and (largest > limits / 2).all(), largest


def test_a_shaken_grasp_never_throws_the_cube() -> None:
    """A contact solver that does not converge shoots cubes away at 20 m/s, and policies learn to do that."""
    env = around_the_cube()
    generator = torch.Generator().manual_seed(0)
    fastest = 0.0
    for _ in range(60):
        actions = torch.randn(64, 8, generator=generator)
        actions[:, 7] = -1.0
        env.step(actions)
        fastest = max(fastest, float(np.linalg.norm(env._qvel[:, 9:12], axis=1).max()))
    assert fastest < 4.0


def test_the_contact_solver_converges_where_it_once_threw_the_cube() -> None:
    """States of trained policies' episodes in which 20 iterations of the line search shot the cube away at 2 to 8 m/s.

    The solver with 500 iterations of each kind and no tolerance is the oracle.
    """
    model = load_model(TASK, task.LiftObjectCfg())
    exact = copy.copy(model)
    exact.opt.iterations, exact.opt.ls_iterations, exact.opt.tolerance = 500, 500, 1e-12
    data = mujoco.MjData(model)
    with np.load(REPOSITORY / "tests/tasks/lift_object/moving_grasps.npz") as states:
        for qpos, qvel, warmstart, ctrl in zip(*(states[key] for key in states.files), strict=True):
            velocities = []
            for solver in (model, exact):
                mujoco.mj_resetData(model, data)
                data.qpos, data.qvel, data.qacc_warmstart, data.ctrl = qpos, qvel, warmstart, ctrl
                mujoco.mj_step(solver, data, nstep=2)
                velocities.append(data.qvel.copy())
            np.testing.assert_allclose(*velocities, atol=1e-2)


def test_the_number_of_threads_changes_no_bit() -> None:
    for one, two in zip(rollout(environment(threads=1), 40), rollout(environment(threads=2), 40), strict=True):
        assert torch.equal(one, two)


def test_another_seed_is_another_run() -> None:
    assert not torch.equal(rollout(environment(seed=1), 1)[0], rollout(environment(seed=2), 1)[0])


def test_a_restored_state_goes_on_bit_identically() -> None:
    env = environment(task_cfg={"grasp_start_share": 0.5, "episode_length_s": 0.4})
    rollout(env, 15)
    saved = env.state_dict()
    expected = rollout(env, 50, seed=1)
    other = environment(seed=7, task_cfg={"grasp_start_share": 0.5, "episode_length_s": 0.4})
    other.load_state_dict(saved)
    for one, two in zip(expected, rollout(other, 50, seed=1), strict=True):
        assert torch.equal(one, two)


def test_episodes_end_by_the_clock_and_report_their_means() -> None:
    env = environment(task_cfg={"episode_length_s": 0.2})
    for step in range(1, 11):
        _, _, dones, extras = env.step(torch.zeros(8, 8))
        assert dones.all() == (step == 10)
    assert extras["time_outs"].all()
    log = extras["log"]
    assert {f"Episode_Reward/{name}" for name in TASK.rewards} <= set(log)
    assert log["Episode_Termination/time_out"] == 1
    assert {"Metrics/object_pose/position_error", "Metrics/object_pose/orientation_error"} <= set(log)
    assert (env.episode_length_buf == 0).all()


def test_a_dropped_cube_ends_the_episode_and_is_no_time_out() -> None:
    env = environment()
    env._qpos[3, 9:12] = (0.5, 0.0, -0.2)
    _, _, dones, extras = env.step(torch.zeros(8, 8))
    assert dones.tolist() == [0, 0, 0, 1, 0, 0, 0, 0]
    assert not extras["time_outs"].any()
    assert extras["log"]["Episode_Termination/object_dropped"] == 1


def test_evaluation_episodes_start_where_they_are_told_and_never_end() -> None:
    env = environment(auto_reset=False)
    starts = evaluation_starts(env, 8, 5)
    env.reset_to(starts)
    assert torch.equal(env.state().qpos, starts.qpos.float())
    assert torch.equal(env.state().command, starts.command)
    for _ in range(260):
        _, _, dones, _ = env.step(torch.zeros(8, 8))
        assert not dones.any()


def test_the_first_evaluation_episodes_do_not_depend_on_their_number() -> None:
    env = environment(1)
    few, many = evaluation_starts(env, 10, 3), evaluation_starts(env, 1000, 3)
    assert torch.equal(few.qpos, many.qpos[:10]) and torch.equal(few.command, many.command[:10])


def test_grasp_starts_put_the_cube_between_the_fingers() -> None:
    env = around_the_cube()
    distance = (object_pos(env) - hand_pos(env)).norm(dim=1)
    assert distance.max() < 1e-3
    assert len(grasp_starts(env.task_cfg).arm) > 200


def test_episodes_start_anywhere_between_home_and_grasp_with_the_cube_at_rest() -> None:
    env = environment(256, task_cfg={"grasp_start_share": 1.0, "episode_length_s": 0.02})
    env.step(torch.zeros(256, 8))
    distance = (object_pos(env) - hand_pos(env)).norm(dim=1)
    assert distance.min() < 0.05 and distance.max() > 0.25
    assert (object_pos(env)[:, 2] < 0.03).all()


def test_a_small_exponent_starts_more_episodes_near_the_cube() -> None:
    far = {}
    for exponent in (1.0, 0.5):
        task_cfg = {"grasp_start_share": 1.0, "grasp_start_exponent": exponent, "episode_length_s": 0.02}
        env = environment(256, task_cfg=task_cfg)
        env.step(torch.zeros(256, 8))
        far[exponent] = (object_pos(env) - hand_pos(env)).norm(dim=1)
    # The same draws: with 0.5 every arm has gone at least as far, the mean share of the way is 2/3 instead of 1/2.
    assert (far[0.5] <= far[1.0] + 0.01).all()
    assert far[0.5].mean() < 0.8 * far[1.0].mean()


def test_what_is_not_finite_is_named_with_its_environment() -> None:
    env = environment()
    actions = torch.zeros(8, 8)
    actions[5, 2] = float("nan")
    with pytest.raises(NonFiniteError, match="environment 5") as error:
        env.step(actions)
    assert error.value.env_index == 5
    env = environment()
    env._qvel[2, 3] = float("inf")
    with pytest.raises(NonFiniteError, match="environment 2"):
        env.step(torch.zeros(8, 8))


def test_a_picture_shows_the_robot() -> None:
    env = environment(2)
    picture = env.render(0, 160, 120)
    env.close()
    assert picture.shape == (120, 160, 3) and picture.dtype == np.uint8
    assert picture.std() > 20


@pytest.mark.parametrize(
    "wrong",
    [{"num_envs": 0}, {"device": "tpu"}, {"task_cfg": {"gravity": 1}}],
)
def test_wrong_arguments_are_refused(wrong: dict) -> None:
    with pytest.raises(UserError):
        environment(**wrong)
