"""Snakemake's report of a finished experiment, in a real Chromium without a network."""

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from helpers.browser import Browser
from helpers.synthetic_results import make_results
from manyseeds.core.layout import REPOSITORY
from manyseeds.evaluation.failures import main as film_failures
from manyseeds.report.figures import NAMES
from manyseeds.report.figures.draw import main as draw
from manyseeds.report.pages.animation import main as write_animation
from manyseeds.report.pages.curves import main as write_page
from manyseeds.report.pages.provenance import main as write_provenance
from manyseeds.report.pages.report import main as write_report
from manyseeds.report.tables.write import main as write_tables

pytestmark = pytest.mark.browser

CONFIG = """\
experiment: lift
seeds: [42, 43, 44]
train: {num_envs: 512, max_iterations: 60, save_interval: 30}
agent: {file: generic_policy.json}
evaluate: {episodes: 50}
"""


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The report of made-up runs: Snakemake is told that the results are there already."""
    folder = tmp_path_factory.mktemp("workflow")
    (folder / "config.yaml").write_text(CONFIG)
    results = make_results(folder / "results" / "lift", save_interval=30)
    for run in (results / "default").glob("seed_*"):
        (run / "params").mkdir()
        (run / "run.json").write_text(json.dumps({"python": "3.11.2"}))
        for name in ("model_30.pt", "model_60.pt", "events.out.tfevents.manyseeds", "scalars.json"):
            (run / name).touch()
        for name in ("agent", "env"):
            (run / "params" / f"{name}.yaml").touch()
    picture = REPOSITORY / "workflow" / "report" / "no_animation.gif"
    assert film_failures([str(results / "default"), "--stand_in", str(picture)]) == 0
    for write in (write_tables, draw, write_page, write_provenance, write_report):
        assert write([str(results)]) == 0
    animation = results / "default" / "policy.gif"
    shutil.copy(picture, animation)
    assert write_animation([str(animation), "--output", str(animation.with_suffix(".html"))]) == 0
    command = [sys.executable, "-m", "snakemake", "--snakefile", str(REPOSITORY / "Snakefile"), "--cores", "2"]
    for arguments in (["--touch"], ["--report", "report.html"]):
        result = subprocess.run([*command, *arguments], cwd=folder, capture_output=True, text=True)
        assert result.returncode == 0, result.stdout + result.stderr
    return folder / "report.html"


@pytest.fixture
def page(report: Path) -> Iterator[Browser]:
    """The report, freshly opened; by the end of the test nothing may have gone wrong or been asked for."""
    with Browser() as browser:
        browser.open(report)
        yield browser
        # Snakemake's own style sheet warns that it is meant for development.
        assert [line for line in browser.console() if "cdn.tailwindcss.com should not be used" not in line] == []
        asked = [url for url in browser.requests() if not url.startswith(("data:", "about:", "blob:"))]
        assert {url.split("#")[0] for url in asked} == {report.as_uri()}


def show(page: Browser, category: str, entry: str, button: str = "eye") -> None:
    """Open a category from the front page and click a button of one of its entries."""
    page.wait_for(
        "const link = [...document.querySelectorAll('nav a, nav li, nav span')]"
        ".filter(node => node.innerText.trim() === arguments[0]).pop(); link?.click(); return Boolean(link)",
        category,
    )
    page.wait_for(
        "const row = [...document.querySelectorAll('tr')].find(row => row.innerText.trim() === arguments[0]);"
        "const link = row?.querySelector(`a[iconname='${arguments[1]}']`); link?.click(); return Boolean(link)",
        entry,
        button,
    )


def test_every_category_is_there_and_every_figure(page: Browser) -> None:
    text = page.wait_for("return document.querySelector('nav').innerText")
    for category in ("All on one page", "Curves", "Figures", "Policies", "Provenance", "Tables"):
        assert category in text
    assert "The seed is the unit of all statistics" in page.run("return document.body.innerText")
    show(page, "Figures", NAMES[0].replace("_", " "))
    shown = page.run("return document.querySelector('nav').innerText")
    assert [name for name in NAMES if name.replace("_", " ") not in shown] == []


def test_a_figure_is_visible_and_its_caption_says_how_many_seeds(page: Browser) -> None:
    show(page, "Figures", "final success")
    width = page.wait_for(
        "const image = [...document.images].find(image => image.src.includes('final_success.svg'));"
        "return image?.getBoundingClientRect().width",
    )
    assert width > 400
    show(page, "Figures", "final success", "information-circle")
    page.wait_for("return document.body.innerText.includes('default n = 3 (seeds 42 to 44)')")


@pytest.mark.parametrize(
    ("category", "entry", "words"),
    [
        ("All on one page", "report", "No film could be made on this machine"),
        ("Curves", "all curves", "Train/mean_reward"),
        ("Tables", "success rates", "mean, 3 seeds"),
        ("Provenance", "runs and configuration", "3.11.2"),
        ("Policies", "default", "<img"),
    ],
)
def test_pages_are_shown_inside_the_report(page: Browser, category: str, entry: str, words: str) -> None:
    show(page, category, entry)
    source = page.wait_for("return document.querySelector('iframe')?.src")
    content = page.run("return atob(arguments[0].split(',')[1])", source)
    assert words in content or words in json.dumps(content)
    assert page.run("return document.querySelector('iframe').getBoundingClientRect().height") > 300
