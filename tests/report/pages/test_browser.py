"""The pages in a real Chromium without a network: they load, show their figures and do what a reader does."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from helpers.browser import Browser
from helpers.synthetic_results import make_results
from manyseeds.report.pages.curves import main as write_page
from manyseeds.report.tables.write import main as write_tables

pytestmark = pytest.mark.browser

SHOWN = "return [...document.querySelectorAll('figure')].map(figure => figure.dataset.tag)"
MEANS = "return document.querySelectorAll('figure[data-tag=\"Train/mean_reward\"] .mean').length"
PATH = "return document.querySelector('figure[data-tag=\"Train/mean_reward\"] .mean').getAttribute('d')"
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
    """Click the checkbox of a tag, a variant or a seed."""
    page.run("document.querySelector(`input[data-name='${arguments[0]}']`).click()", name)


def middle(page: Browser) -> tuple[int, int]:
    """Middle of the first chart in the window."""
    box = page.run("return document.querySelector('figure svg').getBoundingClientRect().toJSON()")
    return round(box["x"] + box["width"] / 2), round(box["y"] + box["height"] / 2)


def test_the_page_asks_for_nothing_but_itself(page: Browser, results: Path) -> None:
    asked = {url for url in page.requests() if not url.startswith(("data:", "about:"))}
    assert {url.split("#")[0] for url in asked} == {(results / "curves.html").as_uri()}


def test_charts_are_visible_and_hold_curves(page: Browser) -> None:
    assert page.run(SHOWN) == ["Evaluation/reached", "Evaluation/held", "Metrics/success_rate", "Train/mean_reward"]
    boxes = page.run(
        "return [...document.querySelectorAll('figure svg .mean')].map(path => path.getBoundingClientRect().toJSON())"
    )
    assert len(boxes) == 4 * 2
    assert all(box["width"] > 200 and box["height"] > 50 for box in boxes)
    assert page.run("return document.querySelectorAll('.seed').length") == 4 * 6
    assert page.run("return document.querySelectorAll('.band').length") == 4 * 2


def test_a_tag_can_be_switched(page: Browser) -> None:
    check(page, "Loss/value")
    check(page, "Train/mean_reward")
    assert page.run(SHOWN) == ["Evaluation/reached", "Evaluation/held", "Loss/value", "Metrics/success_rate"]


def test_tags_can_be_filtered_by_words(page: Browser) -> None:
    page.run(
        "const filter = document.getElementById('filter'); filter.value = 'reward OBJECT';"
        "filter.dispatchEvent(new Event('input'))"
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
    assert page.run("return document.querySelectorAll('.seed').length") == 4 * 5
    check(page, "small")
    assert page.run(MEANS) == 1
    check(page, "default/43")
    assert page.run("return document.querySelectorAll('.band').length") == 0, "one seed has no interval"


def test_smoothing_changes_curves_but_not_the_evaluated_checkpoints(page: Browser) -> None:
    evaluated = "return document.querySelector('figure[data-tag=\"Evaluation/reached\"] .mean').getAttribute('d')"
    before, evaluated_before = page.run(PATH), page.run(evaluated)
    page.run(
        "const slider = document.getElementById('smoothing'); slider.value = 0.95; "
        "slider.dispatchEvent(new Event('input'))"
    )
    assert page.run(PATH) != before
    assert page.run(evaluated) == evaluated_before
    assert page.run("return document.getElementById('smoothing-value').textContent") == "0.95"


def test_the_axis_can_be_wall_clock(page: Browser) -> None:
    page.run(
        "const axis = document.getElementById('axis'); axis.value = 'hours'; axis.dispatchEvent(new Event('change'))"
    )
    assert "hours of training" in page.run(TICKS)
    assert page.run(MEANS) == 2


def test_hovering_says_the_values_at_that_place(page: Browser) -> None:
    x, y = middle(page)
    page.pointer({"type": "pointerMove", "x": x, "y": y, "duration": 0})
    tip = page.run("return document.querySelector('figure .tip').innerText")
    assert "default, mean of 3" in tip and "small, seed 44" in tip and "samples" in tip
    assert page.run("return getComputedStyle(document.querySelector('.cursor')).visibility") == "visible"


def test_dragging_zooms_and_the_button_shows_all_again(page: Browser) -> None:
    before = page.run(TICKS)
    x, y = middle(page)
    page.pointer(
        {"type": "pointerMove", "x": x - 60, "y": y, "duration": 0},
        {"type": "pointerDown", "button": 0},
        {"type": "pointerMove", "x": x + 60, "y": y, "duration": 50},
        {"type": "pointerUp", "button": 0},
    )
    assert page.run(TICKS) != before
    page.run("document.getElementById('reset-zoom').click()")
    assert page.run(TICKS) == before


def test_the_address_brings_a_view_back(page: Browser, results: Path) -> None:
    check(page, "Loss/value")
    check(page, "small/42")
    fragment = page.run("return location.hash")
    shown, curve = page.run(SHOWN), page.run(PATH)
    page.open(results / "curves.html", fragment)
    assert (page.run(SHOWN), page.run(PATH)) == (shown, curve)
    page.open(results / "curves.html", "#tags=no/such|Loss/value&axis=furlongs&smoothing=9&zoom=4|x")
    assert page.run(SHOWN) == ["Loss/value"]


def test_nothing_picked_is_said_in_the_chart(page: Browser) -> None:
    check(page, "default")
    check(page, "small")
    assert page.run("return document.querySelector('figure').innerText").count("none of the picked seeds") == 1


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
    assert browser.run("return document.querySelectorAll('table').length") == 2
    assert browser.run("return document.querySelector('.bold').innerText").startswith("default\tmean, 3 seeds")
    assert len([url for url in browser.requests() if url.startswith(("http", "file"))]) == 1
    assert browser.console() == []
