"""Which runs a results folder has."""

import os
import shutil

import pytest

from helpers.synthetic_results import make_results
from manyseeds.analysis.results import Run, find_results, read_scalars
from manyseeds.core.errors import UserError


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    return make_results(tmp_path_factory.mktemp("results") / "exp", ("A", "B"), (1, 2), iterations=20)


def names(folder):
    return [(found.name, run.variant, run.seed) for found in find_results(folder) for run in found.runs]


def test_links_to_variants_runs_and_experiments_are_as_good_as_copies(results, tmp_path):
    copy = shutil.copytree(results, tmp_path / "copies" / "exp")
    (copy / "config.json").unlink()
    linked = tmp_path / "links" / "exp"
    linked.mkdir(parents=True)
    (linked / "A").symlink_to(results / "A")
    (linked / "B").mkdir()
    for seed in (1, 2):
        (linked / "B" / f"seed_{seed}").symlink_to(results / "B" / f"seed_{seed}")
    assert names(linked) == names(copy) != []
    (tmp_path / "whole").mkdir()
    (tmp_path / "whole" / "exp").symlink_to(copy)
    assert names(tmp_path / "whole") == names(copy)


def test_a_variant_whose_name_begins_like_a_runs_folder_is_found(tmp_path):
    make_results(tmp_path / "exp", ("seed_sweep", "seeds"), (1,), iterations=20)
    assert [variant for _, variant, _ in names(tmp_path)] == ["seed_sweep", "seeds"]


def test_links_in_a_circle_end(results, tmp_path):
    copy = shutil.copytree(results, tmp_path / "exp")
    (copy / "A" / "back").symlink_to(tmp_path)
    assert names(tmp_path) == names(results)


def test_a_name_that_is_no_text_is_one_sentence(results, tmp_path):
    shutil.copytree(results / "A", os.fsdecode(os.fsencode(tmp_path) + b"/exp/\xff"))
    with pytest.raises(UserError, match="the name is not UTF-8; rename it"):
        find_results(tmp_path)


def test_a_table_over_samples_is_not_filled_with_a_row_for_every_number(tmp_path):
    (tmp_path / "scalars.csv").write_text("iteration,a\n98304,1\n196608000,2\n")
    assert read_scalars(Run("a", 1, tmp_path)).index.tolist() == [98304, 196608000]
