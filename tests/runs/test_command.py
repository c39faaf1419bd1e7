"""The training command: what it leaves behind, what it says, and what it refuses."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from tensorboard.backend.event_processing.event_file_loader import LegacyEventFileLoader

from helpers.gpu_machines import gpu_machine
from helpers.kills import fingerprint
from helpers.training_runs import arguments, train
from helpers.verbs import verb
from manyseeds.core.layout import EVENT_FILE, REPOSITORY
from manyseeds.eventfiles.log import read_log
from manyseeds.eventfiles.table import to_table

verify = verb("verify")
main = verb("train")


TAGS = {
    "Loss/value", "Loss/surrogate", "Loss/entropy", "Loss/learning_rate", "Policy/mean_std",
    "Train/mean_reward", "Train/mean_episode_length", "Train/episodes",
    "Episode_Reward/reaching_object", "Episode_Reward/lifting_object", "Episode_Reward/object_goal_tracking",
    "Episode_Reward/object_goal_tracking_fine_grained", "Episode_Reward/action_rate", "Episode_Reward/joint_vel",
    "Episode_Termination/time_out", "Episode_Termination/object_dropped", "Episode_Termination/success",
    "Metrics/object_pose/position_error", "Metrics/object_pose/orientation_error", "Metrics/success_rate",
}  # fmt: skip
IN_ORDER = [
    "Episode_Reward/action_rate", "Episode_Reward/joint_vel", "Episode_Reward/reaching_object",
    "Episode_Reward/lifting_object", "Episode_Reward/object_goal_tracking",
    "Episode_Reward/object_goal_tracking_fine_grained",
    "Metrics/object_pose/position_error", "Metrics/object_pose/orientation_error",
    "Episode_Termination/time_out", "Episode_Termination/object_dropped", "Episode_Termination/success",
]  # fmt: skip
"""As in the block that the guide shows."""
NUMBER = r"-?\d+\.\d+"
LINES = [
    r"Learning iteration 2/3",
    rf"Computation: \d+ steps/s \(collection: {NUMBER}s, learning {NUMBER}s\)",
    rf"Mean action noise std: {NUMBER}",
    rf"Mean value_function loss: {NUMBER}",
    rf"Mean surrogate loss: {NUMBER}",
    rf"Mean entropy loss: {NUMBER}",
    rf"Mean reward: {NUMBER}",
    rf"Mean episode length: {NUMBER}",
    *(rf"{tag}: {NUMBER}" for tag in sorted(TAGS) if tag.startswith(("Episode_", "Metrics/"))),
    r"Total timesteps: 768",
    rf"Iteration time: {NUMBER}s",
    r"Time elapsed: \d\d:\d\d:\d\d",
    r"ETA: \d\d:\d\d:\d\d",
    r"\[INFO\] Saved checkpoint to: logs/rsl_rl/generic_experiment/[^/]+/model_2.pt",
]


@pytest.fixture(scope="module")
def documented(tmp_path_factory):
    """The document's command with small numbers, run as a person does, in an empty folder."""
    cwd = tmp_path_factory.mktemp("documented")
    command = (
        f"{REPOSITORY / 'train.py'} --env_spacing 5.0 --num_envs 16 --max_iterations 3 --save_interval 2 "
        "--headless lift_object"
    )
    done = subprocess.run([sys.executable, *command.split()], cwd=cwd, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    [log_dir] = (cwd / "logs" / "rsl_rl" / "generic_experiment").iterdir()
    return log_dir, done.stdout


def test_the_documents_command_leaves_checkpoints_parameters_and_all_tags(documented):
    log_dir, _ = documented
    assert re.fullmatch(r"\d{4}-\d\d-\d\d_\d\d-\d\d-\d\d", log_dir.name)
    assert sorted(path.name for path in log_dir.glob("*.pt")) == [
        "model_2.pt", "model_3.pt", "state.previous.pt", "state.pt"
    ]  # fmt: skip
    found = fingerprint(log_dir)
    assert found["iterations"] == [1, 2, 3]
    assert {tag for step, tag in found["scalars"] if step == 2} == TAGS
    agent = yaml.safe_load((log_dir / "params" / "agent.yaml").read_text())
    assert (agent["actor"]["hidden_dims"], agent["algorithm"]["gamma"]) == ([256, 256, 256], 0.99)
    env = yaml.safe_load((log_dir / "params" / "env.yaml").read_text())
    wanted = {"simulator": "mujoco", "task": "lift_object", "num_envs": 16, "seed": 42, "device": "cpu"}
    assert wanted.items() <= env.items()
    assert {"threads", "env_spacing", "task_cfg"} <= set(env)


def test_a_run_by_hand_leaves_a_record_that_verifies_and_can_be_repeated(documented, capsys):
    log_dir, _ = documented
    record = json.loads((log_dir / "run.json").read_text())
    assert record["seed"] == 42 and record["resumed"] == 0 and record["started"] <= record["ended"]
    assert record["config"]["train"]["max_iterations"] == 3
    # Where this checkout has changes, code.diff keeps them.
    assert set(record["outputs"]) - {"code.diff"} == {
        "model_2.pt", "model_3.pt", "events.out.tfevents.manyseeds", "params/agent.yaml", "params/env.yaml"
    }  # fmt: skip
    assert verify([str(log_dir), "--repeat", "2"]) == 0
    assert "the first 2 iterations are identical" in capsys.readouterr().out


@pytest.mark.parametrize("line", LINES)
def test_the_console_shows_the_line_of_the_document(documented, line):
    assert re.search(rf"^ *{line}$", documented[1], re.MULTILINE)


def test_the_console_shows_the_lines_of_the_document_in_its_order(documented):
    block = documented[1].split("Learning iteration 3/3")[1]
    shown = [line.split(":")[0].strip() for line in block.splitlines()]
    assert [label for label in shown if label in IN_ORDER] == IN_ORDER


def test_reward_and_length_are_logged_over_seconds_too_as_rsl_rl_does(documented):
    log_dir, _ = documented
    found = {}
    for event in LegacyEventFileLoader(str(log_dir / EVENT_FILE)).Load():
        for value in event.summary.value:
            found.setdefault(value.tag, []).append((event.step, value.simple_value))
    for tag in ("Train/mean_reward", "Train/mean_episode_length"):
        by_iteration, by_second = found[tag], found[f"{tag}/time"]
        assert [value for _, value in by_second] == [value for _, value in by_iteration]
        seconds = [step for step, _ in by_second]
        total = sum(value for name in ("collection", "learning") for _, value in found[f"Perf/{name}_time"])
        assert seconds == sorted(seconds) and seconds[-1] in (int(total), int(total + 0.01))
    assert not [tag for tag in to_table(read_log(log_dir)).column_names if tag.endswith("/time")]


def test_runs_of_the_same_second_get_folders_of_their_own(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    agent = Path("agent.json")
    agent.write_text('{"num_steps_per_env": 2, "algorithm": {"num_mini_batches": 1}, "policy": {}}')
    for _ in range(3):
        assert main(["--agent_cfg_path", "agent.json", "--num_envs", "2", "--max_iterations", "1", "lift_object"]) == 0
    assert len(list(Path("logs/rsl_rl/generic_experiment").iterdir())) == 3


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--num_envs", "0"], ["--num_envs is 0", "at least 1"]),
        (["--max_iterations", "-1"], ["--max_iterations is -1"]),
        (["--save_interval", "0"], ["--save_interval is 0"]),
        (["--state_interval", "0"], ["--state_interval is 0"]),
        (["--seed", "-1"], ["--seed is -1"]),
        (["--seed", "2147483648"], ["--seed is 2147483648", "at most 2147483647"]),
        (["--env_spacing", "nan"], ["--env_spacing is nan"]),
        (["--device", "gpu"], ["--device is 'gpu'", "cuda:N"]),
        (["--device", "cuda:99"], ["cuda:99", "PyTorch sees no GPU here", "--device cpu trains without one"]),
        (["--device", "cuda"], ["--device is 'cuda'", "PyTorch sees no GPU here", "--device cpu trains without one"]),
        (["--simulator", "bullet"], ["--simulator is 'bullet'", "auto, mujoco"]),
        (["--device", "cuda", "--simulator", "mujoco"], ["--device is cuda", "mujoco runs on cpu only"]),
        (["--agent_cfg_path", "nowhere.json"], ["agent file nowhere.json cannot be read"]),
        (["--task_cfg_path", "nowhere.json"], ["task file nowhere.json cannot be read"]),
        (["--log_dir", "/proc/nowhere"], ["--log_dir /proc/nowhere cannot be written"]),
    ],
)  # fmt: skip
def test_bad_input_is_one_sentence_and_exit_code_2(arguments, words, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    gpu_machine(monkeypatch, 0)
    assert main([*arguments, "lift_object"]) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ") and error.count("\n") == 1 and all(word in error for word in words), error


def test_an_unknown_task_is_refused(tmp_path, capsys):
    assert main(["--log_dir", str(tmp_path), "fold_laundry"]) == 2
    assert "task is 'fold_laundry'; it must be one of cart_pole, lift_object" in capsys.readouterr().err


def test_an_unknown_number_of_the_task_is_refused(tmp_path, capsys):
    assert train(tmp_path / "run", task_cfg={"gravity": 1.0}) == 2
    assert "unknown key 'gravity'" in capsys.readouterr().err


def test_more_mini_batches_than_samples_are_refused(tmp_path, capsys):
    path = tmp_path / "agent.json"
    path.write_text(json.dumps({"algorithm": {"num_mini_batches": 100}, "policy": {}}))
    assert main(["--agent_cfg_path", str(path), "--num_envs", "4", "lift_object"]) == 2
    assert "num_mini_batches is 100; it must be at most" in capsys.readouterr().err


def test_mirror_images_of_a_task_without_a_mirror_are_refused(tmp_path, capsys):
    path = tmp_path / "agent.json"
    path.write_text(json.dumps({"algorithm": {"mirror_augmentation": True}, "policy": {}}))
    assert main(["--agent_cfg_path", str(path), "--log_dir", str(tmp_path / "run"), "reach"]) == 2
    said = "mirror_augmentation is true; it must be false, because the task reach has no mirror"
    assert said in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_video_films_the_policy_and_changes_no_bit_of_training(tmp_path, monkeypatch):
    """In a process of its own without a display, as on a server: MuJoCo chooses its renderer at its import."""
    assert train(tmp_path / "plain", max_iterations=2) == 0
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("MUJOCO_GL", raising=False)
    filmed = tmp_path / "filmed"
    options = arguments(filmed, max_iterations=2, flags=["--video"], video_interval=1, video_length=4)
    command = [sys.executable, "-m", "manyseeds", "train", *options]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert fingerprint(filmed) == fingerprint(tmp_path / "plain")
    films = sorted((filmed / "videos").iterdir())
    assert [path.name for path in films] == ["iteration_1.mp4", "iteration_2.mp4"]
    assert all(path.read_bytes()[4:8] == b"ftyp" for path in films)


def test_videos_without_their_package_are_refused_before_anything_starts(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert train(tmp_path / "run", flags=["--video"]) == 2
    assert capsys.readouterr().err == (
        "error: --video writes MP4, but the package imageio_ffmpeg is not installed; pip install 'manyseeds[video]'"
        " installs it.\n"
    )
    assert not (tmp_path / "run").exists()
