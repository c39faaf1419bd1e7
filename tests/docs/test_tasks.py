"""The tables that pages show are those of the published results, made anew."""

import shutil
from pathlib import Path

from helpers.verbs import verb
from manyseeds.core.layout import REPOSITORY

PUBLISHED = REPOSITORY / "results" / "published"


def rows_of(path: Path) -> str:
    """The first table of a file, without its head."""
    return path.read_text(encoding="utf-8").split("\n\n")[0].split("\n", 2)[2]


def test_the_pages_show_what_the_published_files_give(tmp_path):
    copy = tmp_path / "published"
    shutil.copytree(PUBLISHED, copy)
    tables = [path.relative_to(PUBLISHED) for path in PUBLISHED.rglob("*.md")]
    for path in tables:
        (copy / path).unlink()
    assert verb("tables")([str(copy)]) == 0
    for path in tables:
        assert (copy / path).read_text(encoding="utf-8") == (PUBLISHED / path).read_text(encoding="utf-8"), path
    for page, table in (("README.md", "lift_object/success_rates.md"), ("docs/tasks.md", "over_tasks.md")):
        assert rows_of(copy / table) in (REPOSITORY / page).read_text(encoding="utf-8"), page
