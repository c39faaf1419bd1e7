"""Other trainers than ours: their command line, and what they must leave.

What the launcher makes of a trainer's end is tested with a program that leaves a trainer's files in a moment.
`workflow/test_external_trainer` runs whole workflows with one.
"""

import json
import os
import re
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml

from helpers.stranger import FIELDS, SMALL, STRANGER, with_trainer
from helpers.verbs import verb
from manyseeds.config import load, resolve
from manyseeds.config.experiment import from_dict
from manyseeds.config.external import External
from manyseeds.config.settings import Launched
from manyseeds.core.description import Description
from manyseeds.core.errors import UserError
from manyseeds.core.layout import REPOSITORY
from manyseeds.launch.evaluate import Play
from manyseeds.launch.external import Attempt
from manyseeds.launch.outcomes import read_printed

launch_verb = verb("launch")


QUICK = STRANGER | {
    "command": f"{shlex.quote(sys.executable)} {shlex.quote(str(REPOSITORY / 'tests/helpers/small_trainer.py'))} "
    "--num_envs {num_envs} --seed {seed} --max_iterations {max_iterations} --save_interval {save_interval} "
    "--logs logs/rsl_rl/mine/now --first 1 --last {max_iterations}",
    "words": {},
}
DOCUMENTED = r"""
python isaaclab_arena/scripts/reinforcement_learning/train.py \
--env_spacing 5.0 \
--num_envs 512 \
--max_iterations 12000 \
--save_interval 500 \
--headless \
lift_object
"""
# Of Arena 0.3.1 and later.
DOCUMENTED_LATER = r"""
python isaaclab_arena/scripts/train.py \
  --rl_library rsl_rl \
  --external_callback isaaclab_arena.environments.isaaclab_interop.environment_registration_callback \
  --task lift_object \
  --rl_training_mode \
  --num_envs 4096 \
  --max_iterations 2000 \
  agent.policy.activation=relu \
  agent.algorithm.learning_rate=0.001
"""
# The same release's evaluation guide.
DOCUMENTED_EVALUATION = r"""
python isaaclab_arena/evaluation/policy_runner.py \
  --policy_type rsl_rl \
  --num_episodes 100 \
  --num_envs 1 \
  --checkpoint_path /models/model_1999.pt \
  lift_object
"""
PRINTED = "Metrics: {'num_episodes': 100, 'success_rate': 0.98}"
ARENA = {
    "experiment": "arena",
    "seeds": [42],
    "task": "lift_object",
    "trainer": "trainers/isaaclab_arena.yaml",
    "device": "cuda",
    "train": {"num_envs": 512, "max_iterations": 12000},
}


@pytest.fixture
def agent_file(tmp_path: Path) -> str:
    path = tmp_path / "agent.json"
    path.write_text(json.dumps(SMALL))
    return str(path)


def command(fields: dict, work: Path = Path("run"), seed: int = 1) -> list[str]:
    return attempt(fields, work, seed).command()


def attempt(fields: dict, folder: Path, seed: int = 1, image: str = "") -> Attempt:
    experiment = resolve(fields)
    variant = experiment.variants[0].name
    launched = Launched(experiment="tiny", variant=variant, gpus=[], slurm_job=None, command=[])
    run = experiment.run(variant, seed).model_copy(update={"log_dir": folder, "launched": launched})
    assert isinstance(experiment.trainer, External)
    return Attempt(experiment.trainer, run, image)


def start(folder: Path, fields: dict, seed: int = 1) -> int:
    """Train one run as the workflow does; returns the exit code."""
    (folder / "config.json").write_text(resolve(fields).to_json())
    return launch_verb(["--config", str(folder / "config.json"), "--seed", str(seed), "--threads", "1"])


def test_arenas_command_is_the_documented_one_with_the_seed_and_device_that_are_its_defaults() -> None:
    documented = shlex.split(DOCUMENTED.replace("\\\n", " "))
    rendered = command(ARENA, seed=42)
    ours = ["--seed", "42", "--device", "cuda"]
    place = rendered.index("--seed")
    assert rendered[place : place + 4] == ours
    assert rendered[:place] + rendered[place + 4 :] == documented
    assert rendered[-1] == "lift_object"


def test_later_arenas_command_is_the_documented_one_with_seed_device_and_checkpoints_added() -> None:
    documented = shlex.split(DOCUMENTED_LATER.replace("\\\n", " "))
    fields = ARENA | {
        "trainer": "trainers/isaaclab_arena_hydra.yaml",
        "train": {"num_envs": 4096, "max_iterations": 2000, "save_interval": 200},
        "agent": {"overrides": {"policy.activation": "relu", "algorithm.learning_rate": 0.001}},
    }
    rendered = command(fields, seed=42)
    added = ["--seed", "42", "--device", "cuda", "agent.save_interval=200"]
    place = rendered.index("--seed")
    assert rendered[place : place + len(added)] == added
    assert rendered[:place] + rendered[place + len(added) :] == documented
    assert experiment_checkpoints(fields) == ["model_1999.pt"]


def test_later_arenas_evaluation_is_the_documented_one_with_seed_and_device_added_and_its_line_is_read() -> None:
    documented = shlex.split(DOCUMENTED_EVALUATION.replace("\\\n", " "))
    fields = ARENA | {"trainer": "trainers/isaaclab_arena_hydra.yaml", "evaluate": {"episodes": 100, "seed": 5}}
    started, experiment = attempt(fields, Path("/models"), seed=42), resolve(fields)
    evaluation = started.trainer.evaluate
    assert evaluation is not None
    rendered = Play(started, evaluation, experiment).command(Path("/models/model_1999.pt"), 100)
    place = rendered.index("--seed")
    assert rendered[place : place + 4] == ["--seed", "5", "--device", "cuda"]
    assert rendered[:place] + rendered[place + 4 :] == documented
    found = read_printed(["[Rank 0/1] Metrics: {}", PRINTED], evaluation, 100, "it")
    assert found.successes == 98 and not found.by_episode


def test_arenas_command_on_several_gpus_and_with_hyperparameters_has_the_documented_flags(agent_file: str) -> None:
    rendered = command(ARENA | {"gpus_per_run": 2, "agent": agent_file}, Path("/x"))
    at = rendered.index("--distributed")
    assert rendered[at:] == ["--distributed", "--agent_cfg_path", "/x/work/run/agent.json", "lift_object"]
    assert rendered.index("--headless") < at


def test_isaac_labs_command_takes_hyperparameters_and_numbers_of_the_task_as_hydra_knows_them() -> None:
    fields = FIELDS | {
        "trainer": "trainers/isaaclab.yaml",
        "task": {"name": "Isaac-Cartpole", "overrides": {"episode_length_s": 2}},
        "agent": {"overrides": {"algorithm.gamma": 0.9, "actor": {"hidden_dims": [16, 16]}, "empty": None}},
    }
    rendered = command(fields)
    assert rendered[:6] == ["isaaclab", "train", "--rl_library", "rsl_rl", "--task", "Isaac-Cartpole"]
    assert rendered[-4:] == [
        "agent.algorithm.gamma=0.9", "agent.actor.hidden_dims=[16,16]", "agent.empty=null", "env.episode_length_s=2",
    ]  # fmt: skip
    assert experiment_checkpoints(fields) == ["model_2.pt"]


def test_a_checkpoint_to_start_from_is_given_by_its_absolute_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.pt").write_bytes(b"1")
    words = STRANGER["words"] | {"init_from": "--checkpoint {init_from}"}
    fields = with_trainer(command=f"{STRANGER['command']} {{init_from}}", words=words)
    assert command(fields)[-1] == "lift_object"
    rendered = command(fields | {"train": FIELDS["train"] | {"init_from": "a.pt"}})
    assert rendered[-2:] == ["--checkpoint", f"{tmp_path}/a.pt"]


def test_loggers_are_given_as_words_of_their_own() -> None:
    words = STRANGER["words"] | {"logger": "--logger {logger}"}
    fields = with_trainer(command=f"{STRANGER['command']} {{logger}}", words=words)
    assert command(fields)[-1] == "lift_object"
    rendered = command(fields | {"train": FIELDS["train"] | {"logger": ["wandb", "mlflow"]}})
    assert rendered[-4:] == ["--logger", "wandb", "--logger", "mlflow"]


def experiment_checkpoints(fields: dict) -> list[str]:
    return resolve(fields).checkpoints("default")


@pytest.mark.parametrize("task", ["$(touch broken)", "a b; touch broken", "'", "{seed}", "--x=*"])
def test_a_value_stays_one_word_whatever_it_holds(task: str) -> None:
    rendered = command(FIELDS | {"task": task})
    assert rendered[-1] == task
    assert len(rendered) == len(command(FIELDS))


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"command": "train {sed} {num_envs} {max_iterations}"}, "the placeholder {sed}, and known are {seed}, "),
        ({"command": "train {num_envs} {max_iterations}"}, "trainer.command lacks {seed}"),
        ({"command": "train '{seed}"}, "it is not a template: no closing quotation"),
        ({"command": "train {seed"}, "it is not a template"),
        ({"command": "train {seed:04d} {num_envs} {max_iterations}"}, "the placeholder {seed:04d}"),
        ({"command": "{task} {seed} {num_envs} {max_iterations}"}, "its first word must be a program"),
        ({"command": STRANGER["command"] + " x{distributed}"}, "{distributed} must be a word of its own"),
        ({"command": STRANGER["command"] + " {distributed}"}, "trainer.words.distributed is missing"),
        ({"words": {"agent_file": "{seed}"}}, "known are {agent_file}"),
        ({"words": {"agnt": "x"}}, "trainer.words.agnt is not a known key"),
        ({"checkpoint": "model.pt"}, "must hold {iteration} once"),
        ({"checkpoint": "a/{iteration}.pt"}, "trainer.checkpoint is 'a/{iteration}.pt'"),
        ({"logs": "/var/logs"}, "must lie in the folder in which the trainer runs"),
        ({"first_iteration": 2}, "trainer.first_iteration is 2"),
        ({"scalars": {"sucess": "x"}}, "trainer.scalars.sucess is not a known key"),
        ({"container": "a b.sif"}, "trainer.container is 'a b.sif'"),
        ({"comand": "x"}, "trainer.comand is not a known key"),
    ],
)
def test_a_wrong_definition_is_one_sentence(change: dict, sentence: str) -> None:
    with pytest.raises(UserError) as error:
        resolve(with_trainer(**change), "mine.yaml")
    lines = [line for line in str(error.value).splitlines() if sentence in line]
    assert len(lines) == 1 and lines[0].startswith("mine.yaml: trainer")


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"trainer": "nowhere.yaml"}, "trainer is 'nowhere.yaml', which does not exist; it must be manyseeds"),
        ({"trainer": {"command": "x"}}, "trainer.name is missing"),
        ({"trainer": {"file": "trainers/isaaclab.yaml", "name": ""}}, "trainer.name is ''"),
        (
            {"agent": {"overrides": {"a": 1}}},
            "agent.overrides are given without agent.file, but the command of",
        ),
        (
            {"task": {"name": "x", "overrides": {"a": 1}}},
            "task.overrides are given, but the command of trainer",
        ),
        ({"train": FIELDS["train"] | {"init_from": __file__}}, "train.init_from is given, but the command of trainer"),
        ({"train": FIELDS["train"] | {"logger": ["wandb"]}}, "train.logger is given, but the command of trainer"),
        ({"device": "cuda", "gpus_per_run": 2}, "gpus_per_run is more than 1, but the command of trainer stranger has"),
        ({"trainer": "manyseeds", "task": "theirs"}, "task.name is 'theirs'"),
        ({"trainer": "manyseeds", "agent": "nowhere.json"}, "agent file nowhere.json cannot be read"),
    ],
)
def test_what_the_trainer_cannot_do_is_refused(fields: dict, sentence: str) -> None:
    with pytest.raises(UserError, match=re.escape(sentence)):
        resolve(FIELDS | fields)


def test_keys_in_the_config_win_over_those_of_the_file(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text(yaml.safe_dump(STRANGER))
    config = FIELDS | {"trainer": {"file": str(tmp_path / "mine.yaml"), "scalars": {"success": ""}, "path": "/opt/bin"}}
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(config))
    trainer = load([tmp_path / "config.yaml"]).trainer
    assert isinstance(trainer, External)
    assert (trainer.name, trainer.path, trainer.scalars.success) == ("stranger", "/opt/bin", "")
    assert trainer.scalars.reward == "Train/mean_reward"


def test_where_a_trainer_is_and_what_its_scalars_mean_trains_nothing_anew() -> None:
    moved = {"path": "/x", "container": "y.sif", "scalars": {}, "links": {"a": "/b"}, "versions": "", "mem_mb": 1}
    assert resolve(with_trainer(**moved)).settings("default", 1) == resolve(FIELDS).settings("default", 1)
    other = with_trainer(environment={"A": "1"})
    assert resolve(other).settings("default", 1) != resolve(FIELDS).settings("default", 1)


def quick(**changes: object) -> dict:
    return FIELDS | {"trainer": QUICK | changes}


def test_a_killed_run_of_another_trainer_starts_over_in_a_fresh_folder_and_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    (tmp_path / "config.json").write_text(resolve(quick(command=f"{QUICK['command']} --end hang")).to_json())
    arguments = ["--config", str(tmp_path / "config.json"), "--seed", "1", "--threads", "1"]
    run = tmp_path / "default" / "seed_1"
    process = subprocess.Popen([sys.executable, "-m", "manyseeds", "launch", *arguments], start_new_session=True)
    while process.poll() is None and not list(run.glob("work/run/logs/**/model_3.pt")):
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    assert start(tmp_path, quick()) == 0
    assert "[INFO] Starting over: stranger cannot continue a run that was interrupted" in capsys.readouterr().err
    record = json.loads((run / "run.json").read_text())
    assert record["resumed"] == 0 and "Starting over" in record["notes"][0]
    assert list(run.glob("work/superseded_1/logs/rsl_rl/mine/now/model_3.pt"))
    assert len(list(run.rglob("*tfevents*"))) == 1


SAYS_DONE = f"{shlex.quote(sys.executable)} -c 'import sys; sys.exit(0)' {{seed}} {{num_envs}} {{max_iterations}}"


@pytest.mark.parametrize(
    ("change", "sentences"),
    [
        ({"command": SAYS_DONE, "words": {}}, ["ended with success but left no log folder logs/rsl_rl/*/*"]),
        (
            {"first_iteration": 0, "checkpoint": "policy_{iteration}.pt"},
            ["left no policy_2.pt", "the checkpoint of iteration 3", "found: no checkpoint"],
        ),
        (
            {"command": QUICK["command"].replace("--last {max_iterations}", "--last 2")},
            ["left no model_3.pt", "model_2.pt"],
        ),
        ({"logs": "logs/*"}, ["left no event file", "rsl_rl/ holds mine/"]),
    ],
)
def test_success_without_the_last_checkpoint_says_what_was_looked_for_and_found(
    tmp_path: Path, capsys: pytest.CaptureFixture, change: dict, sentences: list[str]
) -> None:
    assert start(tmp_path, quick(**change)) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ") and error.count("\n") == 1
    for sentence in sentences:
        assert sentence in error
    assert not (tmp_path / "default/seed_1/run.json").exists()


def test_a_definition_that_looked_in_the_wrong_place_is_mended_without_training_again(tmp_path: Path) -> None:
    assert start(tmp_path, quick(first_iteration=0, checkpoint="x_{iteration}.pt")) == 2
    log = tmp_path / "default/seed_1/train.log"
    size = log.stat().st_size
    assert start(tmp_path, quick()) == 0
    assert log.stat().st_size == size


def test_a_trainer_that_fails_tells_its_last_lines_and_its_log(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    code = 'print("first"); print("no such task"); raise SystemExit(7)'
    fails = f"{shlex.quote(sys.executable)} -c '{code}' {{seed}} {{num_envs}} {{max_iterations}}"
    assert start(tmp_path, with_trainer(command=fails, words={})) == 7
    error = capsys.readouterr().err
    assert "default/seed_1: training ended with exit code 7" in error and "train.log" in error
    assert "  first\n  no such task" in error


def test_a_container_is_put_around_the_command_and_no_shell() -> None:
    words = attempt(FIELDS, Path("run"), image="images/theirs.sif")._contained(["python", "a b"], Path("run/work/run"))
    assert words[1:3] == ["exec", "--home"] and words[-3:] == ["images/theirs.sif", "python", "a b"]
    assert words[words.index("--pwd") + 1] == str(Path("run/work/run").resolve())


def test_an_external_trainer_is_read_back_from_config_json_with_the_outcomes_that_it_logs() -> None:
    experiment = resolve(FIELDS)
    assert from_dict(json.loads(experiment.to_json())) == experiment
    outcomes = Description.from_dict(experiment.to_dict()["description"]).outcomes
    assert [(o.name, o.kind, o.tag) for o in outcomes] == [
        ("success", "share", "Metrics/success_rate"),
        ("return", "measure", "Train/mean_reward"),
    ]
    silent = resolve(with_trainer(scalars={})).to_dict()["description"]
    assert [outcome["name"] for outcome in silent["outcomes"]] == ["return"]


def test_shipped_definitions_are_complete() -> None:
    for path in sorted((REPOSITORY / "trainers").glob("*.yaml")):
        shipped = resolve(FIELDS | {"trainer": f"trainers/{path.name}"}).trainer
        assert shipped.name == path.stem and shipped.container
