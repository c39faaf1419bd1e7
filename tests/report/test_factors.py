"""Tables, the figure and the report of success under factors, and that they go when the factors go."""

import json
from itertools import pairwise
from pathlib import Path

import pytest
from matplotlib.figure import Figure

from helpers.synthetic_results import add_factors, make_results
from manyseeds.analysis.data import Data
from manyseeds.analysis.results import find_results
from manyseeds.audit.publish import publish
from manyseeds.audit.verify import verify
from manyseeds.core.manifest import write_manifest
from manyseeds.report.figures import style
from manyseeds.report.figures.draw import draw
from manyseeds.report.figures.factors import success_under_factors
from manyseeds.report.pages.report import write_report
from manyseeds.report.tables.write import write_tables

FACTORS = {
    "object_mass_scale": [[0.5, 1.0], [1.0, 2.0]],
    "friction": [[0.3, 1.0], [1.0, 2.0]],
    "delay": [1, 2],
    "noise": [0.01, 0.02],
    "gain": [[0.8, 1.2]],
    "push": [5.0],
}
"""Twelve conditions, with nominal and all together."""


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    names = ("base", "wide", "randomized")
    folder = make_results(tmp_path_factory.mktemp("factors") / "lift", names, (1, 2, 3), iterations=20, episodes=40)
    add_factors(folder, FACTORS)
    for path in folder.glob("*/seed_*/factors.csv"):
        write_manifest(path.parent, "evaluate-factors", [path], [], "factors")
        (path.parent / "run.json").write_text(json.dumps({"ended": "2026-01-01", "outputs": {}}))
    return folder


def data_of(folder: Path) -> Data:
    [results] = find_results(folder)
    return Data(results)


def laid_out(folder: Path) -> tuple[Figure, str]:
    with style.applied():
        figure, caption = success_under_factors(data_of(folder))
        figure.draw_without_rendering()
    return figure, caption


def test_the_figure_has_a_row_for_each_of_twelve_conditions_with_room_for_three_variants(made: Path) -> None:
    figure, caption = laid_out(made)
    axes = figure.axes[0]
    names = [label.get_text().replace("\n", " ") for label in axes.get_yticklabels()]
    assert len(names) == 12 and names[0] == "nominal" and names[-1] == "all together"
    assert "object_mass_scale = 0.5 to 1" in names and "delay = 2" in names
    boxes = [label.get_window_extent() for label in axes.get_yticklabels()]
    assert all(not a.overlaps(b) for a, b in pairwise(boxes)), "names overlap"
    assert axes.get_window_extent().width > 0.25 * figure.get_window_extent().width
    drawn = [line for line in axes.lines if line.get_marker() == "o" and line.get_markersize() < 2]
    assert [len(line.get_xdata()) for line in drawn] == [36] * 3
    assert "Each variant: n = 3 (seeds 1 to 3)." in caption and "All together: object_mass_scale = 1 to 2," in caption


def test_the_figure_says_so_where_nothing_was_played_under_factors(tmp_path: Path) -> None:
    figure, caption = laid_out(make_results(tmp_path / "lift", iterations=20, episodes=10))
    assert style.is_empty(figure)
    assert caption == "No checkpoint was evaluated under factors (evaluate.factors)."


def test_tables_come_in_all_formats_and_go_with_the_factors(made: Path, tmp_path: Path) -> None:
    said = write_tables(find_results(made)[0])
    files = sorted(path.suffix for path in made.glob("success_under_factors.*"))
    assert files == [".csv", ".html", ".md", ".tex"]
    assert (made / "success_under_factors.md").read_text() in said
    assert "<title>Success under factors</title>" in (made / "success_under_factors.html").read_text()
    assert r"\label{tab:success-under-factors}" in (made / "success_under_factors.tex").read_text()
    first = {path.name: path.read_bytes() for path in made.glob("success_under_factors.*")}
    write_tables(find_results(made)[0])
    assert first == {path.name: path.read_bytes() for path in made.glob("success_under_factors.*")}
    assert verify(made).problems == ()
    other = make_results(tmp_path / "lift", iterations=20, episodes=10)
    (other / "success_under_factors.csv").write_text("of an earlier config")
    write_tables(find_results(other)[0])
    assert not list(other.glob("success_under_factors.*"))


def test_the_report_has_a_section_for_it(made: Path) -> None:
    [folder] = find_results(made)
    draw(folder, ("success_under_factors",))
    text = write_report(Data(folder)).read_text()
    section = text[text.index('<section id="robustness">') : text.index('<section id="failures">')]
    assert '<a href="#robustness">' in text and "data:image/svg+xml" in section
    assert "<td>object_mass_scale</td><td>0.5 to 1</td>" in section


def test_a_published_copy_has_the_same_table_and_its_files_are_vouched_for(made: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    publish(find_results(made)[0], copy, ())
    for folder in (made, copy):
        write_tables(find_results(folder)[0])
    name = "success_under_factors.csv"
    assert (copy / name).read_bytes() == (made / name).read_bytes()
    assert verify(copy).problems == ()
    path = copy / "base" / "seed_1" / "factors.csv"
    path.write_text(path.read_text().replace("nominal", "nominal ", 1))
    assert any("factors.csv is not the file" in problem for problem in verify(copy).problems)
