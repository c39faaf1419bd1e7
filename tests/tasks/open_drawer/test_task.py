"""The task open_drawer against Isaac Lab's numbers and MuJoCo: terms, honest physics, and how episodes are judged."""

import math
from dataclasses import replace

import mujoco
import numpy as np
import pytest
import torch
import yaml

from manyseeds.core.errors import UserError
from manyseeds.core.layout import REPOSITORY
from manyseeds.simulators import make_env
from manyseeds.simulators.model import load_model
from manyseeds.simulators.mujoco import MujocoEnv
from manyseeds.tasks import base
from manyseeds.tasks.base import Starts, State, Trace, configure
from manyseeds.tasks.open_drawer import task
from manyseeds.tasks.open_drawer.description import DRAWER
from manyseeds.tasks.open_drawer.handle_starts import HandleStarts, handle_starts
from manyseeds.tasks.open_drawer.task import TASK, OpenDrawerCfg

CFG = OpenDrawerCfg()
MODEL = load_model(TASK, CFG)
HANDLE = "cabinet_handle"


def environment(num_envs: int = 8, **changes: object) -> MujocoEnv:
    values = {"num_envs": num_envs, "seed": 1, "threads": 1, "auto_reset": False} | changes
    return make_env("mujoco", "open_drawer", **values)  # type: ignore[arg-type, return-value]


def poses(away: float, count: int = 8) -> HandleStarts:
    """The open hand this far in front of closed drawers, the same ones for every distance."""
    cfg = replace(CFG, success_opening=1e-9, handle_start_distance=(away, away))
    starts = handle_starts(cfg, count=count)
    assert len(starts.arm) == count
    return starts


def around_the_handle(num_envs: int = 8) -> MujocoEnv:
    env = environment(num_envs)
    near = poses(0.0, num_envs)
    rest = torch.tensor([0.04, 0.04, 0.0]).repeat(num_envs, 1)
    env.reset_to(Starts(torch.cat((near.arm, rest), dim=1), near.handle))
    return env


def action(arm: torch.Tensor, gripper: float) -> torch.Tensor:
    """The action that commands joint angles (n, 7)."""
    offsets = (arm - torch.tensor(CFG.default_arm)) / CFG.action_scale
    return torch.cat((offsets, torch.full((len(arm), 1), gripper)), dim=1)


def pull(env: MujocoEnv, gripper: float, steps: int = 120) -> float:
    """Bring the hand 0.34 m back within 2 s and wait; return the drawer's largest speed."""
    near, back, fastest = poses(0.0), poses(0.34), 0.0
    for step in range(steps):
        env.step(action(torch.lerp(near.arm, back.arm, min(1.0, step / 100)), gripper))
        fastest = max(fastest, env._qvel[:, DRAWER].max())
    return fastest


def data_of(env: MujocoEnv, index: int) -> mujoco.MjData:
    data = mujoco.MjData(env._model)
    data.qpos, data.qvel, data.ctrl, data.qacc_warmstart = (
        x[index] for x in (env._qpos, env._qvel, env._ctrl, env._warmstart)
    )
    data.mocap_pos = env._mocap[index].reshape(-1, 3)
    mujoco.mj_forward(env._model, data)
    return data


def touching(data: mujoco.MjData, contact: int) -> set[str]:
    return {data.model.geom(geom).name for geom in data.contact[contact].geom}


def make_state(n: int = 1, **changes: torch.Tensor) -> State:
    """A closed drawer, the open hand around its handle and turned as it should be."""
    handle = torch.tensor([[0.65, 0.0, 0.7]]).repeat(n, 1)
    turned = torch.tensor([[0.5, 0.5, 0.5, 0.5]]).repeat(n, 1)
    up = torch.tensor([0.0, 0.0, 0.04])
    home = torch.tensor([*CFG.default_arm, 0.04, 0.04, 0.0])
    parts = {
        "qpos": home.repeat(n, 1),
        "qvel": torch.zeros(n, 10),
        "end_effector": handle,
        "left_tip": handle + up,
        "right_tip": handle - up,
        "rotation": turned,
        "action": torch.zeros(n, 8),
        "previous_action": torch.zeros(n, 8),
    } | changes
    return State(
        qpos=parts["qpos"],
        qvel=parts["qvel"],
        sites={name: parts[name] for name in TASK.sites},
        rotations=dict.fromkeys(TASK.sites, parts["rotation"]),
        command=handle,
        action=parts["action"],
        previous_action=parts["previous_action"],
        episode_length=torch.full((n,), 10),
        memory=torch.zeros(n, 0),
    )


def term(name: str, state: State, cfg: OpenDrawerCfg = CFG) -> float:
    """One reward term of the first environment, weighted, without the step's duration."""
    return base.rewards(TASK, cfg, state)[0, list(TASK.rewards).index(name)].item() / cfg.step_dt


def opened(by: float, **changes: torch.Tensor) -> State:
    """The drawer open and the hand still where the handle was, so as high as the handle."""
    qpos = make_state().qpos.clone()
    qpos[:, DRAWER] = by
    return make_state(qpos=qpos, **changes)


def test_numbers_are_those_of_isaac_lab() -> None:
    assert (CFG.episode_length_s, CFG.episode_length, TASK.description.episode_steps) == (8.0, 400, 400)
    assert CFG.step_dt == pytest.approx(0.02)
    assert (TASK.action_width, TASK.observation_width, CFG.action_scale) == (8, 31, 1.0)
    assert TASK.termination_names == ("time_out",)
    weights = dict(zip(TASK.rewards, (base.reward_weights(TASK, CFG) * 50).tolist(), strict=True))
    assert weights == pytest.approx(
        {
            "approach_ee_handle": 2.0, "align_ee_handle": 0.5, "approach_gripper_handle": 5.0,
            "align_grasp_around_handle": 0.125, "grasp_handle": 0.5, "open_drawer_bonus": 7.5,
            "multi_stage_open_drawer": 1.0, "action_rate": -1e-2, "joint_vel": -1e-4,
        }
    )  # fmt: skip


def test_approaching_pays_by_an_inverse_square_law_and_twice_near_the_handle() -> None:
    away = torch.tensor([[0.65, 0.0, 0.7]])
    for distance, factor in ((0.0, 2), (0.19, 2), (0.21, 1), (1.0, 1)):
        state = make_state(end_effector=away - torch.tensor([distance, 0, 0]))
        assert term("approach_ee_handle", state) == pytest.approx(2 * factor / (1 + distance**2) ** 2, rel=1e-4)


def test_alignment_is_that_of_the_rotation_matrix() -> None:
    generator = torch.Generator().manual_seed(0)
    for rotation in torch.nn.functional.normalize(torch.randn(20, 4, generator=generator), dim=1):
        matrix = np.empty(9)
        mujoco.mju_quat2Mat(matrix, rotation.double().numpy())
        hand = matrix.reshape(3, 3)
        forward, left = hand[0, 2], hand[1, 0]  # the hand's z along the world's x, its x along the world's y
        expected = 0.5 * 0.5 * (math.copysign(forward**2, forward) + math.copysign(left**2, left))
        assert term("align_ee_handle", make_state(rotation=rotation[None])) == pytest.approx(expected, abs=1e-5)
    assert term("align_ee_handle", make_state()) == pytest.approx(0.5)


def test_fingers_are_paid_for_closing_around_the_handle_only() -> None:
    handle = torch.tensor([[0.65, 0.0, 0.7]])
    tips = {"left_tip": handle + torch.tensor([0, 0, 0.01]), "right_tip": handle - torch.tensor([0, 0, 0.02])}
    half_closed = make_state().qpos.clone()
    half_closed[:, 7:9] = torch.tensor([0.01, 0.02])
    state = make_state(qpos=half_closed, **tips)
    assert term("approach_gripper_handle", state) == pytest.approx(5 * (0.03 + 0.02), rel=1e-4)
    assert term("align_grasp_around_handle", state) == pytest.approx(0.125)
    assert term("grasp_handle", state) == pytest.approx(0.5 * (0.03 + 0.02), rel=1e-4)
    swapped = make_state(qpos=half_closed, left_tip=tips["right_tip"], right_tip=tips["left_tip"])
    assert term("approach_gripper_handle", swapped) == term("align_grasp_around_handle", swapped) == 0
    off = make_state(qpos=half_closed, end_effector=handle + torch.tensor([0, 0, 0.031]))
    assert term("grasp_handle", off) == 0


def test_opening_pays_by_width_and_stages_and_more_with_the_handle_between_the_fingers() -> None:
    handle = torch.tensor([[0.65, 0.0, 0.7]])
    beside = {"left_tip": handle + 0.1, "right_tip": handle + 0.05}
    for by, stages in ((0.005, 0), (0.1, 0.5), (0.25, 1.5), (0.35, 2.5)):
        assert term("open_drawer_bonus", opened(by)) == pytest.approx(7.5 * 2 * by, rel=1e-4)
        assert term("multi_stage_open_drawer", opened(by)) == pytest.approx(stages)
        assert term("open_drawer_bonus", opened(by, **beside)) == pytest.approx(7.5 * by, rel=1e-4)
        assert term("multi_stage_open_drawer", opened(by, **beside)) == pytest.approx(min(stages, 0.5))


def test_the_observation_is_isaac_lab_s() -> None:
    env = environment(4)
    for _ in range(5):
        obs, *_ = env.step(torch.randn(4, 8, generator=torch.Generator().manual_seed(0)))
    state = env.state()
    joints, speeds, drawer, drawer_speed, vector, last = obs["policy"].split((9, 9, 1, 1, 3, 8), dim=1)
    for i in range(4):
        data = data_of(env, i)
        np.testing.assert_allclose(vector[i], data.geom(HANDLE).xpos - data.site("end_effector").xpos, atol=1e-5)
        np.testing.assert_allclose(joints[i], data.qpos[:9] - [*CFG.default_arm, 0.04, 0.04], atol=1e-6)
        np.testing.assert_allclose([drawer[i].item(), drawer_speed[i].item()], [data.qpos[9], data.qvel[9]], atol=1e-6)
        np.testing.assert_allclose(speeds[i], data.qvel[:9], atol=1e-6)
    torch.testing.assert_close(last, state.action)


def test_episodes_start_in_their_ranges_and_do_not_depend_on_their_number() -> None:
    starts = task.start(CFG, 4000, torch.Generator().manual_seed(0))
    for i, name in enumerate(("handle_x", "handle_y", "handle_z")):
        (low, high), column = getattr(CFG, name), starts.columns[name]
        assert low <= column.min() < low + 0.01 * (high - low) and high - 0.01 * (high - low) < column.max() <= high
        assert torch.equal(column, starts.command[:, i])
    offsets = starts.qpos[:, :7] - torch.tensor(CFG.default_arm)
    assert 0.099 < offsets.abs().max() <= 0.1 + 1e-6
    assert torch.equal(starts.qpos[:, 7:], torch.tensor([0.04, 0.04, 0.0]).repeat(4000, 1))
    few = task.start(CFG, 10, torch.Generator().manual_seed(0))
    assert torch.equal(few.qpos, starts.qpos[:10]) and torch.equal(few.command, starts.command[:10])


def test_no_episode_starts_with_the_hand_in_the_cabinet() -> None:
    """Neither at home nor near the handle, where the fingers are around it or in front of it."""
    cfg = configure(TASK, {"handle_start_share": 0.5})
    starts = task.train_start(cfg, 600, torch.Generator().manual_seed(0))
    data, near, open_drawers = mujoco.MjData(MODEL), 0, 0
    for qpos, handle in zip(starts.qpos, starts.command, strict=True):
        data.qpos, data.mocap_pos = qpos.numpy(), handle.numpy()[None]
        mujoco.mj_kinematics(MODEL, data)
        mujoco.mj_comPos(MODEL, data)
        mujoco.mj_collision(MODEL, data)
        assert data.ncon == 0
        away = data.geom(HANDLE).xpos - data.site("end_effector").xpos
        hand = data.site("end_effector").xmat.reshape(3, 3)
        if hand[0, 2] > 0.99:  # at home it points forward and down
            near, open_drawers = near + 1, open_drawers + (qpos[DRAWER].item() > 0)
            assert -1e-3 < away[0] < 0.101 and abs(away[1:]).max() < 1e-3
            np.testing.assert_allclose(hand, [[0, 0, 1], [1, 0, 0], [0, 1, 0]], atol=2e-2)
    assert 240 < near < 360 and 0.3 < open_drawers / near < 0.7


def test_a_closed_hand_pulls_the_drawer_open_and_keeps_its_grasp() -> None:
    env = around_the_handle()
    for _ in range(40):
        env.step(action(poses(0.0).arm, -1.0))
    fastest = pull(env, -1.0)
    state = env.state()
    assert (state.qpos[:, DRAWER] > 0.32).all() and fastest < 0.5
    assert (task.distance(CFG, state) < 0.005).all() and task.around(CFG, state).all()
    for i in range(8):
        data, force = data_of(env, i), np.empty(6)
        pressed = {"left_pad": 0.0, "right_pad": 0.0}
        for c in range(data.ncon):
            names = touching(data, c)
            assert HANDLE in names and data.contact[c].dist > -0.001, names
            mujoco.mj_contactForce(MODEL, data, c, force)
            pressed[(names - {HANDLE}).pop()] += force[0]
        # The fingers' servos: 1000 N/m over the handle's radius of 1 cm.
        assert all(8 < normal < 12 for normal in pressed.values()), pressed


def test_an_open_hand_leaves_the_drawer_closed() -> None:
    env = around_the_handle()
    pull(env, 1.0)
    assert env.state().qpos[:, DRAWER].median() == 0


def test_a_drawer_that_is_let_go_stops_within_centimetres() -> None:
    env = environment(1)
    env._qvel[:, DRAWER] = 0.3
    for _ in range(50):
        env.step(torch.zeros(1, 8))
    # m v' = -F - d v from 0.3 m/s with 2 kg, 4 N and 8 N s/m
    expected = 2 / 8 * (0.3 - 4 / 8 * math.log(1 + 8 * 0.3 / 4))
    assert env.state().qpos[0, DRAWER].item() == pytest.approx(expected, abs=2e-3)
    assert abs(env._qvel[0, DRAWER]) < 1e-3


def test_joints_and_drawer_stay_within_a_panda_s_speeds() -> None:
    """2.175 rad/s for joints 1-4, 2.61 rad/s for 5-7 (Franka's control parameters), under the wildest targets."""
    env = environment(64)
    near = task.train_start(configure(TASK, {"handle_start_share": 1.0}), 64, torch.Generator().manual_seed(0))
    env.reset_to(near)
    generator = torch.Generator().manual_seed(0)
    fastest = torch.zeros(10)
    for step in range(100):
        if step % 20 == 0:
            actions = 2 * torch.randn(64, 8, generator=generator)
        env.step(actions)
        fastest = torch.maximum(fastest, env.state().qvel.abs().amax(0))
    assert (fastest[:7] <= torch.tensor([2.175] * 4 + [2.61] * 3)).all(), fastest
    assert fastest[DRAWER] < 2.0, fastest


def test_the_last_step_decides_an_episode() -> None:
    """Three episodes of three steps: open and grasped at the end, open only before, never open."""
    qpos = torch.zeros(3, 3, 10)
    qpos[:, 0, DRAWER] = torch.tensor([0.1, 0.3, 0.35])
    qpos[:, 1, DRAWER] = torch.tensor([0.31, 0.2, 0.1])
    qvel = torch.zeros(3, 3, 10)
    qvel[1, :, DRAWER] = torch.tensor([0.2, -0.5, 0.0])
    handle = torch.tensor([[0.65, 0.0, 0.7]]).repeat(3, 1)
    hand = handle.repeat(3, 1, 1)
    hand[:, 0, 0] -= qpos[:, 0, DRAWER]
    sites = {"end_effector": hand, "left_tip": hand + 0.01, "right_tip": hand - 0.01}
    outcomes = task.judge(CFG, Trace(qpos, qvel, sites, sites, handle, CFG.step_dt))
    assert tuple(outcomes) == tuple(outcome.name for outcome in TASK.description.outcomes)
    assert outcomes["opened"].tolist() == [True, False, False]
    assert outcomes["grasped"].tolist() == [True, False, True]
    np.testing.assert_allclose(outcomes["first_opened_s"], [0.04, 0.02, math.nan], rtol=1e-6)
    np.testing.assert_allclose(outcomes["final_opening"], [0.35, 0.1, 0.0], rtol=1e-6)
    np.testing.assert_allclose(outcomes["drawer_speed"], [0.2, 0.5, 0.0], rtol=1e-6)


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        ({"handle_start_share": 1.5}, r"'handle_start_share' is 1\.5; it must be between 0 and 1"),
        ({"success_opening": 0.4}, r"'success_opening' is 0\.4; it must be greater than 0 and less than 0\.4"),
        ({"start_offset": -0.1}, r"'start_offset' is -0\.1; it must be 0 or greater"),
    ],
)
def test_a_wrong_number_is_refused_in_one_sentence(overrides: dict, words: str) -> None:
    with pytest.raises(UserError, match=rf"^file\.json: {words}\.$"):
        configure(TASK, overrides, "file.json")


def test_handles_that_no_hand_reaches_are_refused_as_starts_of_training_only() -> None:
    cfg = configure(TASK, {"handle_start_share": 0.5, "handle_z": [0.1, 0.2]})
    with pytest.raises(
        UserError, match=r"^task open_drawer: 'handle_start_share' is 0\.5; .* handle_z \[0\.1, 0\.2\]\.$"
    ):
        task.train_start(cfg, 4, torch.Generator().manual_seed(0))
    assert len(task.start(cfg, 4, torch.Generator().manual_seed(0))) == 4


def test_the_drawer_s_travel_is_that_of_the_model() -> None:
    assert MODEL.joint("cabinet_drawer").range[1] == task.TRAVEL


def test_the_experiment_changes_only_what_training_eases() -> None:
    """Its evaluation plays whole episodes that start at home, with the goal of the task."""
    experiment = yaml.safe_load((REPOSITORY / "experiments" / "open_drawer.yaml").read_text(encoding="utf-8"))
    cfg = configure(TASK, experiment["task"]["overrides"] | experiment["evaluate"]["overrides"])
    for name in ("episode_length_s", "success_opening", "handle_x", "handle_y", "handle_z", "start_offset"):
        assert getattr(cfg, name) == getattr(CFG, name)
