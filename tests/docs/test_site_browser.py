"""The site that `make docs` leaves, opened from its folder in a real browser without a network."""

import time

import pytest

from helpers.browser import Browser
from manyseeds.core.layout import REPOSITORY

pytestmark = pytest.mark.browser
SITE = REPOSITORY / "build" / "docs"
SEARCH = """
const query = document.querySelector('[data-md-component=search-query]');
query.focus();
query.value = arguments[0];
query.dispatchEvent(new KeyboardEvent('keyup', {bubbles: true}));
"""
FOUND = "return [...document.querySelectorAll('.md-search-result__link')].map(link => link.getAttribute('href'))"


def test_the_search_finds_pages_and_nothing_comes_from_elsewhere() -> None:
    assert (SITE / "index.html").is_file(), "build/docs is missing; `make docs` writes it"
    with Browser() as browser:
        browser.open(SITE / "reference" / "config.html")
        for _ in range(60):
            browser.run(SEARCH, "simultaneous band")
            if found := browser.run(FOUND):
                break
            time.sleep(1)
        assert any("reference/code/statistics.html" in link for link in found)
        assert browser.console() == []
        assert {address.split(":")[0] for address in browser.requests()} <= {"file", "data", "about"}
