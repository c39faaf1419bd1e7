"""The page of curves: one file, nothing from elsewhere, every number as in the CSV files."""

import base64
import json
import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from plotly.offline import get_plotlyjs

from helpers.synthetic_results import SAMPLES_PER_ITERATION, make_results
from helpers.verbs import verb
from manyseeds.report.figures.palette import looks
from manyseeds.report.pages.curves import POINTS, main
from manyseeds.report.pages.provenance import main as write_provenance

pages = verb("pages")


def read_page(folder: Path) -> tuple[str, dict]:
    """The page that the command writes for an experiment, and the data embedded in it."""
    assert main([str(folder)]) == 0
    text = (folder / "curves.html").read_text(encoding="utf-8")
    (embedded,) = re.findall(r'<script id="data" type="application/json">(.*?)</script>', text, re.S)
    return text, json.loads(embedded)


def decoded(text: str) -> np.ndarray:
    return np.frombuffer(base64.b64decode(text), dtype="<f4")


def test_the_page_holds_the_values_of_the_csv_files(tmp_path: Path) -> None:
    folder = make_results(tmp_path / "lift", variants=("default", "small"))
    _, data = read_page(folder)
    assert [variant["name"] for variant in data["variants"]] == ["default", "small"]
    assert data["variants"][0]["samples"] == SAMPLES_PER_ITERATION
    assert len(data["runs"]) == 6
    run = next(run for run in data["runs"] if run["key"] == "small/43")
    scalars = pd.read_csv(folder / "small" / "seed_43" / "scalars.csv")
    for tag in ("Train/mean_reward", "Loss/value"):
        np.testing.assert_array_equal(decoded(run["series"][tag]["y"]), scalars[tag].astype(np.float32))
    np.testing.assert_array_equal(decoded(run["iterations"]), scalars["iteration"])
    seconds = scalars["Perf/collection_time"] + scalars["Perf/learning_time"]
    np.testing.assert_allclose(decoded(run["hours"]), seconds.cumsum() / 3600, rtol=1e-6)
    episodes = pd.read_csv(folder / "small" / "seed_43" / "episodes.csv").groupby("iteration")["reached"].mean()
    np.testing.assert_array_equal(decoded(run["series"]["Evaluation/reached"]["x"]), episodes.index)
    np.testing.assert_allclose(decoded(run["series"]["Evaluation/reached"]["y"]), episodes, rtol=1e-6)


def test_the_page_needs_nothing_from_elsewhere(tmp_path: Path) -> None:
    class Links(HTMLParser):
        found: list[str]

        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            self.found += [value for name, value in attrs if name in ("src", "href") and value]

    text, _ = read_page(make_results(tmp_path / "lift", seeds=(1,)))
    links = Links()
    links.found = []
    links.feed(text)
    assert links.found == ["data:,"]
    # Plotly's code can fetch maps, for other charts than these; the test in a browser sees what is asked for.
    text = text.replace(get_plotlyjs(), "")
    assert set(re.findall(r"https?://[^\"' ]+", text)) == set()
    assert "import(" not in text and "fetch(" not in text and "@import" not in text


def test_the_page_is_the_same_to_the_byte_when_repeated(tmp_path: Path) -> None:
    folder = make_results(tmp_path / "lift", seeds=(1, 2))
    assert read_page(folder)[0] == read_page(folder)[0]


def test_long_runs_are_shortened_to_what_a_screen_shows_and_the_page_says_so(tmp_path: Path) -> None:
    folder = make_results(tmp_path / "lift", seeds=(1,), iterations=2500, save_interval=2500, episodes=3)
    _, data = read_page(folder)
    assert data["block"] == 3
    values = decoded(data["runs"][0]["series"]["Loss/value"]["y"])
    assert len(values) <= POINTS
    first = pd.read_csv(folder / "default" / "seed_1" / "scalars.csv")["Loss/value"][:3].mean()
    assert values[0] == pytest.approx(first, rel=1e-5)


def test_names_cannot_break_out_of_the_page(tmp_path: Path) -> None:
    folder = make_results(tmp_path / "lift & <b>", variants=("x<!--<script>alert(1)",), seeds=(1,))
    text, data = read_page(folder)
    assert data["variants"][0]["name"] == "x<!--<script>alert(1)"
    assert "<title>Curves of lift &amp; &lt;b&gt;</title>" in text
    assert "<!--" not in text and "<script>alert" not in text


def test_a_page_without_evaluation_and_one_without_scalars_can_be_made(tmp_path: Path) -> None:
    for missing, tags in (("episodes.csv", {"Train/mean_reward"}), ("scalars.csv", {"Evaluation/reached"})):
        folder = make_results(tmp_path / missing, seeds=(1,))
        (folder / "default" / "seed_1" / missing).unlink()
        _, data = read_page(folder)
        assert tags <= set(data["tags"]) and set(data["picked"]) <= set(data["tags"])


def test_colors_and_lines_are_those_of_the_figures(tmp_path: Path) -> None:
    _, data = read_page(make_results(tmp_path / "lift", variants=("a", "b"), seeds=(1,)))
    assert [variant["color"] for variant in data["variants"]] == [look.color for look in looks(["a", "b"]).values()]


def test_a_malformed_file_is_one_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = make_results(tmp_path / "lift", seeds=(1,))
    path = folder / "default" / "seed_1" / "scalars.csv"
    path.write_text("nothing\n")
    assert pages([str(folder)]) == 2
    assert capsys.readouterr().err.startswith(f"error: {path}: ")


def test_the_provenance_page_says_what_made_each_run_and_what_was_asked_for(tmp_path: Path) -> None:
    folder = make_results(tmp_path / "lift", seeds=(1, 2))
    record = {
        "code": {"version": "0.1.0", "commit": "0123456789abcdef", "dirty": True},
        "packages": {"torch": "2.13.0"},
        "hardware": {"cpu": "Some <CPU>", "cores": 8, "gpu": ["A GPU"]},
        "started": "2026-01-01T10:00:00+00:00",
        "ended": "2026-01-01T11:30:00+00:00",
        "resumed": 2,
        "outputs": {"model_60.pt": "ab" * 32},
    }
    (folder / "default" / "seed_1" / "run.json").write_text(json.dumps(record))
    (folder / "config.json").write_text('{"variants": {"default": {"gamma": 0.98}}, "seeds": [1, 2]}')
    assert write_provenance([str(folder)]) == 0
    text = (folder / "provenance.html").read_text()
    for words in ("0.1.0 0123456789ab, changed", "torch 2.13.0", "Some &lt;CPU&gt;, 8 cores", "A GPU", "<td>1.50</td>"):
        assert words in text
    assert text.count("no run.json") == 1
    assert "<p>default seed 1: torch 2.13.0.</p>" in text
    assert "&#34;gamma&#34;: 0.98" in text and f"{'ab' * 32}  default/seed_1/model_60.pt" in text


def test_a_broken_run_record_is_one_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = make_results(tmp_path / "lift", seeds=(1,))
    path = folder / "default" / "seed_1" / "run.json"
    path.write_text("{")
    assert pages([str(folder)]) == 2
    assert capsys.readouterr().err.startswith(f"error: {path}: not readable as JSON")
