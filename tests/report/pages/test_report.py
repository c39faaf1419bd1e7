"""The report: the answer first, one file, nothing foreign in it runs, and nothing in it is of other data."""

import json
import re
import shutil
from html.parser import HTMLParser
from pathlib import Path

import pytest
from PIL import Image

from helpers.synthetic_results import make_docking, make_results
from helpers.verbs import verb
from manyseeds.analysis.results import find_results
from manyseeds.core.manifest import problems, write_manifest
from manyseeds.report.figures import NAMES
from manyseeds.report.figures.draw import draw
from manyseeds.report.pages.report import SECTIONS

report = verb("report")
DRAWN = ("success_per_checkpoint", "differences", "failure_map")
EVIL = "<script>alert(1)</script>"


class Page(HTMLParser):
    """What a page holds: its text by section, its images and tags."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.images: list[str] = []
        self.links: list[str] = []
        self.sections: dict[str, str] = {}
        self._section = ""
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.tags.append(tag)
        self._section = (given.get("id") or "") if tag == "section" else self._section
        self.images += [given.get("src") or ""] if tag == "img" else []
        self.links += [given.get("href") or ""] if tag == "a" else []
        assert not [name for name in given if name.startswith("on")]

    def handle_data(self, data: str) -> None:
        self.sections[self._section] = self.sections.get(self._section, "") + " ".join(data.split()) + " "


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = make_results(tmp_path_factory.mktemp("report") / "lift", variants=("default", EVIL[:9]), iterations=20)
    (folder / "default" / "seed_42" / "run.json").write_text(json.dumps({"python": "3.11.2", "outputs": {}}))
    draw(find_results(folder)[0], DRAWN)
    films = {"failures.gif": f"Above: what fails. {EVIL}", "seeds.gif": "All seeds."}
    for name in films:
        picture = Image.new("RGB", (64, 48), "red")
        picture.save(folder / "default" / name, save_all=True, append_images=[Image.new("RGB", (64, 48), "blue")])
    path = folder / "default" / "failures.json"
    path.write_text(json.dumps({"films": films, "iteration": 20}))
    write_manifest(path.parent, "film-failures", [path, *(path.with_name(name) for name in films)], [])
    assert report([str(folder)]) == 0
    return folder


@pytest.fixture
def copy(made: Path, tmp_path: Path) -> Path:
    return shutil.copytree(made, tmp_path / "lift")


def test_every_figure_has_one_place_in_the_report_and_a_new_one_is_among_the_curves(copy: Path, monkeypatch) -> None:
    placed = [name for names in SECTIONS.values() for name in names]
    assert len(placed) == len(set(placed)) and set(placed) <= set(NAMES)
    monkeypatch.setitem(SECTIONS, "Failures", ())
    assert report([str(copy)]) == 0
    assert "Where episodes start that fail" in Page(copy / "report.html").sections["curves"]


def test_the_answer_comes_first_then_curves_failures_films_and_provenance(made: Path) -> None:
    page = Page(made / "report.html")
    assert [name for name in page.sections if name] == ["answer", "curves", "failures", "films", "provenance"]
    answer = page.sections["answer"]
    assert re.search(r"default 3 20 \d+ \[\d+, \d+\] \d+ to \d+", answer)
    for words in ("95 % interval over seeds", "Success of every checkpoint", "Differences of the mean success"):
        assert words in answer
    assert answer.index("Success of every checkpoint") < answer.index("Every seed")
    assert "Where episodes start that fail" in page.sections["failures"]
    assert "Above: what fails." in page.sections["films"] and "All seeds." in page.sections["films"]
    assert "3.11.2" in page.sections["provenance"] and "inputs sha256" in page.sections["provenance"]


def test_the_report_holds_everything_and_nothing_foreign_runs(made: Path) -> None:
    page = Page(made / "report.html")
    assert "script" not in page.tags and "iframe" not in page.tags and "link" in page.tags
    assert len(page.images) == len(DRAWN) + 4 and all(source.startswith("data:image/") for source in page.images)
    assert all(link.startswith("#") for link in page.links), "pages that are not there are not linked"
    assert f"Above: what fails. {EVIL}" in page.sections["films"], "a caption is text"
    text = (made / "report.html").read_text()
    assert "default-src 'none'" in text and "<script" not in text
    assert problems(made / "report.manifest.json") == []


def test_the_report_is_the_same_to_the_byte_when_repeated(copy: Path) -> None:
    before = (copy / "report.html").read_bytes()
    assert report([str(copy)]) == 0
    assert (copy / "report.html").read_bytes() == before


def test_pages_in_the_same_folder_are_linked(copy: Path) -> None:
    (copy / "curves.html").touch()
    assert report([str(copy)]) == 0
    assert "curves.html" in Page(copy / "report.html").links


def test_a_picture_that_stands_in_for_a_film_is_left_out_and_its_sentence_stays(copy: Path) -> None:
    path = copy / "default" / "failures.json"
    path.write_text(json.dumps({"films": dict.fromkeys(("failures.gif", "seeds.gif"), "No film could be made.")}))
    path.with_name("film-failures.manifest.json").unlink()
    assert report([str(copy)]) == 0
    page = Page(copy / "report.html")
    assert page.sections["films"].count("No film could be made.") == 1 and len(page.images) == len(DRAWN)


def test_without_films_the_report_says_how_to_make_them(copy: Path) -> None:
    (copy / "default" / "failures.json").unlink()
    assert report([str(copy)]) == 0
    assert f"manyseeds film-failures {copy / 'default'}" in Page(copy / "report.html").sections["films"]


def spoil_figure(folder: Path) -> None:
    write_manifest(folder, "figures", [folder / "figures" / f"{name}.svg" for name in DRAWN], [])
    (folder / "figures" / "failure_map.svg").write_text("<svg/>")


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda folder: shutil.rmtree(folder / "figures"), "captions.json is missing, and with it the figures; `many"),
        (lambda folder: (folder / "figures" / "differences.svg").unlink(), "differences.svg cannot be read: No such"),
        (spoil_figure, "failure_map.svg is not the file that `manyseeds figures` left"),
        (lambda folder: (folder / "default" / "seeds.gif").write_bytes(b"GIF"), "seeds.gif is not the file that `many"),
        (lambda folder: shutil.rmtree(folder / "default" / "seed_44"), "was drawn from other CSV files"),
        (
            lambda folder: (folder / "default" / "seed_42" / "run.json").write_text("{"),
            "run.json: not readable as JSON",
        ),
    ],
)
def test_what_is_missing_edited_or_of_other_data_is_one_sentence(copy, capsys, spoil, words) -> None:
    before = (copy / "report.html").read_bytes()
    spoil(copy)
    assert report([str(copy)]) == 2
    errors = [line for line in capsys.readouterr().err.splitlines() if not line.startswith("note: ")]
    assert len(errors) == 1 and errors[0].startswith("error: ") and words in errors[0]
    assert (copy / "report.html").read_bytes() == before


def test_a_figure_that_shows_nothing_is_left_out(tmp_path: Path) -> None:
    """One variant has nothing to compare, and the task has no maps."""
    folder = make_docking(tmp_path / "dock", variants=("calm",))
    draw(find_results(folder)[0], ("differences", "failure_map", "final_success"))
    assert report([str(folder)]) == 0
    page = Page(folder / "report.html")
    assert len(page.images) == 1 and "There are no two variants" not in page.sections["answer"]
    assert "calm 3 30" in page.sections["answer"]


def test_a_table_of_many_rows_is_folded(tmp_path: Path) -> None:
    folder = make_docking(tmp_path / "dock", seeds=range(1, 17))
    draw(find_results(folder)[0], ("final_success",))
    assert report([str(folder)]) == 0
    assert "details" in Page(folder / "report.html").tags
    assert re.search(r"Every seed: a table of \d+ rows", (folder / "report.html").read_text())
