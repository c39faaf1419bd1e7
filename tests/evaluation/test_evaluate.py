"""Evaluation: fixed episodes, played to their end, the same whatever else differs."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from helpers.csv_files import rows
from helpers.training_runs import train
from helpers.verbs import verb
from manyseeds.core.files import sha256
from manyseeds.core.manifest import read_manifest
from manyseeds.evaluation.evaluate import evaluate_run, evaluation_starts
from manyseeds.simulators import make_env
from manyseeds.tasks import registry

film_verb = verb("film")
main = verb("evaluate")


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("evaluation") / "run"
    assert train(folder, max_iterations=11, save_interval=2, num_envs=4) == 0
    # Without its record, which names all its checkpoints, a folder with some of them is evaluated.
    for name in ("model_4.pt", "model_6.pt", "model_8.pt", "run.json"):
        (folder / name).unlink()
    return folder


def evaluate(run, output, *arguments):
    assert main(["--run_dir", str(run), "--output", str(output), "--seed", "7", *arguments]) == 0
    return output.read_bytes()


@pytest.fixture(scope="module")
def table(run, tmp_path_factory):
    output = tmp_path_factory.mktemp("table") / "episodes.csv"
    evaluate(run, output, "--episodes", "12", "--threads", "1")
    return output


def test_every_checkpoint_has_its_rows_in_the_order_of_iterations(table):
    content = rows(table)
    assert tuple(content[0]) == registry.describe("lift_object").columns
    wanted = [(iteration, episode) for iteration in (2, 10, 11) for episode in range(12)]
    assert [(int(row["iteration"]), int(row["episode"])) for row in content] == wanted


def test_episodes_are_those_of_the_seed_for_every_checkpoint(table):
    starts = evaluation_starts(make_env("mujoco", "lift_object", num_envs=1, seed=0), 12, 7)
    keys = ("object_x", "object_y", "target_x", "target_y", "target_z")
    wanted = [[f"{x:.6f}" for x in place] for place in zip(*(starts.columns[key] for key in keys), strict=True)]
    assert [[row[key] for key in keys] for row in rows(table)] == wanted * 3


def test_threads_change_no_byte(run, table, tmp_path):
    assert evaluate(run, tmp_path / "e.csv", "--episodes", "12", "--threads", "3") == table.read_bytes()


def test_a_checkpoints_rows_do_not_depend_on_the_others(run, table, tmp_path):
    alone = tmp_path / "alone"
    shutil.copytree(run / "params", alone / "params")
    shutil.copy(run / "model_11.pt", alone)
    evaluate(alone, tmp_path / "e.csv", "--episodes", "12")
    assert rows(tmp_path / "e.csv") == rows(table)[-12:]


def test_earlier_checkpoints_play_the_first_of_the_same_episodes_where_that_is_asked_for(run, table, tmp_path):
    output = tmp_path / "episodes.csv"
    evaluate(run, output, "--episodes", "12", "--earlier_episodes", "5", "--before", "11")
    played, whole = rows(output), rows(table)
    assert [(row["iteration"], int(row["episode"])) for row in played] == [
        (iteration, episode) for iteration, count in (("2", 5), ("10", 5), ("11", 12)) for episode in range(count)
    ]
    starts = ("object_x", "object_y", "target_x", "target_y", "target_z")
    assert [[row[key] for key in starts] for row in played[:5]] == [[row[key] for key in starts] for row in whole[:5]]
    assert played[10:] == whole[-12:], "the last checkpoint plays as it does alone"
    settings = read_manifest(tmp_path / "evaluate.manifest.json")["settings"]
    assert (settings["episodes"], settings["earlier_episodes"], settings["before"]) == (12, 5, 11)


def test_what_reached_and_held_mean(run):
    """With a tolerance larger than the workspace everything is reached at once and held, with none nothing is."""

    def last(tolerance):
        *_, result = evaluate_run(run, episodes=3, seed=7, overrides={"success_distance": tolerance})
        return result.outcomes

    everything = last(10.0)
    assert everything["reached"].all() and everything["held"].all()
    assert everything["first_reached_s"].tolist() == [0.02] * 3
    nothing = last(1e-6)
    assert not nothing["reached"].any() and not nothing["held"].any() and nothing["first_reached_s"].isnan().all()
    exact = last(nothing["final_distance"][0].item() * 1.001)
    assert exact["reached"][0] and exact["held"][0]


def test_an_untrained_policy_leaves_first_reached_empty(table):
    assert {row["first_reached_s"] for row in rows(table) if row["reached"] == "0"} == {""}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--episodes", "0"], "--episodes is 0; it must be at least 1"),
        (["--seed", "-1"], "--seed is -1"),
        (["--earlier_episodes", "5"], "--earlier_episodes and --before belong together; give both or none."),
        (
            ["--episodes", "4", "--earlier_episodes", "5", "--before", "9"],
            "--earlier_episodes is 5; it must be at least 1 and at most --episodes, 4.",
        ),
        (["--overrides", "0.1"], "--overrides is 0.1; it must be a JSON object"),
        (["--overrides", "{"], "--overrides is not valid JSON"),
        (["--overrides", '{"success_distance": 0}'], "'success_distance' is 0.0; it must be greater than 0"),
        (["--run_dir", "nowhere"], "nowhere holds no checkpoint"),
        (["--simulator", "gazebo"], "unknown simulator 'gazebo'; allowed are mujoco, mujoco_warp"),
        (["--device", "cuda"], "device is 'cuda'; the simulator 'mujoco' runs on 'cpu'"),
    ],
)
def test_bad_input_is_one_sentence(run, tmp_path, capsys, arguments, words):
    assert main(["--run_dir", str(run), "--output", str(tmp_path / "e.csv"), *arguments]) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ") and words in error and error.count("\n") == 1
    assert not (tmp_path / "e.csv").exists()


def test_missing_params_and_other_networks_are_named(run, tmp_path, capsys):
    folder = tmp_path / "run"
    folder.mkdir()
    shutil.copy(run / "model_2.pt", folder)
    command = ["--run_dir", str(folder), "--output", str(tmp_path / "e.csv"), "--episodes", "2"]
    assert main(command) == 2
    assert "params/agent.yaml cannot be read" in capsys.readouterr().err
    shutil.copytree(run / "params", folder / "params")
    agent = folder / "params" / "agent.yaml"
    agent.write_text(agent.read_text().replace("- 32", "- 48"))
    assert main(command) == 2
    assert "model_2.pt does not fit the network in params/agent.yaml" in capsys.readouterr().err


def test_a_film_shows_the_first_episodes_as_mp4_gif_and_strip(run, tmp_path):
    outputs = [tmp_path / "a.mp4", tmp_path / "a.gif", tmp_path / "a.png"]
    arguments = ["--episodes", "2", "--seconds", "0.16", "--width", "64", "--height", "48"]
    assert film_verb([str(run / "model_11.pt"), "--output", *map(str, outputs), *arguments]) == 0
    with Image.open(outputs[1]) as film:
        assert film.size == (128, 48) and film.n_frames > 1
    with Image.open(outputs[2]) as strip:
        assert strip.size == (6 * 128, 48)
        moments = np.hsplit(np.asarray(strip.convert("RGB")), 6)
        assert (moments[0] != moments[-1]).any()
    assert outputs[0].read_bytes()[4:8] == b"ftyp"
    for path in outputs:
        manifest = read_manifest(tmp_path / f"{path.name}.manifest.json")
        assert manifest["outputs"] == {path.name: sha256(path)} and not manifest["stand_in"]
        assert {Path(name).name for name in manifest["inputs"]} == {"model_11.pt", "agent.yaml", "env.yaml"}


def test_a_film_shows_the_task_as_the_experiments_evaluation_changes_it(run, tmp_path):
    copied = tmp_path / "experiment" / "default" / "seed_1"
    shutil.copytree(run, copied)
    evaluation = {"episodes": 5, "seed": 3, "overrides": {"episode_length_s": 0.4}}
    (tmp_path / "experiment" / "config.json").write_text(json.dumps({"evaluate": evaluation}))
    output = tmp_path / "a.gif"
    assert film_verb([str(copied), "--output", str(output), "--episodes", "1", "--width", "64", "--height", "48"]) == 0
    with Image.open(output) as film:
        assert film.n_frames == 11  # 25 a second for 0.4 s, and the start
    manifest = read_manifest(tmp_path / "a.gif.manifest.json")
    assert (manifest["seed"], manifest["overrides"]) == (3, evaluation["overrides"])


def test_what_stands_in_for_a_film_is_of_its_kind(run, tmp_path, capsys):
    picture = tmp_path / "picture.png"
    picture.write_bytes(b"a picture")
    command = [str(run / "model_11.pt"), "--output", str(tmp_path / "a.gif"), "--stand_in", str(picture)]
    assert film_verb(command) == 2
    assert "picture.png; it must be a .gif file" in capsys.readouterr().err
    assert not (tmp_path / "a.gif").exists()


def test_a_film_of_no_checkpoint_is_refused(tmp_path, capsys):
    assert film_verb([str(tmp_path / "model_1.pt"), "--output", str(tmp_path / "a.gif")]) == 2
    assert capsys.readouterr().err.endswith("model_1.pt is not a file; give the model_<iteration>.pt of a run.\n")


def test_an_mp4_without_its_package_is_refused(run, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert film_verb([str(run / "model_11.pt"), "--output", str(tmp_path / "a.gif"), str(tmp_path / "a.mp4")]) == 2
    told = "a.mp4, but the package imageio_ffmpeg is not installed; pip install 'manyseeds[video]' installs it; a .gif"
    assert told in capsys.readouterr().err and not (tmp_path / "a.gif").exists()


def test_a_film_of_another_kind_is_refused(run, tmp_path, capsys):
    assert film_verb([str(run / "model_11.pt"), "--output", str(tmp_path / "a.avi")]) == 2
    assert "must end in .mp4, .gif or .png" in capsys.readouterr().err
