"""Names from somebody else's results stay text in tables, captions and pages; see docs/security.md."""

import html
import re

import pytest
from docutils.core import publish_parts
from hypothesis import given
from hypothesis import strategies as st
from jinja2 import Environment

from manyseeds.report.tables.formats import FORMATS
from manyseeds.report.tables.text import Grid
from manyseeds.report.templates import escape_rst

HOSTILE = (
    "--><img src=x onerror=alert(1)>",
    "{{ 7 * 7 }}",
    "{% for x in [1] %}{% endfor %}",
    "{# gone #}",
    "[click](javascript:alert(1))",
    "`code <javascript:alert(1)>`_",
    "name_",
    "a | b",
    "\\input{/etc/passwd}",
    "line\n\\input{x}",
)


def as_snakemake_shows_it(caption: str) -> str:
    """The HTML that Snakemake's report makes of a caption."""
    text = Environment().from_string(caption).render()
    return publish_parts(text, writer="html", settings_overrides={"halt_level": 5, "report_level": 5})["fragment"]


@pytest.mark.parametrize("name", HOSTILE)
def test_a_caption_is_text_for_snakemakes_report(name):
    shown = as_snakemake_shows_it(escape_rst(f"Success of {name} over seeds."))
    assert "<img" not in shown and "href" not in shown and "49" not in shown
    words = html.unescape("".join(shown.split()))
    assert "".join(name.split()) in words


@given(st.text(st.characters(categories=["L", "N", "P", "S", "Zs"]), max_size=40))
def test_no_caption_is_a_template(text):
    escaped = escape_rst(f"Success of {text}")
    assert Environment().from_string(escaped).render() == escape_rst(f"Success of {text}").replace("{{ '{' }}", "{")


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.parametrize("suffix", FORMATS)
def test_a_name_is_text_in_tables(name, suffix):
    rows = ((name, "98.0 [97.0, 99.0]"),)
    grid = Grid(("Variant", "Reached (%)"), "ll", rows, (False,), (f"{name} is left out.",))
    table = FORMATS[suffix]([grid], f"manyseeds experiment x; {name}")
    seen = re.sub(r"<!--.*?-->|^%.*?$", "", table, flags=re.DOTALL | re.MULTILINE)
    assert "<img" not in seen and 'href="javascript' not in seen
    if suffix == "md":
        assert table.split("<!--")[1].count("-->") == 1 and "](javascript" not in seen
    if suffix == "tex":
        outside = [line for line in table.splitlines() if not line.startswith("%")]
        assert not any("\\input{" in line for line in outside)
