"""What a step made is vouched for: an edit is found by the next step, and a file that nobody vouches for is read."""

import pytest

from manyseeds.core.errors import UserError
from manyseeds.core.manifest import check_made, other_inputs, problems, write_manifest


@pytest.fixture
def made(tmp_path):
    (tmp_path / "in.csv").write_text("1")
    (tmp_path / "out.csv").write_text("2")
    write_manifest(tmp_path, "curves", [tmp_path / "out.csv"], [tmp_path / "in.csv", tmp_path / "gone.csv"])
    return tmp_path


def test_what_is_as_it_was_left_is_no_problem(made):
    assert problems(made / "curves.manifest.json") == [] == other_inputs(made / "curves.manifest.json")
    check_made(made / "out.csv", "curves")


def test_an_edit_names_the_file_the_step_and_the_way_out(made):
    (made / "out.csv").write_text("3")
    [sentence] = problems(made / "curves.manifest.json")
    assert sentence == f"{made / 'out.csv'} is not the file that `manyseeds curves` left"
    with pytest.raises(UserError, match=r"out\.csv is not the file .* Delete it, and snakemake makes it again; if"):
        check_made(made / "out.csv", "curves")


def test_an_exchanged_input_and_a_deleted_output_are_named(made):
    (made / "in.csv").write_text("3")
    (made / "out.csv").unlink()
    assert problems(made / "curves.manifest.json") == [f"{made / 'out.csv'} is missing"]
    assert other_inputs(made / "curves.manifest.json") == [
        f"{made / 'out.csv'} was made from another in.csv than {made / 'in.csv'}"
    ]


def test_a_file_that_nobody_vouches_for_is_read_as_it_is(made):
    (made / "other.csv").write_text("mine")
    check_made(made / "other.csv", "curves")
    (made / "curves.manifest.json").unlink()
    (made / "out.csv").write_text("3")
    check_made(made / "out.csv", "curves")


@pytest.mark.parametrize("text", ["", "{", "[]", '{"inputs": {}}', '{"inputs": {}, "outputs": {"a": 1}}'])
def test_a_damaged_manifest_is_one_sentence(made, text):
    (made / "curves.manifest.json").write_text(text)
    with pytest.raises(UserError, match=r"curves\.manifest\.json"):
        check_made(made / "out.csv", "curves")
