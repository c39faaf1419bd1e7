"""The documentation: links that lead somewhere, on GitHub and in the site, and a reference that lacks nothing."""

import argparse
import importlib
import re
import subprocess
import sys
from pathlib import Path

import pytest
from pydantic import BaseModel

from manyseeds.cli import VERBS
from manyseeds.config.experiment import Config
from manyseeds.core.arguments import parser_of
from manyseeds.core.layout import PACKAGE, REPOSITORY
from manyseeds.tasks import registry

SITE = REPOSITORY / "docs" / "site"
ELSEWHERE = ("README.md", "CHANGELOG.md", "results/README.md", "benchmarks/README.md")
PAGES = [*(REPOSITORY / name for name in ELSEWHERE), *sorted((REPOSITORY / "docs").glob("*.md"))]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All pages of the site, before MkDocs makes HTML of them."""
    folder = tmp_path_factory.mktemp("site") / "pages"
    done = subprocess.run([sys.executable, SITE / "pages.py", folder], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture
def pages(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.syspath_prepend(SITE)
    return importlib.import_module("pages")


def links(text: str) -> list[str]:
    """The targets of a page's links to other pages and files."""
    prose = re.sub(r"^([`~]{3,}).*?^\1$", "", text, flags=re.M | re.S)
    return [target for target in re.findall(r"\]\(([^)\s]+)\)", prose) if not re.match(r"[a-z]+:", target)]


def anchors(path: Path) -> set[str]:
    """The anchors that GitHub gives to the headings of a page."""
    found: set[str] = set()
    prose = re.sub(r"^```.*?^```$", "", path.read_text(encoding="utf-8"), flags=re.M | re.S)
    for heading in re.findall(r"^#+ (.*)$", prose, re.M):
        text = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading)
        found.add(re.sub(r"[^\w\- ]", "", text.strip().lower()).replace(" ", "-"))
    return found


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(REPOSITORY)))
def test_every_link_leads_somewhere_on_github(page: Path) -> None:
    for target in links(page.read_text(encoding="utf-8")):
        name, _, anchor = target.partition("#")
        path = page.parent / name if name else page
        assert path.exists(), f"{target} does not exist"
        assert not anchor or anchor in anchors(path), f"{target}: {path} has no such heading"


def test_every_link_leads_somewhere_in_the_site(site: Path) -> None:
    checked = 0
    for page in site.rglob("*.md"):
        for target in links(page.read_text(encoding="utf-8")):
            checked += 1
            assert (page.parent / target.partition("#")[0]).exists(), f"{page.relative_to(site)}: {target}"
    assert checked > 50


def test_the_navigation_names_the_pages_that_exist(site: Path) -> None:
    named = re.findall(r"([\w/-]+\.md)$", (REPOSITORY / "mkdocs.yml").read_text(encoding="utf-8"), re.M)
    assert len(named) > 30
    assert [name for name in named if not (site / name).is_file()] == []
    pages = {str(page.relative_to(site)) for page in site.rglob("*.md")}
    assert sorted(name for name in pages - {*named} if not name.startswith("files/")) == []


def test_a_link_to_nowhere_is_named(pages, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "page.md").write_text("[here](other.md), [there](../gone.py)\n```\n[code](not/a/link)\n```\n")
    (tmp_path / "docs" / "other.md").write_text("# Other\n")
    monkeypatch.setattr(pages, "REPOSITORY", tmp_path)
    monkeypatch.setattr(pages, "ELSEWHERE", {})
    monkeypatch.setattr(pages.reference, "pages", dict)
    assert pages.collect(tmp_path / "pages") == [
        "docs/page.md: the link ../gone.py leads to gone.py, which does not exist"
    ]


def keys(model: type[BaseModel], prefix: str = "") -> list[str]:
    found = []
    for name, field in model.model_fields.items():
        below = field.annotation
        if isinstance(below, type) and issubclass(below, BaseModel) and not prefix:
            found += keys(below, f"{name}.")
        else:
            found.append(f"{prefix}{name}")
    return found


def test_the_reference_has_every_key_of_a_config(site: Path) -> None:
    page = (site / "reference" / "config.md").read_text(encoding="utf-8")
    expected = keys(Config)
    assert {"seeds", "train.num_envs", "evaluate.looks", "task.file", "agent.overrides"} <= set(expected)
    for key in expected:
        [row] = re.findall(rf"^\| `{re.escape(key)}` \| (.*)", page, re.M)
        meaning, allowed, _ = row.split(" | ", 2)
        assert meaning and allowed, key


def test_the_reference_has_every_verb_and_flag(site: Path) -> None:
    page = (site / "reference" / "commands.md").read_text(encoding="utf-8")
    for verb, module in VERBS.items():
        [section] = re.findall(rf"^### manyseeds {verb}\n(.*?)(?=^##|\Z)", page, re.M | re.S)
        parser = parser_of(importlib.import_module(f"manyseeds.{module}").main)
        flags = [flag for action in parser._actions for flag in action.option_strings]
        assert [flag for flag in flags if flag not in section] == []


def test_the_reference_has_every_task_with_its_columns(site: Path) -> None:
    page = (site / "reference" / "tasks.md").read_text(encoding="utf-8")
    for name in filter(registry.is_built_in, registry.names()):
        [section] = re.findall(rf"^## {name}\n(.*?)(?=^## |\Z)", page, re.M | re.S)
        columns = re.findall(r"^\| `(\w+)` \|", section.split("**Observations**")[0], re.M)
        assert tuple(columns) == registry.describe(name).columns
        assert all(f"| `{reward}` | " in section for reward in registry.load(name).rewards)


def test_the_reference_has_the_docstrings_of_every_package(site: Path) -> None:
    for package in (path.parent.name for path in PACKAGE.glob("*/__init__.py")):
        page = (site / "reference" / "code" / f"{package}.md").read_text(encoding="utf-8")
        modules = {path.stem for path in (PACKAGE / package).glob("*.py")} - {"__init__"}
        assert modules <= set(re.findall(rf"^## manyseeds\.{package}\.(\w+)$", page, re.M))
    page = (site / "reference" / "code" / "statistics.md").read_text(encoding="utf-8")
    assert "- `curves`: (seeds, points); NaN is a missing value." in page
    assert "### simultaneous_band\n\n```python\ndef simultaneous_band(curves: ArrayLike" in page


def test_whoever_asks_for_a_parser_starts_nothing() -> None:
    def main(argv: object) -> int:
        raise AssertionError("started")

    with pytest.raises(AssertionError):
        parser_of(main)
    assert isinstance(parser_of(importlib.import_module("manyseeds.launch.status").main), argparse.ArgumentParser)
    with pytest.raises(TypeError, match="reads no arguments"):
        parser_of(lambda argv: 0)
