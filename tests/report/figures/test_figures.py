"""Figures: drawn from CSV files and config.json, the same bytes each time, and right or clear whatever is missing."""

import hashlib
import json
import os
import re
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from PIL import Image

from helpers.synthetic_results import SAMPLES_PER_ITERATION, make_results
from manyseeds.analysis.data import Data, block_means
from manyseeds.analysis.results import find_results
from manyseeds.core.layout import REPOSITORY
from manyseeds.report.figures import NAMES, palette, style
from manyseeds.report.figures.draw import draw, drawing, main

# No torch and no simulator: an import of one of these fails. SciPy looks for torch in sys.modules: leave that alone.
BARE = """
import sys

class Absent:
    def find_spec(self, name, *_):
        if name in ("torch", "mujoco", "rsl_rl", "tensorboard"):
            raise ModuleNotFoundError(name)

sys.meta_path.insert(0, Absent())
from manyseeds.report.figures.draw import main
sys.exit(main(sys.argv[1:]))
"""


def digests(folder: Path) -> dict[str, str]:
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(folder.iterdir())}


def drawn(folder: Path, *names: str) -> dict[str, str]:
    """Lay out figures of an experiment without saving them; returns their captions."""
    (results,) = find_results(folder)
    data = Data(results)
    captions = {}
    for name in names or NAMES:
        with style.applied():
            figure, captions[name] = drawing(name)(data)
            figure.draw_without_rendering()
            plt.close(figure)
    return captions


def texts(folder: Path, name: str) -> str:
    """All words inside the panels of one figure."""
    (results,) = find_results(folder)
    with style.applied():
        figure, _ = drawing(name)(Data(results))
        words = [text.get_text() for axes in figure.axes for text in axes.texts]
        plt.close(figure)
    return " ".join(words)


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Results with all figures drawn once, by a process that has neither torch nor a simulator."""
    folder = make_results(tmp_path_factory.mktemp("results") / "lift")
    assert {path.suffix for path in folder.rglob("*.*")} == {".csv", ".json"}
    subprocess.run([sys.executable, "-c", BARE, str(folder)], check=True)
    return folder


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """Fresh results to spoil."""
    return make_results(tmp_path / "lift", episodes=20)


def test_every_figure_comes_in_three_formats_with_its_caption(results: Path) -> None:
    names = {f"{name}.{suffix}" for name in NAMES for suffix in ("png", "svg", "pdf", "rst")}
    assert set(digests(results / "figures")) == names


def test_drawing_again_gives_the_same_bytes(results: Path) -> None:
    before = digests(results / "figures")
    environment = os.environ | {"PYTHONHASHSEED": "123", "SOURCE_DATE_EPOCH": "1", "MPLBACKEND": "svg", "LC_ALL": "C"}
    subprocess.run([sys.executable, "-c", BARE, str(results)], check=True, env=environment)
    assert digests(results / "figures") == before


def test_files_carry_the_runs_that_made_them_and_no_date(results: Path) -> None:
    said = "manyseeds experiment lift; default: seeds 42, 43, 44; inputs sha256 "
    figure = results / "figures" / "final_success"
    assert Image.open(figure.with_suffix(".png")).text["Description"].startswith(said)
    for suffix in (".svg", ".pdf"):
        content = figure.with_suffix(suffix).read_bytes()
        assert said.encode() in content
        assert b"CreationDate" not in content and b"<dc:date>" not in content


def test_fonts_are_embedded_as_truetype_and_svg_needs_none(results: Path) -> None:
    for name in NAMES:
        pdf = (results / "figures" / f"{name}.pdf").read_bytes()
        assert b"/FontFile2" in pdf and b"/Type3" not in pdf
        assert "<text" not in (results / "figures" / f"{name}.svg").read_text()


def test_figures_are_one_or_two_columns_wide(results: Path) -> None:
    widths = {}
    for name in NAMES:
        with Image.open(results / "figures" / f"{name}.png") as image:
            widths[name] = image.width / style.RC["savefig.dpi"]
    allowed = (pytest.approx(style.ONE_COLUMN, abs=0.01), pytest.approx(style.TWO_COLUMNS, abs=0.01))
    assert all(width in allowed for width in widths.values()), widths


def test_captions_say_how_many_seeds_and_which_interval(results: Path) -> None:
    captions = {name: (results / "figures" / f"{name}.rst").read_text() for name in NAMES}
    for name, caption in captions.items():
        assert "default n = 3" in caption, name
    for name in ("learning_curves", "reward_terms", "success_per_checkpoint", "final_success"):
        assert "95 % t interval" in captions[name]
    assert "Wilson" in captions["final_success"]
    assert "bootstrap" in captions["performance_profile"]


def test_a_folder_of_csv_files_elsewhere_gives_the_same_figures(results: Path, tmp_path: Path) -> None:
    elsewhere = make_results(tmp_path / "deep" / "lift")
    (found,) = find_results(elsewhere)
    draw(found, ["final_success"])
    for suffix in ("png", "svg", "pdf"):
        name = f"final_success.{suffix}"
        assert (elsewhere / "figures" / name).read_bytes() == (results / "figures" / name).read_bytes()


def test_one_seed_gets_no_interval(tmp_path: Path) -> None:
    folder = make_results(tmp_path / "lift", seeds=(5,), episodes=20)
    captions = drawn(folder)
    for name in ("learning_curves", "success_per_checkpoint", "final_success", "performance_profile"):
        assert "One seed gives no interval over seeds." in captions[name]
        assert "t interval" not in captions[name]
    data = Data(find_results(folder)[0])
    curve = data.curve_by_samples("default", "Train/mean_reward")
    assert curve is not None and np.isnan(curve.low).all() and np.isfinite(curve.mean).any()


def test_a_curve_of_samples_counts_all_environments(copy: Path) -> None:
    data = Data(find_results(copy)[0])
    curve = data.curve_by_samples("default", "Loss/value")
    assert curve is not None
    assert data.sample_axis == (1e3, "thousands of samples") or data.sample_axis[1] == "samples"
    assert curve.x[0][-1] * data.sample_axis[0] == pytest.approx(60 * SAMPLES_PER_ITERATION)
    assert curve.seeds[0][-1] == pytest.approx(
        pd.read_csv(copy / "default" / "seed_42" / "scalars.csv")["Loss/value"].iloc[-1]
    )


def test_the_band_ends_where_the_shortest_seed_ends(copy: Path) -> None:
    path = copy / "default" / "seed_43" / "scalars.csv"
    pd.read_csv(path).iloc[:25].to_csv(path, index=False)
    path = copy / "default" / "seed_43" / "episodes.csv"
    table = pd.read_csv(path)
    table[table["iteration"] <= 20].to_csv(path, index=False)
    data = Data(find_results(copy)[0])
    curve = data.curve_by_samples("default", "Loss/value")
    assert curve is not None and curve.count == 3
    assert [np.isfinite(seed).sum() for seed in curve.seeds] == [60, 25, 60]
    assert curve.band_x[-1] == pytest.approx(data.to_axis("default", np.array(25)))
    captions = drawn(copy)
    assert "default seed 43 is left out: its last checkpoint is 20 and not" in captions["final_success"]
    assert "default n = 2 (seeds 42, 44)" in captions["final_success"]
    assert "default n = 3" in captions["learning_curves"]


def test_wall_clock_curves_are_compared_at_common_times(copy: Path) -> None:
    data = Data(find_results(copy)[0])
    curve = data.curve_by_wall_clock("default", "Loss/value")
    assert curve is not None
    ends = [x[-1] for x in curve.x]
    assert len(set(ends)) == 3 and curve.band_x[-1] == pytest.approx(min(ends))
    seconds = pd.read_csv(copy / "default" / "seed_42" / "scalars.csv")[["Perf/collection_time", "Perf/learning_time"]]
    assert ends[0] == pytest.approx(seconds.to_numpy().sum() / 3600, rel=1e-5)


def test_the_band_of_the_curves_can_cover_the_whole_mean_curve_and_the_caption_says_so(
    copy: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (results,) = find_results(copy)
    narrow = Data(results).curve_by_samples("default", "Loss/value")
    config = {"variants": {"default": {}}, "seeds": [42, 43, 44], "curves": {"band": "simultaneous"}}
    (copy / "config.json").write_text(json.dumps(config))
    (results,) = find_results(copy)
    wide = Data(results).curve_by_samples("default", "Loss/value")
    assert narrow is not None and wide is not None
    assert (wide.high - wide.low > narrow.high - narrow.low).all()
    np.testing.assert_array_equal(wide.mean, narrow.mean)
    for name, caption in drawn(copy, "learning_curves", "reward_terms", "learning_curves_wall_clock").items():
        assert "simultaneous 95 % t band over seeds" in caption and "pointwise" not in caption, name
    assert main([str(copy), "--band", "pointwise"]) == 0
    assert "pointwise 95 % t interval" in (copy / "figures" / "learning_curves.rst").read_text()
    (copy / "config.json").write_text(json.dumps(config | {"curves": {"band": "wide"}}))
    assert main([str(copy)]) == 2
    assert "curves.band is 'wide'; it must be pointwise or simultaneous" in capsys.readouterr().err


def test_a_tag_that_one_run_lacks_is_drawn_for_the_others_and_said(copy: Path) -> None:
    path = copy / "default" / "seed_42" / "scalars.csv"
    pd.read_csv(path).drop(columns="Metrics/success_rate").to_csv(path, index=False)
    caption = drawn(copy, "learning_curves")["learning_curves"]
    assert "Metrics/success_rate: n = 2 of 3 for default, the others lack it." in caption


def test_a_tag_that_no_run_has_leaves_a_panel_that_says_so(copy: Path) -> None:
    for path in copy.glob("default/*/scalars.csv"):
        pd.read_csv(path).drop(columns="Metrics/success_rate").to_csv(path, index=False)
    assert "No run logs Metrics/success_rate." in texts(copy, "learning_curves")
    drawn(copy)


def test_a_column_that_is_all_nan_counts_as_not_logged(copy: Path) -> None:
    for path in copy.glob("default/*/scalars.csv"):
        table = pd.read_csv(path)
        table["Metrics/success_rate"] = np.nan
        table["Episode_Reward/joint_vel"] = np.nan
        table.to_csv(path, index=False)
    assert "No run logs Metrics/success_rate." in texts(copy, "learning_curves")
    assert "Episode_Reward/joint_vel" not in Data(find_results(copy)[0]).tags("Episode_Reward/")
    drawn(copy)


def test_infinities_and_gaps_do_not_stop_a_figure(copy: Path) -> None:
    path = copy / "default" / "seed_42" / "scalars.csv"
    table = pd.read_csv(path)
    table.loc[5, "Train/mean_reward"] = np.inf
    table.loc[20:30, "Train/mean_reward"] = np.nan
    table.drop(index=40).to_csv(path, index=False)
    drawn(copy, "learning_curves", "learning_curves_wall_clock")


@pytest.mark.parametrize("final", [0, 1])
def test_no_success_and_all_successes_are_drawn(tmp_path: Path, final: int) -> None:
    folder = make_results(tmp_path / "lift", finals=[final], episodes=20)
    captions = drawn(folder)
    if final == 0:
        assert "Not there by the end: default 3 of 3 at 50 %" in captions["time_to_threshold"]
        assert "all seeds succeed in 0, none in 20" in captions["failure_map"]
    else:
        assert "Every seed got there." in captions["time_to_threshold"]
        assert "all seeds succeed in 20, none in 0" in captions["failure_map"]


@pytest.mark.parametrize("kind", ["scalars.csv", "episodes.csv"])
def test_figures_without_their_data_say_what_is_missing(copy: Path, kind: str) -> None:
    for path in copy.glob(f"default/*/{kind}"):
        path.unlink()
    drawn(copy)
    name = "learning_curves" if kind == "scalars.csv" else "final_success"
    assert f"No run has a{'n' if kind[0] == 'e' else ''} {kind}." in texts(copy, name)


def test_without_aggregated_curves_the_axis_is_iterations(copy: Path) -> None:
    (copy / "learning_curves.csv").unlink()
    assert Data(find_results(copy)[0]).sample_axis == (1.0, "iterations")
    drawn(copy)


def test_runs_without_a_clock_still_get_every_figure(copy: Path) -> None:
    for path in copy.glob("default/*/scalars.csv"):
        table = pd.read_csv(path)
        table.drop(columns=[tag for tag in table if tag.startswith("Perf/")]).to_csv(path, index=False)
    drawn(copy)
    assert "No run logs its collection and learning time." in texts(copy, "throughput")


def test_logs_of_older_rsl_rl_have_a_clock_too(copy: Path) -> None:
    for path in copy.glob("default/*/scalars.csv"):
        pd.read_csv(path).rename(columns={"Perf/collection_time": "Perf/collection time"}).to_csv(path, index=False)
    assert Data(find_results(copy)[0]).curve_by_wall_clock("default", "Train/mean_reward") is not None


def test_ten_seeds_of_nine_variants_fit(tmp_path: Path) -> None:
    variants = [f"agent_learning_rate_{place}" for place in range(9)]
    folder = make_results(tmp_path / "lift", variants, range(10), iterations=10, save_interval=5, episodes=10)
    drawn(folder, "learning_curves", "final_success", "throughput")


def test_variants_differ_in_line_and_marker_and_lightness() -> None:
    looks = list(palette.looks([f"variant {place}" for place in range(30)]).values())
    assert len(set(looks)) == 30
    for one, other in pairwise(looks[:7]):
        lightness = [np.dot([0.3, 0.59, 0.11], plt.matplotlib.colors.to_rgb(look.color)) for look in (one, other)]
        assert abs(lightness[0] - lightness[1]) > 0.1
        assert one.dashes != other.dashes and one.marker != other.marker


def test_malformed_episodes_stop_before_anything_is_drawn(copy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = copy / "default" / "seed_43" / "episodes.csv"
    table = pd.read_csv(path)
    table["object_x"] += 0.01
    table.to_csv(path, index=False)
    assert main([str(copy)]) == 2
    assert re.match(rf"error: {path}: other evaluation episodes .*\n$", capsys.readouterr().err)
    assert not (copy / "figures").exists()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("", "not readable as a CSV file"),
        ("iteration,Loss/value\n", "no rows"),
        ("step,Loss/value\n1,0.5\n", "column 'iteration' is missing"),
        ("iteration,Loss/value\n1,0.5\n1,0.4\n", "iteration 1 appears twice"),
        ("iteration,Loss/value\n1,high\n", "column 'Loss/value' holds something that is not a number"),
        ("iteration,Loss/value\n1.5,0.5\n", "column 'iteration' must hold whole numbers"),
    ],
)
def test_malformed_scalars_are_one_sentence_that_names_the_file(
    copy: Path, capsys: pytest.CaptureFixture[str], content: str, words: str
) -> None:
    path = copy / "default" / "seed_42" / "scalars.csv"
    path.write_text(content)
    assert main([str(copy)]) == 2
    message = capsys.readouterr().err
    assert message.startswith(f"error: {path}: ") and message.count("\n") == 1 and words in message


def test_a_run_with_a_single_iteration_is_drawn(tmp_path: Path) -> None:
    drawn(make_results(tmp_path / "lift", iterations=1, save_interval=5, episodes=3))


def test_block_means_leave_out_nan_and_keep_gaps() -> None:
    values = np.array([[1.0, 3.0, np.nan, 5.0, np.nan, np.nan, 7.0]])
    np.testing.assert_array_equal(block_means(values, 2), [[2.0, 5.0, np.nan, 7.0]])


def test_runs_that_config_json_does_not_name_are_left_out_and_said(
    copy: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (copy / "config.json").write_text('{"variants": {"default": {}}, "seeds": [43, 42, 45]}')
    (results,) = find_results(copy)
    assert [run.seed for run in results.runs] == [42, 43]
    assert "left out, because config.json does not name them: default seed 44" in results.notes[0]
    assert "names runs without results: default seed 45" in results.notes[1]
    assert "default n = 2 (seeds 42, 43)" in drawn(copy, "final_success")["final_success"]
    (copy / "config.json").write_text("[]")
    assert main([str(copy)]) == 2
    assert capsys.readouterr().err.startswith(f"error: {copy / 'config.json'}: not a resolved experiment")


def test_the_readme_of_the_results_explains_every_figure() -> None:
    readme = (REPOSITORY / "results" / "README.md").read_text()
    assert [name for name in NAMES if f"`{name}`" not in readme] == []
