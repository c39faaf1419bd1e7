"""MuJoCo Warp on Warp's CPU device: the CPU simulator's task and, to single precision, its physics."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from manyseeds.core.errors import UserError
from manyseeds.core.layout import REPOSITORY
from manyseeds.evaluation.evaluate import evaluate_run, evaluation_starts
from manyseeds.simulators import NonFiniteError, make_env, mujoco_warp
from manyseeds.simulators.base import TaskEnv
from manyseeds.simulators.mujoco import MujocoEnv
from manyseeds.simulators.mujoco_warp import BufferOverflowError, MujocoWarpEnv
from manyseeds.tasks import base
from manyseeds.tasks.lift_object.grasp_starts import grasp_starts

NUM_ENVS = 8
CLOSE = torch.tensor([0.0, 0, 0, 0, 0, 0, 0, -1]).repeat(NUM_ENVS, 1)


def environment(simulator: str = "mujoco_warp", num_envs: int = NUM_ENVS, **changes: object) -> MujocoWarpEnv:
    values = {"num_envs": num_envs, "seed": 1, "threads": 1} | changes
    return make_env(simulator, "lift_object", **values)  # type: ignore[arg-type,return-value]


def joint_pos(env: TaskEnv) -> torch.Tensor:
    return env.state().qpos[:, :9]


def object_pos(env: TaskEnv) -> torch.Tensor:
    return env.state().qpos[:, 9:12]


def hand_pos(env: TaskEnv) -> torch.Tensor:
    return env.state().sites["end_effector"]


def copy_physics(source: MujocoEnv, target: MujocoWarpEnv) -> None:
    """Put MuJoCo Warp into the state of MuJoCo, tasks' included."""
    state = source.state_dict()
    parts = (source._qpos, source._qvel, source._warmstart, source._ctrl, source._mocap)
    state["physics"] = torch.from_numpy(np.concatenate(parts, axis=1)).float()
    target.load_state_dict(state)


def around_the_cube() -> MujocoEnv:
    """MuJoCo with the open hand around the resting cube in every environment."""
    env: MujocoEnv = environment("mujoco", task_cfg={"grasp_start_share": 1.0}, auto_reset=True)  # type: ignore
    starts = grasp_starts(env.task_cfg)
    env._qpos[:, :7] = starts.arm[:NUM_ENVS].numpy()
    env._qpos[:, 9:12] = starts.object_pos[:NUM_ENVS].numpy()
    env._ctrl[:, :7] = env._qpos[:, :7]
    env._auto_reset = False
    return env


def hold(env: MujocoEnv) -> torch.Tensor:
    """Return the action that closes the gripper with the arm staying where it is."""
    action = CLOSE.clone()
    action[:, :7] = (joint_pos(env)[:, :7] - torch.tensor(env.task_cfg.default_arm)) / env.task_cfg.action_scale
    return action


def differences(one: MujocoEnv, other: MujocoWarpEnv) -> dict[str, float]:
    """Largest differences of both states, m, rad, m/s and rad/s; of the cube's spin too."""
    pairs = {
        "joint_pos": (one._qpos[:, :9], other._qpos[:, :9]),
        "joint_vel": (one._qvel[:, :9], other._qvel[:, :9]),
        "object_pos": (one._qpos[:, 9:12], other._qpos[:, 9:12]),
        "object_vel": (one._qvel[:, 9:12], other._qvel[:, 9:12]),
        "object_spin": (one._qvel[:, 12:], other._qvel[:, 12:]),
    }
    return {name: float(np.abs(a - b.numpy()).max()) for name, (a, b) in pairs.items()}


def rollout(env: MujocoWarpEnv, steps: int, seed: int = 0) -> list[torch.Tensor]:
    """Observations, rewards and dones under noise."""
    generator = torch.Generator().manual_seed(seed)
    results = []
    for _ in range(steps):
        obs, rewards, dones, _ = env.step(torch.randn(env.num_envs, 8, generator=generator))
        results += [obs["policy"], rewards, dones]
    return results


def test_its_launches_need_nothing_that_is_made_later(monkeypatch: pytest.MonkeyPatch) -> None:
    """A GPU launches them as soon as it records them, while the environment is made; here that is done by hand."""
    recorded = MujocoWarpEnv._recorded

    def launched(env: MujocoWarpEnv, launch: Callable[[], None]) -> Callable[[], None]:
        recorded(env, launch)()
        return recorded(env, launch)

    monkeypatch.setattr(MujocoWarpEnv, "_recorded", launched)
    env = environment()
    monkeypatch.undo()
    assert torch.equal(env._qpos, environment()._qpos)


def test_the_same_states_give_the_same_observations_and_rewards() -> None:
    cpu, warp = around_the_cube(), environment()
    generator = torch.Generator().manual_seed(0)
    for step in range(30):
        action = hold(cpu) + 0.3 * torch.randn(NUM_ENVS, 8, generator=generator)
        cpu.step(action)
        if step % 3 == 0:
            copy_physics(cpu, warp)
            torch.testing.assert_close(warp.get_observations(), cpu.get_observations(), atol=1e-6, rtol=1e-6)
            torch.testing.assert_close(hand_pos(warp), hand_pos(cpu), atol=1e-6, rtol=0)
            rewards = [base.rewards(env.task, env.task_cfg, env.state()) for env in (cpu, warp)]
            torch.testing.assert_close(rewards[1], rewards[0], atol=1e-6, rtol=1e-5)
    assert (object_pos(cpu)[:, 2] > 0.02).all()


def test_one_step_of_free_motion_and_of_a_resting_cube_is_mujocos() -> None:
    cpu: MujocoEnv = environment("mujoco", auto_reset=False)  # type: ignore[assignment]
    warp = environment(auto_reset=False)
    generator = torch.Generator().manual_seed(0)
    for step in range(60):
        copy_physics(cpu, warp)
        action = torch.randn(NUM_ENVS, 8, generator=generator)
        action[0] = 4.0  # joint limits
        cpu.step(action)
        warp.step(action)
        found = differences(cpu, warp)
        assert found["joint_pos"] < 1e-6 and found["joint_vel"] < 1e-4, (step, found)
        assert found["object_pos"] < 1e-6 and found["object_vel"] < 1e-4 and found["object_spin"] < 1e-2, (step, found)
    assert (cpu._qpos[:, 11] < 0.025).all()


def test_one_step_of_a_grasp_is_mujocos() -> None:
    cpu, warp = around_the_cube(), environment(auto_reset=False)
    generator = torch.Generator().manual_seed(0)
    start = hold(cpu)
    found: dict[str, list[float]] = {}
    for step in range(60):
        copy_physics(cpu, warp)
        action = start.clone()
        action[:, :7] += (step > 25) * 0.3 * torch.randn(NUM_ENVS, 7, generator=generator)
        cpu.step(action)
        warp.step(action)
        for name, value in differences(cpu, warp).items():
            found.setdefault(name, []).append(value)
    assert max(found["joint_pos"]) < 1e-5 and max(found["object_pos"]) < 1e-5
    assert max(found["joint_vel"]) < 1e-3 and max(found["object_vel"]) < 1e-3
    assert ((object_pos(cpu) - hand_pos(cpu)).norm(dim=1) < 0.02).all()


def test_a_closed_gripper_lifts_and_holds_the_cube() -> None:
    warp = environment(auto_reset=False)
    copy_physics(around_the_cube(), warp)
    for _ in range(150):
        warp.step(CLOSE)
    warp.check_physics()
    assert (object_pos(warp)[:, 2] > 0.2).all()


def test_resets_draw_what_the_cpu_simulator_draws() -> None:
    """When all environments start again at once, both simulators draw the same numbers for the same rows."""
    changes = {"task_cfg": {"grasp_start_share": 0.5, "episode_length_s": 0.02}}
    cpu, warp = environment("mujoco", 64, **changes), environment(num_envs=64, **changes)
    for _ in range(3):
        obs, _, dones, extras = warp.step(torch.zeros(64, 8))
        expected, _, _, expected_extras = cpu.step(torch.zeros(64, 8))
        assert dones.all()
        torch.testing.assert_close(obs, expected, atol=1e-6, rtol=0)
        assert list(extras["log"]) == list(expected_extras["log"])
        for tag, value in extras["log"].items():
            torch.testing.assert_close(value, torch.tensor(expected_extras["log"][tag]), atol=1e-5, rtol=1e-4, msg=tag)
    home = (joint_pos(warp)[:, :7] - torch.tensor(warp.task_cfg.default_arm)).abs().amax(1) < 1e-6
    assert 0.3 < home.float().mean() < 0.7


def test_only_what_ended_starts_again() -> None:
    env = environment()
    env.step(torch.full((NUM_ENVS, 8), 0.5))
    env._qpos[3, 9:12] = torch.tensor([0.5, 0.0, -0.2])
    before, target = joint_pos(env).clone(), env.state().command.clone()
    _, _, dones, extras = env.step(torch.full((NUM_ENVS, 8), 0.5))
    assert dones.tolist() == [0, 0, 0, 1, 0, 0, 0, 0]
    assert not extras["time_outs"].any()
    assert extras["log"]["Episode_Termination/object_dropped"] == 1
    default = torch.tensor(env.task_cfg.default_arm)
    torch.testing.assert_close(joint_pos(env)[3, :7], default)
    others = torch.arange(NUM_ENVS) != 3
    assert (joint_pos(env)[others, :7] - default).abs().amax(1).min() > 1e-3
    assert (joint_pos(env)[others] != before[others]).any(1).all()
    assert torch.equal((env.state().command.clone() != target).any(1), ~others)
    assert env.episode_length_buf.tolist() == [2, 2, 2, 0, 2, 2, 2, 2]


def test_a_step_without_an_end_logs_no_number() -> None:
    _, _, dones, extras = environment().step(torch.zeros(NUM_ENVS, 8))
    assert not dones.any()
    assert all(value.isnan() for value in extras["log"].values())


def test_a_restored_state_goes_on_bit_identically() -> None:
    task_cfg = {"grasp_start_share": 0.5, "episode_length_s": 0.4}
    env = environment(task_cfg=task_cfg)
    env.episode_length_buf = torch.arange(NUM_ENVS)
    rollout(env, 15)
    saved = env.state_dict()
    expected = rollout(env, 40, seed=1)
    other = environment(seed=7, task_cfg=task_cfg)
    rollout(other, 3)
    other.load_state_dict(saved)
    for one, two in zip(expected, rollout(other, 40, seed=1), strict=True):
        assert torch.equal(one, two)


class Recorder(TorchDispatchMode):
    """Notes the operations of torch by name."""

    def __init__(self) -> None:
        super().__init__()
        self.names: set[str] = set()

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):  # type: ignore[no-untyped-def]
        self.names.add(str(func))
        return func(*args, **(kwargs or {}))


def test_a_step_never_waits_for_the_device() -> None:
    """What brings a number to the host, or makes a tensor from numbers there, would make it wait for a GPU."""
    env = environment(task_cfg={"grasp_start_share": 0.5, "episode_length_s": 0.1})
    env.episode_length_buf = torch.arange(NUM_ENVS) % 5
    action = torch.zeros(NUM_ENVS, 8)
    env.step(action)  # makes the constants
    with Recorder() as recorder:
        ended = [env.step(action)[2] for _ in range(5)]
    assert torch.stack(ended).any()
    assert "aten.where.self" in recorder.names
    waits = ("_local_scalar_dense", "item", "nonzero", "masked_select", "lift_fresh", "unique")
    assert not [name for name in recorder.names if any(wait in name for wait in waits)], recorder.names


def test_evaluation_episodes_start_where_they_are_told_and_never_end() -> None:
    env = environment(auto_reset=False)
    starts = evaluation_starts(env, NUM_ENVS, 5)
    env.reset_to(starts)
    assert torch.equal(env.state().qpos, starts.qpos.float())
    assert torch.equal(env.state().command, starts.command)
    env.episode_length_buf += env.max_episode_length
    assert not env.step(torch.zeros(NUM_ENVS, 8))[2].any()


def test_what_is_not_finite_is_named_with_its_environment() -> None:
    env = environment()
    actions = torch.zeros(NUM_ENVS, 8)
    actions[5, 2] = float("nan")
    env.step(actions)
    with pytest.raises(NonFiniteError, match="environment 5"):
        env.check_physics()
    env = environment()
    env._qvel[2, 3] = float("inf")
    env.step(torch.zeros(NUM_ENVS, 8))
    with pytest.raises(NonFiniteError, match="physics state is not finite in environment 2"):
        env.check_physics()


def test_contacts_that_do_not_fit_are_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mujoco_warp, "max_contacts", lambda model: 3)
    env = environment()
    with pytest.raises(BufferOverflowError, match="environment 0"):
        for _ in range(30):  # until the cubes rest on four corners each
            env.step(torch.zeros(NUM_ENVS, 8))
            env.check_physics()


def test_a_picture_shows_the_robot() -> None:
    env = environment(num_envs=2)
    picture = env.render(0, 160, 120)
    env.close()
    assert picture.shape == (120, 160, 3) and picture.std() > 20


def test_a_device_that_torch_does_not_know_is_refused() -> None:
    with pytest.raises(UserError, match="'mujoco_warp' runs on 'cpu' and 'cuda'"):
        environment(device="tpu")


@pytest.mark.slow
def test_a_policy_trained_on_the_cpu_succeeds_as_often_here() -> None:
    """The published policy of seed 132, its last checkpoint, on the same 96 episodes."""
    run = REPOSITORY / "results" / "published" / "lift_object" / "default" / "seed_132"
    held = {}
    for simulator in ("mujoco", "mujoco_warp"):
        *_, last = evaluate_run(run, episodes=96, seed=20260101, simulator=simulator)
        held[simulator] = float(last.outcomes["held"].float().mean())
    assert held["mujoco"] > 0.9
    assert abs(held["mujoco_warp"] - held["mujoco"]) < 0.04, held
