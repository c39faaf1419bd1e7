"""The task's numbers and formulas: what a policy sees, is paid for and is stopped by."""

import math
from dataclasses import replace

import pytest
import torch

from manyseeds.core.errors import UserError
from manyseeds.tasks import base
from manyseeds.tasks.base import State, Trace, configure
from manyseeds.tasks.lift_object import task
from manyseeds.tasks.lift_object.task import TASK

CFG = task.LiftObjectCfg()


def make_state(n: int = 1, episode_length: int = 1, **changes: torch.Tensor) -> State:
    """Home pose, the cube at rest in the middle, the hand on it."""
    parts = {
        "joint_pos": task.default_joint_pos(CFG).repeat(n, 1),
        "joint_vel": torch.zeros(n, 9),
        "object_pos": torch.tensor([[0.5, 0.0, 0.024]]).repeat(n, 1),
        "end_effector_pos": torch.tensor([[0.5, 0.0, 0.024]]).repeat(n, 1),
        "target_pos": torch.tensor([[0.5, 0.0, 0.4]]).repeat(n, 1),
        "action": torch.zeros(n, 8),
        "previous_action": torch.zeros(n, 8),
    } | changes
    upright = torch.tensor([[1.0, 0, 0, 0]]).repeat(n, 1)
    return State(
        qpos=torch.cat((parts["joint_pos"], parts["object_pos"], upright), dim=1),
        qvel=torch.cat((parts["joint_vel"], torch.zeros(n, 6)), dim=1),
        sites={"end_effector": parts["end_effector_pos"]},
        rotations={"end_effector": upright},
        command=parts["target_pos"],
        action=parts["action"],
        previous_action=parts["previous_action"],
        episode_length=torch.full((n,), episode_length),
        memory=torch.zeros(n, 0),
    )


def term(name: str, state: State) -> float:
    """One reward term of the first environment, without the step's duration."""
    return base.rewards(TASK, CFG, state)[0, list(TASK.rewards).index(name)].item() / CFG.step_dt


def test_numbers_are_those_of_the_published_task() -> None:
    assert CFG.step_dt == pytest.approx(0.02)
    assert CFG.episode_length == 250
    assert (TASK.action_width, TASK.observation_width) == (8, 36)
    assert tuple(TASK.rewards) == (
        "reaching_object",
        "lifting_object",
        "object_goal_tracking",
        "object_goal_tracking_fine_grained",
        "action_rate",
        "joint_vel",
    )
    assert TASK.termination_names == ("time_out", "object_dropped", "success")


def test_the_tags_are_isaac_labs() -> None:
    assert TASK.episode_tags[len(TASK.rewards) :] == (
        "Episode_Termination/time_out",
        "Episode_Termination/object_dropped",
        "Episode_Termination/success",
        "Metrics/object_pose/position_error",
        "Metrics/object_pose/orientation_error",
        "Metrics/success_rate",
    )


def test_observation_holds_every_part_at_its_place() -> None:
    state = make_state(
        joint_pos=task.default_joint_pos(CFG)[None] + 0.1,
        joint_vel=torch.arange(9.0)[None],
        action=torch.arange(8.0)[None],
    )
    obs = base.observe(TASK, CFG, state)[0]
    torch.testing.assert_close(obs[:9], torch.full((9,), 0.1))
    torch.testing.assert_close(obs[9:18], torch.arange(9.0))
    torch.testing.assert_close(obs[18:21], state.qpos[0, 9:12])
    torch.testing.assert_close(obs[21:24], state.command[0])
    assert obs[24:28].tolist() == [0.0, 0.0, 0.0, 1.0]
    torch.testing.assert_close(obs[28:], torch.arange(8.0))


def test_reaching_pays_for_the_distance_between_cube_and_hand() -> None:
    assert term("reaching_object", make_state()) == pytest.approx(1.0)
    away = make_state(end_effector_pos=torch.tensor([[0.5, 0.1, 0.024]]))
    assert term("reaching_object", away) == pytest.approx(1 - math.tanh(1.0), rel=1e-5)


def test_goal_tracking_pays_only_for_a_lifted_cube() -> None:
    resting = make_state()
    assert term("lifting_object", resting) == 0
    assert term("object_goal_tracking", resting) == 0
    lifted = make_state(object_pos=torch.tensor([[0.5, 0.0, 0.3]]))
    assert term("lifting_object", lifted) == pytest.approx(15.0)
    assert term("object_goal_tracking", lifted) == pytest.approx(16 * (1 - math.tanh(0.1 / 0.3)), rel=1e-5)
    assert term("object_goal_tracking_fine_grained", lifted) == pytest.approx(5 * (1 - math.tanh(2)), rel=1e-4)


def test_a_cube_thrown_into_the_air_is_not_lifted_where_a_reach_limits_it() -> None:
    cfg = configure(TASK, {"lifting_object_reach": 0.06})

    def rewards(cfg: task.LiftObjectCfg, state: State) -> torch.Tensor:
        return base.rewards(TASK, cfg, state)

    held = make_state(object_pos=torch.tensor([[0.5, 0.0, 0.3]]), end_effector_pos=torch.tensor([[0.5, 0.05, 0.3]]))
    thrown = make_state(object_pos=torch.tensor([[0.5, 0.0, 0.3]]), end_effector_pos=torch.tensor([[0.5, 0.07, 0.3]]))
    assert torch.equal(rewards(cfg, held), rewards(CFG, held))
    assert rewards(CFG, thrown)[0, 1:4].min() > 0
    assert rewards(cfg, thrown)[0, 1:4].tolist() == [0, 0, 0]


def test_penalties_are_squared_norms() -> None:
    state = make_state(action=torch.full((1, 8), 2.0), joint_vel=torch.full((1, 9), 3.0))
    assert term("action_rate", state) == pytest.approx(-1e-4 * 32, rel=1e-5)
    assert term("joint_vel", state) == pytest.approx(-1e-4 * 81, rel=1e-5)


def test_terminations_hold_at_their_bounds() -> None:
    heights = torch.tensor([[0.5, 0.0, 0.3], [0.5, 0.0, -0.051], [0.5, 0.0, -0.049]])
    state = replace(make_state(3, object_pos=heights), episode_length=torch.tensor([250, 10, 249]))
    ended = base.terminations(TASK, CFG, state)
    assert ended.tolist() == [[True, False, False], [False, True, False], [False, False, False]]


def test_success_ends_an_episode_only_where_it_is_switched_on() -> None:
    state = make_state(episode_length=5, object_pos=torch.tensor([[0.5, 0.0, 0.36]]))
    assert not base.terminations(TASK, CFG, state)[0, 2]
    on = task.LiftObjectCfg(success_ends_episode=True)
    assert base.terminations(TASK, on, state)[0, 2]


def test_actions_move_joints_around_the_default_pose_and_the_gripper_is_binary() -> None:
    actions = torch.zeros(2, 8)
    actions[0, 0], actions[0, 7], actions[1, 7] = 1.0, -1e-6, 0.0
    targets = task.joint_targets(CFG, actions)
    assert targets[0, 0].item() == pytest.approx(0.5)
    torch.testing.assert_close(targets[1, :7], torch.tensor(CFG.default_arm))
    assert targets[:, 7:].tolist() == [[0.0, 0.0], [pytest.approx(0.04), pytest.approx(0.04)]]


def test_resets_and_commands_fill_their_boxes() -> None:
    starts = task.start(CFG, 20_000, torch.Generator().manual_seed(1))
    assert torch.equal(starts.qpos[:, 9].float(), starts.columns["object_x"])
    assert torch.equal(starts.command[:, 2], starts.columns["target_z"])
    for values, (low, high) in zip(
        starts.columns.values(),
        (CFG.object_x, CFG.object_y, CFG.target_x, CFG.target_y, CFG.target_z),
        strict=True,
    ):
        assert low <= values.min() and values.max() <= high
        assert values.mean().item() == pytest.approx((low + high) / 2, abs=0.01 * (high - low))
        assert values.std().item() == pytest.approx((high - low) / math.sqrt(12), rel=0.02)


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        ({"target_w": [0, 1]}, "unknown key 'target_w'"),
        ({"target_z": 0.3}, "list of 2 numbers"),
        ({"target_z": [0.5, 0.3]}, "must not exceed"),
        ({"decimation": 2.5}, "must be an integer"),
        ({"decimation": 0}, "greater than 0"),
        ({"success_ends_episode": 1}, "true or false"),
        ({"action_scale": float("nan")}, "finite number"),
        ({"grasp_start_share": 1.5}, "between 0 and 1"),
        ({"grasp_start_exponent": 0}, "greater than 0"),
        ({"lifting_object_reach": -0.1}, "0 or greater"),
    ],
)
def test_a_wrong_task_number_is_refused_in_one_sentence(overrides: dict, words: str) -> None:
    with pytest.raises(UserError, match=r"^file\.json: ") as error:
        configure(TASK, overrides, "file.json")
    assert words in str(error.value)
    assert "\n" not in str(error.value)


def test_an_episode_is_judged_by_where_the_cube_was() -> None:
    """Four episodes of three steps: reached and lost, held, never reached, dropped."""
    heights = torch.tensor([[0.40, 0.30, 0.40], [0.20, 0.36, 0.36], [0.10, 0.20, 0.30], [0.10, -0.1, 0.10]]).T
    qpos = torch.zeros(3, 4, 16)
    qpos[..., 9], qpos[..., 11] = 0.5, heights
    trace = Trace(qpos, torch.zeros(3, 4, 15), {}, {}, torch.tensor([[0.5, 0.0, 0.4]]).repeat(4, 1), CFG.step_dt)
    outcomes = TASK.judge(CFG, trace)
    assert tuple(outcomes) == tuple(outcome.name for outcome in TASK.description.outcomes)
    assert outcomes["reached"].tolist() == [True, True, False, False]
    assert outcomes["held"].tolist() == [True, True, False, False]
    assert outcomes["dropped"].tolist() == [False, False, False, True]
    assert outcomes["first_reached_s"][:2].tolist() == pytest.approx([0.02, 0.04])
    assert outcomes["first_reached_s"][2:].isnan().all()
    assert outcomes["final_distance"].tolist() == pytest.approx([0.0, 0.04, 0.1, 0.3], abs=1e-6)
