"""Films of what fails: they show the episodes of episodes.csv as they went there, and say what they show."""

import json
import shutil
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from helpers.synthetic_results import write_config
from helpers.training_runs import train
from helpers.verbs import verb
from manyseeds.analysis.data import Data
from manyseeds.analysis.results import find_results
from manyseeds.core.layout import REPOSITORY
from manyseeds.core.manifest import problems, read_manifest
from manyseeds.evaluation import film_failures
from manyseeds.evaluation.film_failures import BAR, COLUMNS, GAP, SIZE, Stage

main = verb("film-failures")
evaluate = verb("evaluate")
# Short episodes, and a tolerance with which the cube is at about half of the targets already.
EVALUATION = {"episodes": 40, "seed": 7, "overrides": {"success_distance": 0.35}}


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("films") / "lift"
    for seed in (1, 2):
        run = folder / "default" / f"seed_{seed}"
        options = {"max_iterations": 1, "save_interval": 1, "num_envs": 4, "seed": seed}
        assert train(run, task_cfg={"episode_length_s": 0.4}, **options) == 0
        arguments = ["--episodes", "40", "--seed", "7", "--overrides", json.dumps(EVALUATION["overrides"])]
        assert evaluate(["--run_dir", str(run), "--output", str(run / "episodes.csv"), *arguments]) == 0
    from manyseeds.tasks.lift_object.description import DESCRIPTION

    write_config(folder, ["default"], [1, 2], DESCRIPTION, evaluate=EVALUATION)
    return folder


@pytest.fixture
def copy(trained, tmp_path):
    return shutil.copytree(trained, tmp_path / "lift")


def data_of(folder: Path) -> Data:
    return Data(find_results(folder)[0])


def test_an_episode_goes_as_it_went_in_the_evaluation(trained):
    """To the last bit, although only some of its episodes are played."""
    data = data_of(trained)
    run = data.folder.runs[0]
    [returns] = [table["return"] for own, table in data.final_episodes("default").items() if own == run]
    from manyseeds.core.description import RETURN

    stage = Stage(data.folder.evaluate, run, 40, RETURN)
    cells = stage.play(run, run.folder / "model_1.pt", [31, 4])
    stage.close()
    assert [f"{cell.outcome:.6f}" for cell in cells] == [f"{returns[31]:.6f}", f"{returns[4]:.6f}"]
    first, *_, last = cells[0].pictures
    assert first.shape == (SIZE[1], SIZE[0], 3) and first.std() > 10 and (first != last).any()


def test_the_films_show_failures_above_successes_and_all_seeds_and_say_so(copy, capsys):
    variant = copy / "default"
    assert main([str(variant)]) == 0
    printed = capsys.readouterr().out
    said = json.loads((variant / "failures.json").read_text())
    rates = {seed: pd.read_csv(variant / f"seed_{seed}" / "episodes.csv").set_index("episode") for seed in (1, 2)}
    worst = min(rates, key=lambda seed: rates[seed]["reached"].mean())
    assert said["failing"]["seed"] == worst
    assert (rates[worst].loc[said["failing"]["episodes"], "reached"] == 0).all()
    assert (rates[worst].loc[said["succeeding"]["episodes"], "reached"] == 1).all()
    for name, lines, columns in (("failures.gif", 2, COLUMNS), ("seeds.gif", 1, 2)):
        assert said["films"][name] in printed and "otherwise" not in said["films"][name]
        with Image.open(variant / name) as film:
            assert film.size == (GAP + columns * (SIZE[0] + GAP), GAP + lines * (SIZE[1] + BAR + GAP))
            assert film.n_frames > 3
    assert f"Above: episodes that fail, of seed {worst}, the worst of 2" in said["films"]["failures.gif"]
    assert said["films"]["seeds.gif"].startswith("Both seeds on the same episode, number ")
    manifest = variant / "film-failures.manifest.json"
    assert problems(manifest) == [] and not read_manifest(manifest)["stand_in"]
    assert {"seed_1/model_1.pt", "seed_2/episodes.csv", "seed_1/params/env.yaml"} <= set(
        read_manifest(manifest)["inputs"]
    )

    before = [(variant / name).read_bytes() for name in ("failures.gif", "seeds.gif", "failures.json")]
    assert main([str(variant)]) == 0
    assert [(variant / name).read_bytes() for name in ("failures.gif", "seeds.gif", "failures.json")] == before


def test_the_words_below_a_picture_are_of_what_the_film_shows(copy, monkeypatch):
    """Another machine may have evaluated: what differs is counted, and the words are those of the film."""
    path = copy / "default" / "seed_1" / "episodes.csv"
    table = pd.read_csv(path)
    table["reached"] = 1 - table["reached"]
    table.to_csv(path, index=False)
    (path.parent / "evaluate.manifest.json").unlink()
    shutil.rmtree(copy / "default" / "seed_2")
    shown = []
    monkeypatch.setattr(
        film_failures, "_grid", lambda rows, is_success: shown.append(rows) or [np.zeros((2, 2, 3), "u1")]
    )
    _, films, _, _ = film_failures.make_films(data_of(copy), "default")
    [failing, succeeding] = shown[0]
    assert [cell.outcome for cell in failing] == [1.0] * 3 and [cell.outcome for cell in succeeding] == [0.0] * 3
    assert "6 of the 6 episodes went otherwise here than in episodes.csv" in films[0].caption


def test_seeds_whose_policy_is_not_here_are_counted(copy):
    (copy / "default" / "seed_1" / "model_1.pt").unlink()
    assert main([str(copy / "default")]) == 0
    said = json.loads((copy / "default" / "failures.json").read_text())
    assert all(words.startswith("Policies of 1 of 2 seeds are here. ") for words in said["films"].values())


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda folder: [p.unlink() for p in folder.glob("*/model_1.pt")], "no seed has both the last checkpoint and"),
        (lambda folder: write_config(folder.parent, ["default"], [1, 2], evaluate=EVALUATION | {"seed": 8}),
         "its episodes are not those of the evaluation in config.json (evaluate.seed"),
        (lambda folder: (folder / "seed_1" / "episodes.csv").write_text("1"), "it was edited or damaged"),
        (lambda folder: [p.write_bytes(b"1") for p in folder.glob("*/model_1.pt")], "model_1.pt"),
    ],
)  # fmt: skip
def test_bad_input_is_one_sentence_and_nothing_is_written(copy, capsys, spoil, words):
    spoil(copy / "default")
    assert main([str(copy / "default")]) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ") and words in error and error.count("\n") == 1
    assert not list((copy / "default").glob("*.gif"))


def test_another_folder_is_refused(copy, capsys):
    for folder in (copy, copy / "default" / "seed_1", copy / "nowhere"):
        assert main([str(folder)]) == 2
        assert f"{folder} is not the folder of a variant" in capsys.readouterr().err


def test_without_opengl_a_picture_stands_in_and_says_so(copy):
    picture = REPOSITORY / "workflow" / "report" / "no_animation.gif"
    assert main([str(copy / "default"), "--stand_in", str(picture)]) == 0
    assert (copy / "default" / "seeds.gif").read_bytes() == picture.read_bytes()
    assert read_manifest(copy / "default" / "film-failures.manifest.json")["stand_in"]
    said = json.loads((copy / "default" / "failures.json").read_text())
    assert set(said["films"].values()) == {"No film could be made on this machine."}


def test_without_the_packages_of_the_analysis_it_says_so_in_one_sentence(copy, capsys, monkeypatch):
    """The interpreter of a simulator, such as Isaac Lab's, may have none of them; the stand-in needs none."""
    monkeypatch.delitem(sys.modules, "manyseeds.evaluation.film_failures")
    monkeypatch.delitem(sys.modules, "manyseeds.analysis.data")
    monkeypatch.setitem(sys.modules, "pandas", None)
    assert main([str(copy / "default")]) == 2
    assert "error: films of failures need the package pandas, which " in capsys.readouterr().err
