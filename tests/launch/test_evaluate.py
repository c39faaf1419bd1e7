"""Checkpoints of an external trainer, evaluated by the command of its definition: from the program to episodes.csv."""

import json
import shlex
import shutil
import sys
from pathlib import Path

import pandas as pd
import pytest

from helpers.workflows import REPOSITORY
from manyseeds import cli
from manyseeds.analysis.data import Data
from manyseeds.analysis.results import find_results
from manyseeds.audit.verify import verify
from manyseeds.config import resolve
from manyseeds.core.errors import UserError
from manyseeds.gpus import Lease
from manyseeds.launch import run as launcher
from manyseeds.launch.evaluate import Play
from manyseeds.launch.external import Attempt
from manyseeds.launch.inputs import inputs_code

HELPERS = REPOSITORY / "tests" / "helpers"
TRAIN = (
    f"{shlex.quote(sys.executable)} {shlex.quote(str(HELPERS / 'small_trainer.py'))} --seed {{seed}} --num_envs"
    " {num_envs} --max_iterations {max_iterations} --save_interval {save_interval} --extra"
)
PLAY = (
    f"{shlex.quote(sys.executable)} {shlex.quote(str(HELPERS / 'small_evaluator.py'))} {{checkpoint}} --episodes"
    " {episodes} --seed {seed} --output {output}"
)


def fields(options: str = "", trainer: dict | None = None, **changes: object) -> dict:
    definition = {"name": "small", "command": TRAIN, "logs": "logs/*", "evaluate": {"command": f"{PLAY} {options}"}}
    return {
        "experiment": "small",
        "seeds": [1, 2],
        "task": "Any",
        "train": {"num_envs": 4, "max_iterations": 20, "save_interval": 10},
        "evaluate": {"episodes": 40, "seed": 7},
        "trainer": definition | (trainer or {}),
    } | changes


def command(options: str, **keys: object) -> dict:
    return {"evaluate": {"command": f"{PLAY} {options}"} | keys}


def write(folder: Path, config: dict) -> list[str]:
    (folder / "config.json").write_text(resolve(config).to_json())
    return ["--config", str(folder / "config.json")]


def train(folder: Path, config: dict, seeds: tuple[int, ...] = (1, 2)) -> None:
    for seed in seeds:
        assert cli.main(["launch", *write(folder, config), "--seed", str(seed)]) == 0


def play(folder: Path, config: dict, seed: int = 1) -> int:
    return cli.main(["evaluate-external", *write(folder, config), "--seed", str(seed)])


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("small")
    train(folder, fields())
    return folder


@pytest.fixture
def folder(trained: Path, tmp_path: Path) -> Path:
    """The trained runs, to be evaluated."""
    shutil.copytree(trained / "default", tmp_path / "default")
    return tmp_path


def test_every_checkpoint_becomes_episodes_that_tables_compare(folder, capsys):
    config = fields()
    assert play(folder, config) == play(folder, config, 2) == 0
    assert "default/seed_1: [3/3] model_19.pt: success in 87.5 % of 40 episodes, mean" in capsys.readouterr().out
    for seed in (1, 2):
        table = pd.read_csv(folder / f"default/seed_{seed}/episodes.csv")
        assert list(table) == ["iteration", "episode", "success", "return"]
        # model_0.pt is of iteration 1: stock RSL-RL counts from 0.
        assert table.groupby("iteration").size().to_dict() == {1: 40, 11: 40, 20: 40}
    [results] = find_results(folder)
    data = Data(results)
    assert results.evaluated and [outcome.name for outcome in results.compared] == ["success"]
    assert data.final["success"].tolist() == [0.875, 0.875] and len(data.sources) == 1
    assert verify(folder).problems == ()


def test_earlier_checkpoints_may_play_fewer_episodes(folder):
    config = fields(evaluate={"episodes": 40, "earlier_episodes": 8})
    assert play(folder, config) == play(folder, config, 2) == 0
    table = pd.read_csv(folder / "default/seed_1/episodes.csv")
    assert table.groupby("iteration").size().to_dict() == {1: 8, 11: 8, 20: 40}
    [results] = find_results(folder)
    assert Data(results).rates["episodes"].tolist() == [8, 8, 40] * 2
    assert verify(folder).problems == ()


@pytest.mark.parametrize(
    ("form", "keys"),
    [("counts", {"output": "numbers.json"}), ("printed", {"printed": "Metrics: "}), ("objects", {"output": "o.json"})],
)
def test_other_forms_give_the_same_rates(folder, form, keys):
    config = fields(trainer=command(f"--form {form}", **keys))
    assert play(folder, config) == play(folder, config, 2) == 0
    [results] = find_results(folder)
    data = Data(results)
    assert data.final["success"].tolist() == [0.875, 0.875]
    # Without single episodes nothing says how much the choice of episodes matters.
    assert len(data.sources) == (1 if form == "objects" else 0)
    assert (folder / "default/seed_1/checkpoints.csv").is_file() == (form != "objects")
    assert verify(folder).problems == ()
    # A later evaluation with single episodes leaves no sums behind.
    assert play(folder, fields()) == 0 and not (folder / "default/seed_1/checkpoints.csv").exists()


def test_the_manifest_says_what_was_evaluated_and_how(folder):
    script = folder / "mine.py"
    script.write_text("threshold = 1\n")
    config = fields(trainer=command("", inputs=[str(script)]))
    assert play(folder, config) == 0
    manifest = json.loads((folder / "default/seed_1/evaluate.manifest.json").read_text())
    assert manifest["step"] == "evaluate" and set(manifest["outputs"]) == {"episodes.csv"}
    assert set(manifest["inputs"]) == {"model_0.pt", "model_10.pt", "model_19.pt"}
    assert manifest["settings"]["episodes"] == 40 and manifest["settings"]["trainer"]["evaluate"]["command"]
    assert [*manifest["made_by"]["files"]] == [f"inputs{script}"]


def test_an_evaluation_that_was_interrupted_continues_with_the_checkpoints_that_it_lacks(folder, capsys):
    config = fields("--fail-on model_10.pt")
    broken = folder / "broken"
    broken.touch()
    assert play(folder, config) == 1
    told = capsys.readouterr().err
    assert "default/seed_1: the evaluation ended with exit code 1" in told and "no such policy" in told
    assert not (folder / "default/seed_1/episodes.csv").exists()
    broken.unlink()
    assert play(folder, config) == 0
    log = (folder / "default/seed_1/evaluate.log").read_text().split("evaluating ")
    assert [line.strip() for line in log if line] == ["model_10.pt", "model_19.pt"]
    # A further one begins anew.
    assert play(folder, config) == 0
    assert (folder / "default/seed_1/evaluate.log").read_text().count("evaluating ") == 3


@pytest.mark.parametrize(
    ("options", "keys", "sentence"),
    [
        ("--half", {}, "episodes.csv has 20 episodes; evaluate.episodes is 40"),
        ("", {"output": "else.json"}, "else.json is not valid JSON"),
        ("--output wrong.csv", {}, "must leave one file episodes.csv (trainer.evaluate.output) in"),
        ("", {"printed": "Score: "}, "the evaluation of model_0.pt, printed: no line has 'Score: ' in it"),
    ],
)
def test_what_an_evaluation_leaves_wrong_is_one_sentence(folder, capsys, options, keys, sentence):
    assert play(folder, fields(trainer=command(options, **keys))) == 2
    error = capsys.readouterr().err.splitlines()
    assert len(error) == 1 and error[0].startswith("error: ") and sentence in error[0]
    assert not (folder / "default/seed_1/episodes.csv").exists()


def test_a_damaged_checkpoint_or_a_run_that_has_not_ended_is_not_evaluated(folder, capsys):
    (folder / "default/seed_1/model_10.pt").write_bytes(b"checkpoint of 9")
    assert play(folder, fields()) == 2
    assert "model_10.pt is not the file that the run left" in capsys.readouterr().err
    (folder / "default/seed_2/run.json").unlink()
    assert play(folder, fields(), 2) == 2
    assert "seed_2 has no run.json: the run has not ended" in capsys.readouterr().err
    assert play(folder, fields(trainer={"evaluate": None}), 2) == 2
    assert "trainer small has no evaluate; trainer.evaluate is the command for it" in capsys.readouterr().err


def test_the_evaluation_gets_the_variants_settings_and_the_evaluations_own_numbers():
    words = {"agent_overrides": "--{key} {value}", "task_overrides": "--env.{key} {value}"}
    trainer = {
        "command": f"{TRAIN} {{agent_overrides}} {{task_overrides}}",
        "words": words,
        "lists": "python",
        "values": {"device": {"cpu": "None"}},
        "evaluate": f"{PLAY} {{device}} {{agent_overrides}} {{task_overrides}}",
        "folder": "/mine",
    }
    config = fields(trainer=trainer) | {
        "task": {"name": "Any", "overrides": {"mass": 1}},
        "agent": {"overrides": {"actor.hidden_dims": [64, 64], "normalize": True, "empty": None}},
        "evaluate": {"episodes": 5, "seed": 7, "overrides": {"mass": 2}},
    }
    experiment = resolve(config)
    run = launcher.run_of(experiment, Path("r"), "default", 1, 1, Lease())
    attempt = Attempt(experiment.trainer, run, "")
    spelled = ["--actor.hidden_dims", "(64, 64)", "--normalize", "True", "--empty", "None"]
    assert attempt.command()[-8:] == [*spelled, "--env.mass", "1"]
    rendered = Play(attempt, experiment.trainer.evaluate, experiment).command(Path("r/model_19.pt"), 5)
    assert rendered[2:9] == [
        str(Path("r/model_19.pt").absolute()), "--episodes", "5", "--seed", "7", "--output",
        str(Path("r/work/evaluation/model_19/episodes.csv").absolute()),
    ]  # fmt: skip
    assert rendered[9:] == ["None", *spelled, "--env.mass", "2"]


@pytest.mark.parametrize(
    ("spelling", "words"),
    [
        ("json", ["--dims", "[64,32]", "--name", "a b", "--on", "true", "--no", "null"]),
        ("words", ["--dims", "64", "32", "--name", "a b", "--on", "True", "--no", "None"]),
        ("python", ["--dims", "(64, 32)", "--name", "a b", "--on", "True", "--no", "None"]),
    ],
)
def test_lists_are_spelled_as_hydra_argparse_and_python_read_them(spelling, words):
    trainer = {
        "command": f"{TRAIN} {{agent_overrides}}", "words": {"agent_overrides": "--{key} {value}"}, "lists": spelling
    }  # fmt: skip
    overrides = {"dims": [64, 32], "name": "a b", "on": True, "no": None}
    experiment = resolve(fields(trainer=trainer, agent={"overrides": overrides}))
    run = launcher.run_of(experiment, Path("r"), "default", 1, 1, Lease())
    assert Attempt(experiment.trainer, run, "").command()[-len(words) :] == words


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"evaluate": "x {checkpoint} {episodes}"}, "trainer.evaluate.command lacks {seed}; without it the trainer"),
        ({"evaluate": "x {checkpont}"}, "trainer.evaluate.command is 'x {checkpont}'; it has the placeholder"),
        ({"evaluate": "{checkpoint}"}, "trainer.evaluate.command begins with '{checkpoint}'; its first word must be"),
        ({"evaluate": f"{PLAY} {{agent_overrides}}"}, "trainer.words.agent_overrides is missing; it says what stands"),
        ({"evaluate": {"comand": "x"}}, "trainer.evaluate.comand is not a known key (did you mean command?)"),
        (command("", output="/tmp/a.csv"), "trainer.evaluate.output is '/tmp/a.csv'; it must be the name of a .csv or"),
        (
            command("", output="a.txt"),
            "trainer.evaluate.output is 'a.txt'; it must be the name of a .csv or .json file",
        ),
        (command("", output="*/a.csv"), "trainer.evaluate.output is '*/a.csv', which holds *, so that {output} in"),
        (command("", output="a.json", printed="x"), "trainer.evaluate has both output and printed"),
        (command("", columns={"sucess": "x"}), "trainer.evaluate.columns.sucess is not a known key"),
        (command("", columns={"success": "", "return": ""}), "columns has neither success nor return"),
        ({"words": {"agent_file": "-a {agent_file}"}}, "but neither trainer.command nor trainer.evaluate.command has"),
        ({"lists": "tuples"}, "trainer.lists is 'tuples'; it must be json or words or python"),
        ({"values": {"devise": {}}}, "trainer.values has 'devise', which is no placeholder of one value; known are"),
        ({"collect": ["../*.onnx"]}, "it must be a path below the folder, without .."),
        (
            {
                "lists": "words",
                "command": f"{TRAIN} {{agent_overrides}}",
                "words": {"agent_overrides": "{key}={value}"},
            },
            "trainer.words.agent_overrides has '{key}={value}'; with trainer.lists: words {value} must be a word of",
        ),
    ],
)
def test_a_wrong_definition_is_one_sentence_before_any_job(change, sentence):
    with pytest.raises(UserError) as error:
        resolve(fields(trainer=change), "mine.yaml")
    lines = [line for line in str(error.value).splitlines() if sentence in line]
    assert len(lines) == 1 and lines[0].startswith("mine.yaml: trainer"), str(error.value)


def test_numbers_of_the_task_for_the_evaluation_need_a_place_in_its_command():
    with pytest.raises(
        UserError, match=r"evaluate\.overrides are given, but trainer\.evaluate\.command of trainer sma"
    ):
        resolve(fields(evaluate={"episodes": 5, "overrides": {"mass": 2}}))


def test_what_collect_names_stays_when_the_trainers_folder_goes(tmp_path, capsys):
    config = fields(trainer={"collect": ["*.onnx", "git/*.diff", "videos", "none.txt"], "scalars": {"success": "Won"}})
    train(tmp_path, config, (1,))
    told = capsys.readouterr().err
    assert "small left nothing that matches none.txt (trainer.collect)" in told
    # What is there instead of the tag is listed.
    assert "logged nothing under Won (trainer.scalars.success); it logged Loss/value, Train/mean_reward." in told
    run = tmp_path / "default" / "seed_1"
    launcher.remove_state(run)
    kept = {path.relative_to(run).as_posix() for path in (run / "collected").rglob("*") if path.is_file()}
    assert kept == {f"collected/{name}" for name in ("policy.onnx", "git/mine.diff", "videos/train/rl-video-0.mp4")}
    record = json.loads((run / "run.json").read_text())
    assert kept < set(record["outputs"]) and any("none.txt" in note for note in record["notes"])
    assert not (run / "work").exists() and verify(tmp_path).problems == ()


def test_a_definitions_folder_is_found_from_anywhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "lab").mkdir()
    command = "python {folder}/train.py {seed} {num_envs} {max_iterations}"
    (tmp_path / "lab" / "mine.yaml").write_text(f"name: mine\ncommand: '{command}'\ninputs: ['{{folder}}/*.py']\n")
    (tmp_path / "lab" / "train.py").write_text("")
    experiment = resolve(fields() | {"trainer": "lab/mine.yaml"})
    assert experiment.trainer.place == str(tmp_path / "lab")
    assert [*inputs_code(experiment.trainer).files] == ["inputs/train.py"]
    shipped = resolve(fields() | {"trainer": "trainers/mjlab.yaml"}).trainer
    assert shipped.place == str(REPOSITORY / "trainers")
