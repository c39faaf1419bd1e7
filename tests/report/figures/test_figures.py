"""Figures: drawn from CSV files and config.json, the same bytes each time, and right or clear whatever is missing."""

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import warnings
from itertools import pairwise
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from PIL import Image

from helpers.synthetic_results import SAMPLES_PER_ITERATION, make_results
from helpers.verbs import verb
from manyseeds.analysis.data import Data, block_means
from manyseeds.analysis.results import find_results
from manyseeds.core.layout import REPOSITORY
from manyseeds.core.manifest import problems
from manyseeds.report.figures import NAMES, palette, style
from manyseeds.report.figures.draw import draw, drawing
from manyseeds.report.figures.options import DEFAULT, ONE_COLUMN, TWO_COLUMNS, Options

main = verb("figures")


# No torch and no simulator: an import of one of these fails. SciPy looks for torch in sys.modules: leave that alone.
NOTHING_TO_SHOW = ("differences", "success_under_factors")
"""Figures that say in one sentence why they show no seed: one variant, and no factors."""
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
    data = read(folder)
    return {name: laid_out(data, name)[1] for name in names or NAMES}


def read(folder: Path) -> Data:
    (results,) = find_results(folder)
    return Data(results)


def laid_out(experiment: Path | Data, name: str, options: Options = DEFAULT) -> tuple[Figure, str]:
    """One figure of an experiment, and its caption."""
    data = read(experiment) if isinstance(experiment, Path) else experiment
    with style.applied(), warnings.catch_warnings():
        warnings.simplefilter("error")  # Matplotlib warns where labels leave no room for panels.
        figure, caption = drawing(name)(data, options)
        figure.draw_without_rendering()
    return figure, caption


def texts(folder: Path, name: str) -> str:
    """All words inside the panels of one figure."""
    return " ".join(text.get_text() for axes in laid_out(folder, name)[0].axes for text in axes.texts)


def in_legend(figure: Figure) -> list[str]:
    return [text.get_text() for legend in figure.legends for text in legend.get_texts()]


def on_axis(figure: Figure) -> list[str]:
    return [label.get_text() for axes in figure.axes for label in axes.get_yticklabels()]


def with_config(folder: Path, **fields: object) -> None:
    """Change fields of config.json."""
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | fields))


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
    assert set(digests(results / "figures")) == {*names, "captions.json"}


def test_drawing_again_gives_the_same_bytes(results: Path) -> None:
    before = digests(results / "figures")
    environment = os.environ | {"PYTHONHASHSEED": "123", "SOURCE_DATE_EPOCH": "1", "MPLBACKEND": "svg", "LC_ALL": "C"}
    subprocess.run([sys.executable, "-c", BARE, str(results)], check=True, env=environment)
    assert digests(results / "figures") == before


def test_the_manifest_knows_the_files_also_after_some_are_drawn_again_and_finds_an_edit(
    results: Path, tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(results, tmp_path / "lift"))
    manifest = folder / "figures.manifest.json"
    assert problems(manifest) == []
    before = (folder / "figures" / "throughput.png").read_bytes()
    (folder / "figures" / "final_success.svg").write_text("edited")
    assert main([str(folder), "--only", "throughput", "--width", "one"]) == 0
    assert (folder / "figures" / "throughput.png").read_bytes() != before
    edited = folder / "figures" / "final_success.svg"
    assert problems(manifest) == [f"{edited} is not the file that `manyseeds figures` left"]


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
    allowed = (pytest.approx(ONE_COLUMN, abs=0.01), pytest.approx(TWO_COLUMNS, abs=0.01))
    assert all(width in allowed for width in widths.values()), widths


def test_captions_say_how_many_seeds_and_which_interval(results: Path) -> None:
    captions = {name: (results / "figures" / f"{name}.rst").read_text() for name in NAMES}
    for name, caption in captions.items():
        assert "default n = 3" in caption or name in NOTHING_TO_SHOW, name
    for name in ("learning_curves", "reward_terms"):
        assert "pointwise 95 % t interval over seeds" in captions[name]
    for name in ("learning_curves", "success_per_checkpoint", "final_success", "measures"):
        assert "95 % interval over seeds (Student's t on the logit scale)" in captions[name]
    assert "Wilson" in captions["final_success"]
    assert "no two variants to compare" in captions["differences"]


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
        assert "One seed gives no interval over seeds." in captions[name] or name == "performance_profile"
        assert "t interval" not in captions[name]
    assert "1 seed allows no band" in captions["performance_profile"]
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
    assert "default seed 43 is left out: its last checkpoint is 20 and not 60." in captions["final_success"]
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


def test_the_band_of_the_return_can_cover_the_whole_mean_curve_and_the_caption_says_so(
    copy: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (results,) = find_results(copy)
    narrow = Data(results).curve_by_samples("default", "Train/mean_reward")
    config = {"variants": {"default": {}}, "seeds": [42, 43, 44], "curves": {"band": "simultaneous"}}
    (copy / "config.json").write_text(json.dumps(config))
    (results,) = find_results(copy)
    wide = Data(results).curve_by_samples("default", "Train/mean_reward")
    assert narrow is not None and wide is not None
    assert (wide.high - wide.low > narrow.high - narrow.low).all()
    np.testing.assert_array_equal(wide.mean, narrow.mean)
    said = drawn(copy, "learning_curves", "reward_terms", "learning_curves_wall_clock", "performance_profile")
    assert "simultaneous" not in said["reward_terms"] and "pointwise" in said["reward_terms"]
    for name in ("learning_curves", "learning_curves_wall_clock"):
        assert "simultaneous 95 % t band over seeds, which covers the whole mean curve at once (Train" in said[name]
        assert "pointwise 95 % interval over seeds (Student's t on the logit scale) (Metrics" in said[name]
    assert main([str(copy), "--band", "pointwise", "--only", "learning_curves"]) == 0
    assert "pointwise 95 % t interval" in (copy / "figures" / "learning_curves.rst").read_text()
    (copy / "config.json").write_text(json.dumps(config | {"curves": {"band": "wide"}}))
    assert main([str(copy)]) == 2
    assert (
        "curves.band is 'wide'; it must be pointwise or simultaneous or standard-error or range or none"
        in capsys.readouterr().err
    )


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


VARIANTS = ("a", "b", "c", "d", "e", "f")


@pytest.fixture(scope="module")
def grid(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six variants in two settings, near 100 %."""
    folder = make_results(
        tmp_path_factory.mktemp("results") / "grid",
        VARIANTS,
        (1, 2, 3),
        finals=(0.99, 0.97, 0.95, 0.9, 0.8, 0.6),
        spread=0.4,
        labels={"a": "$small$ π 0.9"},
    )
    sizes = {name: [64] if name < "d" else [256] for name in VARIANTS}
    settings = {
        name: {"agent": {"algorithm": {"gamma": 0.9 + 0.01 * (place % 3)}, "hidden": sizes[name]}}
        for place, name in enumerate(VARIANTS)
    }
    with_config(folder, variants=settings)
    return folder


@pytest.fixture(scope="module")
def six(grid: Path) -> Data:
    return read(grid)


def test_a_label_stands_for_the_variant_in_every_figure_and_caption(six: Data) -> None:
    for name in NAMES:
        if name == "success_under_factors":  # tests/report/test_factors.py
            continue
        figure, caption = laid_out(six, name)
        assert "Each variant: n = 3 (seeds 1 to 3)." in caption, name
        shown = [*in_legend(figure), *on_axis(figure), *(axes.get_title(loc="left") for axes in figure.axes)]
        shown += [axes.get_ylabel() for axes in figure.axes]
        assert any("$small$ π 0.9" in text for text in shown), name


def test_more_than_three_variants_are_drawn_without_seeds_and_with_bars(six: Data) -> None:
    """Lines of eighteen seeds and six bands hide each other."""
    figure, caption = laid_out(six, "learning_curves")
    assert "Lines: mean over seeds; bars at some points, moved apart: pointwise" in caption
    assert "each seed" not in in_legend(figure) and not figure.axes[0].collections[0].get_array()
    widths = [line.get_linewidth() for line in figure.axes[0].lines if len(line.get_xdata()) > 10]
    assert len(widths) == 6 and set(widths) == {style.RC["lines.linewidth"]}
    assert "each seed" in in_legend(laid_out(six, "learning_curves", Options(panels="gamma"))[0])


def test_three_bands_of_few_seeds_would_hide_each_other() -> None:
    assert [style.crowded(variants, 3) for variants in (1, 2, 3, 4)] == [False, False, True, True]
    assert [style.crowded(variants, 6) for variants in (1, 2, 3, 4)] == [False, False, False, True]


def test_curves_get_a_panel_for_each_value_of_a_setting_or_each_variant(six: Data) -> None:
    for name in ("learning_curves", "success_per_checkpoint"):
        for panels, titles in (
            ("gamma", ["gamma = 0.9", "gamma = 0.91", "gamma = 0.92"]),
            ("agent.hidden", ["agent.hidden = 64", "agent.hidden = 256"]),
            ("variant", ["$small$ π 0.9", *"bcdef"]),
        ):
            figure, _ = laid_out(six, name, Options(panels=panels))
            assert [axes.get_title(loc="left") for axes in figure.axes][: len(titles)] == titles


def test_only_some_figures_of_some_variants_go_into_a_folder_of_ones_own(grid: Path, tmp_path: Path) -> None:
    chosen = ["--only", "learning_curves", "differences", "--variants", "c", "a", "--width", "two"]
    assert main([str(grid), *chosen, "--output", str(tmp_path / "paper")]) == 0
    assert {path.stem for path in (tmp_path / "paper").glob("*.png")} == {"learning_curves", "differences"}
    assert not (grid / "figures").exists()
    with Image.open(tmp_path / "paper" / "learning_curves.png") as image:
        assert image.width / style.RC["savefig.dpi"] == pytest.approx(TWO_COLUMNS, abs=0.01)
    caption = (tmp_path / "paper" / "differences.rst").read_text()
    assert "Each variant: n = 3 (seeds 1 to 3)." in caption and "all 15 comparisons" not in caption


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--variants", "A"], "there is no variant 'A'; it must be a or b or c or d or e or f"),
        (["--panels", "gama"], "--panels is 'gama'; it must be variant or agent.algorithm.gamma or agent.hidden"),
    ],
)
def test_a_choice_that_the_experiment_does_not_have_is_one_sentence(
    grid: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], words: str
) -> None:
    assert main([str(grid), "--output", str(tmp_path / "paper"), *arguments]) == 2
    message = capsys.readouterr().err
    assert words in message and message.count("\n") == 1
    assert not (tmp_path / "paper").exists()


def test_figures_of_two_experiments_cannot_share_a_folder(
    copy: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    make_results(tmp_path / "other", episodes=5)
    assert main([str(tmp_path), "--only", "throughput", "--output", str(tmp_path / "paper")]) == 2
    assert "holds several experiments; give the folder of one" in capsys.readouterr().err


def test_every_figure_of_six_variants_fits_into_one_column(six: Data) -> None:
    for name in NAMES:
        figure, _ = laid_out(six, name, Options(width="one"))
        assert figure.get_figwidth() == ONE_COLUMN and figure.get_figheight() < 9.5


def test_differences_have_the_intervals_of_the_table(six: Data) -> None:
    figure, caption = laid_out(six, "differences")
    table = six.comparisons
    own = table[table["outcome"] == "reached"]
    bars = [line for line in figure.axes[0].lines if len(line.get_xdata()) == 2 and line.get_xdata()[0] != 0]
    np.testing.assert_allclose([bar.get_xdata() for bar in bars], 100 * own[["low", "high"]].to_numpy(float))
    assert "hold for all 15 comparisons of a panel together" in caption
    assert "b - c" in on_axis(figure)


def test_a_seed_that_left_nothing_is_named_in_every_caption(copy: Path) -> None:
    with_config(copy, seeds=[42, 43, 44, 45, 46])
    for name, caption in drawn(copy).items():
        said = "Missing, because they left no results: default seeds 45, 46." in caption
        assert said or name in NOTHING_TO_SHOW, name


def test_failed_runs_that_count_as_zero_are_drawn_and_said(copy: Path) -> None:
    with_config(copy, seeds=[42, 43, 44, 45], evaluate={"failed_runs": "count_as_zero"})
    figure, caption = laid_out(copy, "final_success")
    assert "default seed 45 counts as zero: no results." in caption and "seeds 42 to 45" in caption
    assert on_axis(figure)[:4] == ["seed 42", "seed 43", "seed 44", "seed 45"]
    drawn(copy)


def test_a_mean_of_several_checkpoints_has_no_interval_over_episodes(copy: Path) -> None:
    with_config(copy, evaluate={"estimate": "mean_of_last_3"})
    figure, caption = laid_out(copy, "final_success")
    assert "mean of the last 3 checkpoints" in caption and "Wilson" not in caption + " ".join(in_legend(figure))
    drawn(copy)


def test_a_baseline_is_compared_with_each_other_variant_and_the_intervals_are_narrower(
    grid: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "grid"
    shutil.copytree(grid, folder)
    every = read(folder).comparisons
    with_config(folder, baseline="b")
    figure, caption = laid_out(folder, "differences")
    assert "hold for all 5 comparisons of a panel together" in caption
    assert on_axis(figure)[:5] == ["$small$ π 0.9 - b", "c - b", "d - b", "e - b", "f - b"]
    pair = ["outcome", "a", "b", "difference", "low", "high"]
    own = read(folder).comparisons[pair].merge(every[pair], on=["outcome", "a", "b", "difference"])
    assert len(own) == 2 and (own["low_x"] > own["low_y"]).all() and (own["high_x"] < own["high_y"]).all()


def test_the_caption_of_training_names_exploration_and_easier_starts(copy: Path) -> None:
    assert "the policy explores (its actions are drawn at random), so this is not" in drawn(copy)["learning_curves"]
    with_config(copy, variants={"default": {"task_cfg": {"grasp_start_share": 0.25}}})
    said = drawn(copy, "learning_curves")["learning_curves"]
    assert "25 % of the episodes start on the way to a grasp, so this is not the success of an evaluation" in said


def test_unequal_easier_starts_do_not_compare_variants(tmp_path: Path) -> None:
    folder = make_results(tmp_path / "lift", ("a", "b"), episodes=5)
    with_config(folder, variants={"a": {"task_cfg": {"grasp_start_share": 0.5}}, "b": {}})
    said = drawn(folder, "learning_curves")["learning_curves"]
    assert "a 50 %, b 0 % of the episodes start on the way to a grasp" in said
    assert "success in training does not compare the variants" in said


def test_a_tolerance_of_the_task_is_marked_where_the_evaluation_had_it(copy: Path) -> None:
    assert "Dashed: success_distance = 0.05 m." in drawn(copy, "measures")["measures"]
    with_config(copy, evaluate={"overrides": {"success_distance": 0.02}})
    figure, caption = laid_out(copy, "measures")
    assert "Dashed: success_distance = 0.02 m." in caption
    marked = [line.get_xdata() for axes in figure.axes for line in axes.lines if len(line.get_xdata()) == 2]
    assert [0.02, 0.02] in [list(x) for x in marked]


def test_the_legend_of_final_success_names_both_kinds_of_intervals(results: Path) -> None:
    legend = " ".join(in_legend(laid_out(results, "final_success")[0]))
    assert "95 % Wilson interval over episodes" in legend and "95 % interval over seeds" in legend


def test_few_seeds_get_no_band_of_a_profile_and_no_interval_of_a_median(tmp_path: Path) -> None:
    few = make_results(tmp_path / "few", seeds=range(3), episodes=20)
    said = drawn(few, "performance_profile", "time_to_threshold")
    assert "3 seeds allow no band: even if all are above τ, 29 to 100 %" in said["performance_profile"]
    legend = in_legend(laid_out(few, "performance_profile")[0])
    assert "no band: 3 of 3 seeds above τ allow 29 to 100 % of all seeds" in [
        text.replace("\n", " ") for text in legend
    ]
    assert "Fewer than 6 seeds give no 95 % interval of a median." in said["time_to_threshold"]
    enough = make_results(tmp_path / "enough", seeds=range(6), episodes=20)
    said = drawn(enough, "performance_profile", "time_to_threshold")
    assert "Band: 95 % interval of the share at each τ (Clopper and Pearson)" in said["performance_profile"]
    assert "95 % interval from order statistics" in said["time_to_threshold"]


def test_the_way_to_a_threshold_is_drawn_from_checkpoint_to_checkpoint(copy: Path) -> None:
    """A seed that reads 90 % at one checkpoint and less at the next has not got there."""
    path = copy / "default" / "seed_43" / "episodes.csv"
    table = pd.read_csv(path)
    table["reached"] = np.where(table["iteration"].isin([20, 40, 50, 60]), 1, 0)
    table.to_csv(path, index=False)
    figure, caption = laid_out(copy, "time_to_threshold")
    assert "and stays there to the last checkpoint" in caption
    ends = [30 * SAMPLES_PER_ITERATION / 1e3, 40 * SAMPLES_PER_ITERATION / 1e3]
    bars = [line.get_xdata() for line in figure.axes[0].lines if len(line.get_xdata()) == 2]
    assert any(np.allclose(bar, ends) for bar in bars)


def test_failures_are_counted_in_fields_of_the_map(copy: Path) -> None:
    figure, caption = laid_out(copy, "failure_map")
    tables = [pd.read_csv(path) for path in copy.glob("default/*/episodes.csv")]
    last = pd.concat(tables).query("iteration == 60")
    mesh = figure.axes[0].collections[0].get_array()
    fields = int(mesh.shape[0]) ** 2
    assert f"about {20 / fields:.0f} episodes a field" in caption
    counts, *_ = np.histogram2d(last["object_y"], last["object_x"], bins=int(mesh.shape[0]))
    mean = float(np.nansum(mesh.T * counts) / counts.sum())
    assert mean == pytest.approx(100 * (1 - last["reached"].mean()), abs=1e-6)
    assert [axes.get_ylabel() for axes in figure.axes][-1] == "failed episodes (%)"
