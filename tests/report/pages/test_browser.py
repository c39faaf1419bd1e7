"""The pages in a real Chromium without a network: they load, show their figures and do what a reader does."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image
from scipy.special import stdtrit

from helpers.browser import Browser
from helpers.synthetic_results import make_results
from manyseeds.analysis.data import Data
from manyseeds.analysis.results import find_results
from manyseeds.report.figures.draw import draw
from manyseeds.report.pages.curves import main as write_page
from manyseeds.report.pages.report import write_report
from manyseeds.report.tables.write import main as write_tables
from manyseeds.statistics import rate_interval

pytestmark = pytest.mark.browser

SHOWN = "return [...document.querySelectorAll('figure')].map(figure => figure.dataset.tag)"
# The drawn lines of each kind: seed, mean, and the band and its lower edge.
KIND = (
    "const kind = (kind, tag) => [...document.querySelectorAll(tag ? `figure[data-tag='${tag}']` : 'figure')].flatMap("
    "figure => figure.querySelector('.js-plotly-plot').calcdata.filter(([point]) => point.trace.meta === kind)"
    ".map(([point]) => figure.querySelector(`.trace${point.trace.uid} .js-line`)));"
)
MEANS = KIND + "return kind('mean', 'Train/mean_reward').length"
PATH = KIND + "return kind('mean', 'Train/mean_reward')[0].getAttribute('d')"
TICKS = "return [...document.querySelectorAll('figure:first-child text')].map(text => text.textContent)"


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with Browser() as browser:
        yield browser


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = make_results(tmp_path_factory.mktemp("results") / "lift", variants=("default", "small"))
    assert write_page([str(folder)]) == 0
    assert write_tables([str(folder)]) == 0
    draw(find_results(folder)[0], ("success_per_checkpoint", "final_success", "failure_map"))
    Image.new("RGB", (616, 360), "orange").save(folder / "default" / "failures.gif")
    Image.new("RGB", (616, 180), "blue").save(folder / "default" / "seeds.gif")
    films = {"failures.gif": "Above: what fails.", "seeds.gif": "All seeds."}
    (folder / "default" / "failures.json").write_text(json.dumps({"films": films, "iteration": 60}))
    write_report(Data(find_results(folder)[0]))
    return folder


@pytest.fixture
def page(browser: Browser, results: Path) -> Iterator[Browser]:
    """The page of curves, freshly opened; nothing may have gone wrong in it by the end of the test."""
    browser.open(results / "curves.html")
    assert browser.run("return document.body.dataset.ready") == "true"
    yield browser
    assert browser.console() == []


def test_an_error_would_be_seen(browser: Browser, results: Path) -> None:
    browser.open(results / "curves.html")
    browser.run("setTimeout(() => { throw new Error('broken'); }, 0)")
    browser.run("console.error('wrong')")
    messages = " ".join(browser.console())
    assert "broken" in messages and "wrong" in messages
    browser.run("fetch('http://example.org/x.js').catch(() => 0)")
    assert "http://example.org/x.js" in browser.requests()


def check(page: Browser, name: str) -> None:
    """Click the checkbox of a tag or a seed."""
    page.run("document.querySelector(`input[value='${arguments[0]}']`).click()", name)


def middle(page: Browser) -> tuple[int, int]:
    """Middle of the first chart in the window."""
    box = page.run("return document.querySelector('figure .nsewdrag').getBoundingClientRect().toJSON()")
    return round(box["x"] + box["width"] / 2), round(box["y"] + box["height"] / 2)


def test_the_page_asks_for_nothing_but_itself(page: Browser, results: Path) -> None:
    asked = {url for url in page.requests() if not url.startswith(("data:", "about:"))}
    assert {url.split("#")[0] for url in asked} == {(results / "curves.html").as_uri()}


def test_charts_are_visible_and_hold_curves(page: Browser) -> None:
    assert page.run(SHOWN) == ["Evaluation/reached", "Evaluation/held", "Metrics/success_rate", "Train/mean_reward"]
    boxes = page.run(KIND + "return kind('mean').map(path => path.getBoundingClientRect().toJSON())")
    assert len(boxes) == 4 * 2
    assert all(box["width"] > 200 and box["height"] > 50 for box in boxes)
    assert page.run(KIND + "return kind('seed').length") == 4 * 6
    assert page.run(KIND + "return kind('band').length") == 4 * 2


def test_a_tag_can_be_switched(page: Browser) -> None:
    check(page, "Loss/value")
    check(page, "Train/mean_reward")
    assert page.run(SHOWN) == ["Evaluation/reached", "Evaluation/held", "Loss/value", "Metrics/success_rate"]


def test_tags_can_be_filtered_by_words(page: Browser) -> None:
    page.run(
        "const filter = document.getElementById('filter'); filter.value = 'reward OBJECT';"
        "filter.dispatchEvent(new Event('input', {bubbles: true}))"
    )
    visible = page.run(
        "return [...document.querySelectorAll('#tags label')].filter(label => "
        "label.offsetParent).map(label => label.innerText.trim())"
    )
    assert visible == [
        "Episode_Reward/lifting_object",
        "Episode_Reward/object_goal_tracking",
        "Episode_Reward/object_goal_tracking_fine_grained",
        "Episode_Reward/reaching_object",
    ]


def test_a_seed_and_a_variant_can_be_left_out(page: Browser) -> None:
    before = page.run(PATH)
    check(page, "default/42")
    assert page.run(PATH) != before
    assert page.run(KIND + "return kind('seed').length") == 4 * 5
    page.run("document.querySelector(`input[data-variant='small']`).click()")
    assert page.run(MEANS) == 1
    check(page, "default/43")
    assert page.run(KIND + "return kind('band').length") == 0, "one seed has no interval"


@pytest.mark.parametrize("rates", [[0.9, 0.95, 0.99], [1.0, 1.0, 1.0, 1.0], [0.0, 0.0, 0.002], [0.2, 0.9]])
@pytest.mark.parametrize("episodes", [None, 1000])
def test_the_band_of_a_share_is_that_of_the_tables(page: Browser, rates: list[float], episodes: int | None) -> None:
    _, *expected = rate_interval(rates, episodes)
    known = "NaN" if episodes is None else episodes * len(rates)
    found = page.run(
        f"const values = {rates}, n = values.length, mean = values.reduce((a, b) => a + b) / n;"
        "const error = Math.sqrt(values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / (n - 1) / n);"
        "data.t[n] = arguments[0];"
        f"return shareInterval(mean, error, n, {known}).map(String)",
        stdtrit(len(rates) - 1, 0.975),
    )
    assert [float(limit) for limit in found] == pytest.approx(expected, rel=1e-9, nan_ok=True)


def test_smoothing_changes_curves_but_not_the_evaluated_checkpoints(page: Browser) -> None:
    evaluated = KIND + "return kind('mean', 'Evaluation/reached')[0].getAttribute('d')"
    before, evaluated_before = page.run(PATH), page.run(evaluated)
    page.run(
        "const slider = document.getElementById('smoothing'); slider.value = 0.95; "
        "slider.dispatchEvent(new Event('input', {bubbles: true}))"
    )
    assert page.run(PATH) != before
    assert page.run(evaluated) == evaluated_before
    assert page.run("return document.getElementById('smoothing-value').textContent") == "0.95"


def test_the_axis_can_be_wall_clock(page: Browser) -> None:
    page.run(
        "const axis = document.getElementById('axis'); axis.value = 'hours';"
        "axis.dispatchEvent(new Event('input', {bubbles: true}))"
    )
    assert "hours of training" in page.run(TICKS)
    assert page.run(MEANS) == 2


def test_hovering_says_the_values_at_that_place(page: Browser) -> None:
    x, y = middle(page)
    page.pointer({"type": "pointerMove", "x": x, "y": y, "duration": 0})
    tip = page.wait_for("return document.querySelector('figure .hoverlayer').textContent")
    assert "default, mean of 3" in tip and "small, seed 44" in tip and "samples" in tip
    assert page.run("return document.querySelectorAll('figure .spikeline').length") > 0


def test_dragging_zooms_and_the_button_shows_all_again(page: Browser) -> None:
    before = page.run(TICKS)
    x, y = middle(page)
    page.pointer(
        {"type": "pointerMove", "x": x - 60, "y": y, "duration": 0},
        {"type": "pointerDown", "button": 0},
        {"type": "pointerMove", "x": x + 60, "y": y, "duration": 50},
        {"type": "pointerUp", "button": 0},
    )
    page.wait_for(f"{TICKS.replace('return', 'const ticks =')}; return ticks.join() !== arguments[0]", ",".join(before))
    page.run("document.getElementById('reset-zoom').click()")
    assert page.run(TICKS) == before


def test_the_address_brings_a_view_back(page: Browser, results: Path) -> None:
    check(page, "Loss/value")
    check(page, "small/42")
    fragment = page.run("return location.hash")
    shown, curve = page.run(SHOWN), page.run(PATH)
    page.open(results / "curves.html", fragment)
    assert (page.run(SHOWN), page.run(PATH)) == (shown, curve)
    for name in ("seeds", "log"):
        page.run("document.querySelector(`input[type=checkbox][name='${arguments[0]}']`).click()", name)
    for variant in ("default", "small"):
        page.run("document.querySelector(`input[data-variant='${arguments[0]}']`).click()", variant)
    check(page, "default/43")
    fragment = page.run("return location.hash")
    page.open(results / "curves.html", fragment)
    assert page.run(KIND + "return [kind('seed').length, kind('mean').length]") == [0, 5]
    axis = "return document.querySelector('figure .js-plotly-plot').layout.yaxis.type"
    assert page.run(axis) == "log"
    page.open(results / "curves.html", "#tag=no/such&tag=Loss/value&axis=furlongs&smoothing=9&zoom=4|x")
    assert page.run(SHOWN) == ["Loss/value"]


def test_nothing_picked_is_said_in_the_chart(page: Browser) -> None:
    for variant in ("default", "small"):
        page.run("document.querySelector(`input[data-variant='${arguments[0]}']`).click()", variant)
    assert page.run("return document.querySelector('figure').textContent").count("none of the ticked seeds") == 1


def test_odd_variant_names_are_shown_and_not_run(browser: Browser, tmp_path: Path) -> None:
    name = "<img src=x onerror=alert(1)>&amp;"
    folder = make_results(tmp_path / "lift", variants=(name,), seeds=(1,))
    assert write_page([str(folder)]) == 0
    browser.open(folder / "curves.html")
    assert name in browser.run("return document.getElementById('runs').innerText")
    assert browser.run("return document.images.length") == 0
    assert browser.console() == []


def test_the_tables_are_a_page_that_needs_nothing(browser: Browser, results: Path) -> None:
    browser.open(results / "success_rates.html")
    assert browser.run("return document.querySelectorAll('table').length") == 3
    assert browser.run("return document.querySelector('.bold').innerText").startswith("default\tmean, 3 seeds")
    assert len([url for url in browser.requests() if url.startswith(("http", "file"))]) == 1
    assert browser.console() == []


@pytest.mark.parametrize("width", [1280, 390])
def test_the_report_fits_the_screen_and_paper_and_asks_for_nothing(browser: Browser, results: Path, width: int) -> None:
    browser.resize(width, 900)
    try:
        browser.open(results / "report.html")
        fits = "return document.documentElement.scrollWidth <= innerWidth && innerWidth === arguments[0]"
        assert browser.run(fits, width)
        assert browser.run("return [...document.images].every(image => image.complete && image.naturalWidth > 0)")
        shown = "return [...document.querySelectorAll('.film')].map(film => film.getBoundingClientRect().width > 100)"
        assert browser.run(shown) == [True, False, True, False]
        assert browser.run("return document.querySelector('h2').innerText") == "Answer"
        # On a telephone the answer is read downwards, a line per number.
        cells = "return [...document.querySelectorAll('.answer tr:nth-child(1) td')].map(td => td.offsetTop)"
        assert (len(set(browser.run(cells))) > 1) == (width == 390)
        browser.print_media(True)
        assert browser.run(shown) == [False, True, False, True]
        assert browser.console() == []
        assert {url for url in browser.requests() if not url.startswith(("data:", "about:"))} == {
            (results / "report.html").as_uri()
        }
    finally:
        browser.print_media(False)
        browser.resize(0, 0)
