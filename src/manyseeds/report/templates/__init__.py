"""The Jinja2 templates of pages and tables; Jinja2 is imported when the first is rendered."""

import re
from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jinja2 import Environment

_TEX_SPECIAL = {character: f"\\{character}" for character in "&%$#_{}"} | {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
}


def render_html(name: str, **values: Any) -> str:
    """Fill a page; every value is escaped, except where the template says otherwise."""
    return _environment(autoescape=True).get_template(name).render(values)


def render_tex(name: str, **values: Any) -> str:
    """Fill a LaTeX template, whose placeholders are `<<name>>` and whose statements are `<% ... %>`."""
    marks = {"variable_start_string": "<<", "variable_end_string": ">>"}
    marks |= {"block_start_string": "<%", "block_end_string": "%>", "comment_start_string": "<#"}
    environment = _environment(autoescape=False, **marks, comment_end_string="#>")
    environment.filters["tex"] = escape_tex
    return environment.get_template(name).render(values)


@cache
def _environment(**options: Any) -> "Environment":
    from jinja2 import Environment, PackageLoader, StrictUndefined

    return Environment(
        loader=PackageLoader("manyseeds.report"),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        **options,
    )


def escape_markdown(text: str) -> str:
    """Escape what Markdown reads as HTML, a link, code or the border of a cell."""
    text = re.sub(r"&(?=#?\w+;)", "&amp;", text).replace("<", "&lt;")
    return re.sub(r"[|`]|(?<=\])\(", r"\\\g<0>", text)


def escape_rst(text: str) -> str:
    """Escape what Snakemake's report reads as a template of Jinja2 or as markup of reStructuredText."""
    escaped = re.sub(r"[\\`*|]|_(?!\w)|:(?=\S)", r"\\\g<0>", " ".join(text.split()))
    return re.sub(r"\{(?=[{%#])", "{{ '{' }}", escaped)


def escape_tex(text: str) -> str:
    """Escape what TeX reads as something else, and set a hyphen before a number or a space as a minus."""
    escaped = "".join(_TEX_SPECIAL.get(character, character) for character in text)
    return re.sub(r"(?<!\w)-(?=[\d ])", "$-$", escaped)
