"""A user's task of one file, without kernels, on every simulator of this machine: the generic step."""

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import mujoco
import numpy as np
import pytest
import torch

from helpers import file_task
from helpers.csv_files import rows
from helpers.training_runs import AGENT
from helpers.verbs import verb
from manyseeds.core.description import Map, Outcome
from manyseeds.core.errors import UserError
from manyseeds.evaluation.evaluate import evaluate_policy, evaluation_starts
from manyseeds.evaluation.export import export
from manyseeds.simulators import NonFiniteError, make_env
from manyseeds.simulators.base import Options, TaskEnv
from manyseeds.simulators.film import frame_rate, stride
from manyseeds.simulators.model import load_model, max_contacts
from manyseeds.simulators.mujoco import MujocoEnv
from manyseeds.simulators.mujoco_warp import MujocoWarpEnv
from manyseeds.tasks import base
from manyseeds.tasks.base import Term

evaluate = verb("evaluate")
film = verb("film")
train = verb("train")


FILE = file_task.__file__
SIMULATED = {"mujoco": MujocoEnv, "mujoco_warp": MujocoWarpEnv}
SIMULATORS = tuple(SIMULATED)
N = 6


def environment(simulator: str = "mujoco", num_envs: int = N, **changes: object) -> Any:
    values = {"num_envs": num_envs, "seed": 1, "threads": 1} | changes
    return make_env(simulator, FILE, **values)  # type: ignore[arg-type]


def rollout(env: TaskEnv, steps: int, seed: int = 0) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    results = []
    for _ in range(steps):
        obs, rewards, dones, extras = env.step(torch.randn(env.num_envs, 1, generator=generator))
        results += [obs["policy"].clone(), rewards, dones, extras["time_outs"]]
    return results


@pytest.mark.parametrize("simulator", SIMULATORS)
def test_sites_are_where_mujoco_says(simulator: str) -> None:
    env = environment(simulator, auto_reset=False)
    rollout(env, 20)
    model = load_model(env.task, env.task_cfg)
    data, state = mujoco.MjData(model), env.state()
    for i in range(N):
        data.qpos[:] = env._qpos[i]
        mujoco.mj_kinematics(model, data)
        for name in env.task.sites:
            quaternion = np.empty(4)
            mujoco.mju_mat2Quat(quaternion, data.site(name).xmat)
            quaternion *= 1 if quaternion[0] >= 0 else -1
            np.testing.assert_allclose(state.sites[name][i], data.site(name).xpos, atol=2e-6)
            np.testing.assert_allclose(state.rotations[name][i], quaternion, atol=2e-6)


@pytest.mark.parametrize("simulator", SIMULATORS)
def test_a_step_is_what_the_functions_say(simulator: str) -> None:
    env = environment(simulator, task_cfg={"episode_length_s": 0.2, "goal": [0.45, 0.8]})
    env.episode_length_buf = torch.arange(N)
    task, cfg, sums, reached = env.task, env.task_cfg, torch.zeros(N, 2), torch.zeros(N)
    generator = torch.Generator().manual_seed(0)
    for _ in range(12):
        length, actions = env.episode_length_buf.clone(), torch.randn(N, 1, generator=generator)
        previous, command = env.state().action.clone(), env.state().command.clone()
        obs, rewards, dones, extras = env.step(actions)
        keep = dones == 0
        # Where nothing restarted, the state is the one that was rewarded.
        after = env.state()
        state = replace(after, command=command, action=actions, previous_action=previous, episode_length=length + 1)
        terms = base.rewards(task, cfg, state)
        torch.testing.assert_close(rewards[keep], terms.sum(1)[keep])
        ended = base.terminations(task, cfg, state)
        assert torch.equal(dones[keep].bool(), ended.any(1)[keep])
        assert (env.episode_length_buf == torch.where(keep, length + 1, 0)).all()
        assert torch.equal(obs["policy"], base.observe(task, cfg, env.state()))
        assert not env.state().action[~keep].any()
        sums, reached = torch.where(keep[:, None], sums + terms, 0.0), torch.where(keep, reached, 0.0)
        if not keep.all():
            assert tuple(extras["log"]) == task.episode_tags
            assert extras["log"]["Episode_Termination/time_out"] == 1
        torch.testing.assert_close(env._reward_sums, sums)
    assert torch.isfinite(obs["policy"]).all()


@pytest.mark.parametrize("simulator", SIMULATORS)
def test_a_restored_state_goes_on_bit_identically(simulator: str) -> None:
    task_cfg = {"episode_length_s": 0.3}
    env = environment(simulator, task_cfg=task_cfg)
    env.episode_length_buf = torch.arange(N)
    rollout(env, 15)
    saved = env.state_dict()
    expected = rollout(env, 30, seed=1)
    other = environment(simulator, seed=7, task_cfg=task_cfg)
    rollout(other, 3)
    other.load_state_dict(saved)
    for one, two in zip(expected, rollout(other, 30, seed=1), strict=True):
        assert torch.equal(one, two)


def remembering() -> base.Task:
    """The task with a memory: the steps of the episode, and the position of the cart one step before."""

    def remember(cfg: Any, state: base.State) -> torch.Tensor:
        return torch.stack((state.memory[:, 0] + 1, state.memory[:, 2], state.qpos[:, 0]), dim=1)

    memory = Term(lambda cfg, state: state.memory, 3)
    observations = file_task.TASK.observations | {"memory": memory}
    return replace(file_task.TASK, memory_width=3, remember=remember, observations=observations)


@pytest.mark.parametrize("simulator", SIMULATORS)
def test_a_task_remembers_earlier_steps_until_its_episode_ends(simulator: str) -> None:
    task = remembering()
    cfg = base.configure(task, {"episode_length_s": 0.2})
    env: Any = SIMULATED[simulator](task, cfg, Options(N, seed=1, threads=1))
    env.episode_length_buf = torch.arange(N)
    before, steps = torch.zeros(N), torch.zeros(N)
    for _ in range(25):
        obs, _, dones, _ = env.step(torch.ones(N, 1))
        steps = torch.where(dones.bool(), 0.0, steps + 1)
        age, earlier, present = obs["policy"][:, -3:].T
        assert torch.equal(age, steps)
        assert torch.equal(earlier, torch.where(dones.bool() | (steps == 1), 0.0, before))
        assert torch.equal(present, torch.where(dones.bool(), 0.0, env.state().qpos[:, 0]))
        before = present.clone()
    saved, other = env.state_dict(), SIMULATED[simulator](task, cfg, Options(N, seed=7, threads=1))
    other.load_state_dict(saved)
    assert torch.equal(other.get_observations()["policy"], env.get_observations()["policy"])


def test_a_memory_of_another_width_is_refused() -> None:
    task = replace(remembering(), memory_width=4)
    with pytest.raises(UserError, match=r"task push: remember gives the shape \(6, 3\) .* it must be \(6, 4\)"):
        MujocoEnv(task, base.configure(task, {}), Options(N, seed=1))


def test_the_number_of_threads_changes_no_bit() -> None:
    changes = {"num_envs": 64, "task_cfg": {"episode_length_s": 0.2}}
    one, two = (rollout(environment(threads=threads, **changes), 25) for threads in (1, 3))
    assert all(torch.equal(a, b) for a, b in zip(one, two, strict=True))


def test_both_simulators_step_alike() -> None:
    envs = [environment(simulator, auto_reset=False) for simulator in SIMULATORS]
    results = [rollout(env, 10) for env in envs]
    for one, other in zip(*results, strict=True):
        torch.testing.assert_close(one, other, atol=1e-4, rtol=1e-4)


def test_the_goal_is_shown_where_the_command_is() -> None:
    env = environment(num_envs=2)
    assert torch.equal(torch.from_numpy(env._mocap[:, 0]).float(), env.state().command[:, 0])
    assert env.render(0, 64, 48).shape == (48, 64, 3)
    env.close()


def test_what_is_not_finite_is_named_with_its_environment() -> None:
    env = environment()
    env._qvel[2, 0] = float("inf")
    with pytest.raises(NonFiniteError, match="environment 2"):
        env.step(torch.zeros(N, 1))
    broken = {"near": Term(lambda cfg, state: torch.where(torch.arange(N) == 4, torch.nan, state.qpos[:, 0]))}
    task = replace(file_task.TASK, rewards=file_task.TASK.rewards | broken)
    env = MujocoEnv(task, file_task.PushCfg(), Options(N, seed=0))
    with pytest.raises(NonFiniteError, match="Episode_Reward/near is not finite in environment 4"):
        env.step(torch.zeros(N, 1))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"observations": {"cart": Term(lambda cfg, state: state.qpos[:, :2], 3)}},
         r"observation cart has the shape \(1, 2\) for 1 environments; it must be \(1, 3\)"),
        ({"rewards": {"near": Term(lambda cfg, state: state.qpos)}}, r"reward near has the shape"),
        ({"rewards": {"far": Term(file_task.distance)}}, "its cfg needs the field 'far_weight'"),
        ({"terminations": {"off": Term(file_task.distance)}}, r"termination off is torch.float32; it must be bool"),
        ({"command_width": 2}, r"start gives command of the shape \(1, 1\); it must be \(1, 2\)"),
        ({"action_width": 2}, r"act gives controls of the shape \(1, 2\); it must be \(1, 1\), one per actuator"),
    ],
)  # fmt: skip
def test_terms_that_do_not_give_what_they_say_are_named(changes: dict, words: str) -> None:
    with pytest.raises(UserError, match=words):
        MujocoEnv(replace(file_task.TASK, **changes), file_task.PushCfg(), Options(1, seed=0))


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("<worldbody>", "<worldbdy>", "ValueError: XML"),
        ("state.qpos[:, :2], 2,", "state.position, 2,", "AttributeError: 'State' object has no attribute 'position'"),
    ],
)
def test_a_mistake_in_the_functions_of_a_file_is_one_sentence(tmp_path: Path, old: str, new: str, words: str) -> None:
    file = tmp_path / "my_task.py"
    content = Path(FILE).read_text()
    assert old in content
    file.write_text(content.replace(old, new))
    with pytest.raises(UserError, match=rf"my_task\.py, line \d+: {words}") as error:
        make_env("mujoco", str(file), num_envs=1, seed=0)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"outcomes": (Outcome("goal_x", "Goal", "share", ""),)}, "column 'goal_x' of episodes.csv is named twice"),
        ({"outcomes": (Outcome("ok", "Ok", "shares", ""),)}, "'shares'; it must be share or measure"),
        ({"maps": (Map("from above", "goal_x", "goal_y"),)}, "shows 'goal_y'; it must be a start column: goal_x"),
    ],
)
def test_a_description_that_contradicts_itself_is_refused(changes: dict, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        replace(file_task.TASK.description, **changes)


def test_contacts_are_counted_from_the_model() -> None:
    """Plane and box 4, plane and puck 1, box and puck 1; the pole meets nothing."""
    assert max_contacts(load_model(file_task.TASK, file_task.PushCfg())) == 6


def test_a_film_plays_at_the_speed_of_life() -> None:
    for step_dt in (0.02, 0.01, 0.05, 0.2):
        assert stride(step_dt) * step_dt * frame_rate(step_dt) == pytest.approx(1)
    assert [stride(step_dt) for step_dt in (0.02, 0.01, 0.05, 0.2)] == [2, 4, 1, 1]


def test_a_file_is_trained_evaluated_filmed_and_exported(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file, run, agent = tmp_path / "my_task.py", tmp_path / "run", tmp_path / "agent.json"
    shutil.copy(FILE, file)
    agent.write_text(json.dumps(AGENT))
    flags = ["--num_envs", "8", "--max_iterations", "2", "--save_interval", "2", "--threads", "1"]
    assert train([*flags, "--log_dir", str(run), "--agent_cfg_path", str(agent), str(file)]) == 0
    assert "Episode_Reward/near" in capsys.readouterr().out

    evaluation = ["--run_dir", str(run), "--episodes", "5", "--seed", "3", "--threads", "1", "--allow_code", str(file)]
    assert evaluate([*evaluation, "--output", str(tmp_path / "a.csv")]) == 0
    found = rows(tmp_path / "a.csv")
    assert tuple(found[0]) == file_task.TASK.description.columns == (
        "iteration", "episode", "goal_x", "pushed", "gap", "first_s", "return")  # fmt: skip
    env = make_env("mujoco", str(file), num_envs=1, seed=0)
    assert [row["goal_x"] for row in found] == [f"{x:.6f}" for x in evaluation_starts(env, 5, 3).columns["goal_x"]]
    overrides = ["--overrides", '{"close": 5.0}']
    assert evaluate([*evaluation, *overrides, "--output", str(tmp_path / "b.csv")]) == 0
    assert {row["pushed"] for row in rows(tmp_path / "b.csv")} == {"1"}

    small = ["--episodes", "1", "--width", "32", "--height", "32", "--seconds", "0.2"]
    assert film([str(run / "model_2.pt"), "--output", str(tmp_path / "a.gif"), *small]) == 0
    assert max(export(run / "model_2.pt", [tmp_path / "policy.pt"]).values()) < 1e-5

    whole = file.read_text()
    mistakes = {
        '{"goal_x": draws[:, 0]}': "start gives no column; its description has goal_x, too.",
        '"gap": gap[-1], ': "judge gives pushed, first_s; its description has gap, too.",
    }
    for part, words in mistakes.items():
        file.write_text(whole.replace(part, "{}" if "draws" in part else ""))
        env = make_env("mujoco", str(file), num_envs=2, seed=0, auto_reset=False)
        with pytest.raises(UserError, match=f"task push: {words}"):
            evaluate_policy(env, lambda obs: torch.zeros(2, 1), 1, evaluation_starts(env, 2, 0))
    file.write_text(whole + "# a comment\n")
    assert evaluate([*evaluation, "--output", str(tmp_path / "c.csv")]) == 0
    assert (tmp_path / "c.csv").read_bytes() == (tmp_path / "a.csv").read_bytes()
    file.write_text(whole.replace('mass="0.1"', 'mass="0.8"'))
    capsys.readouterr()
    assert evaluate([*evaluation, "--output", str(tmp_path / "c.csv")]) == 2
    error = capsys.readouterr().err
    assert f"the task has changed since the run was trained: task/{file.name}" in error and error.count("\n") == 1
    again = [*flags, "--log_dir", str(run), "--agent_cfg_path", str(agent), str(file)]
    assert train(again) == 2
    assert train(["--changed_code", "redo", *again]) == 0
    assert "Starting over: the code has changed: task/" in capsys.readouterr().out
