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


@pytest.mark.parametrize("name", ["\x1b[31mred", "two\nlines", "\u202egnp"])
def test_a_name_that_would_steer_a_terminal_is_refused(results, tmp_path, name):
    shutil.copytree(results / "A", tmp_path / "exp" / name)
    with pytest.raises(UserError, match="the variant's name has characters that are not printed; rename it") as caught:
        find_results(tmp_path)
    assert str(caught.value).isprintable()


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ("default,a,b", "something that is not a number"),
        ("default,0,5", "at least 1"),
        ("default,99999999999999999999,5", f"at most {2**53}"),
    ],
)
def test_curves_that_were_edited_are_one_sentence(tmp_path, rows, words):
    folder = make_results(tmp_path / "exp", seeds=(1,), iterations=20)
    (folder / "learning_curves.csv").write_text(f"variant,iteration,samples\n{rows}\n")
    with pytest.raises(UserError, match=f"learning_curves.csv: column .*{words}"):
        find_results(folder)


@pytest.mark.parametrize("iteration", ["9223372036854775807", "99999999999999999999", "1e300"])
def test_an_iteration_that_no_run_reaches_is_refused(tmp_path, iteration):
    folder = make_results(tmp_path / "exp", seeds=(1,), iterations=20)
    path = folder / "default" / "seed_1" / "scalars.csv"
    path.write_text(path.read_text().replace("\n2,", f"\n{iteration},", 1))
    [found] = find_results(folder)
    with pytest.raises(UserError, match=f"column 'iteration' must hold whole numbers .* at most {2**53}"):
        read_scalars(found.runs[0])


def test_a_baseline_that_is_no_name_is_refused(tmp_path):
    folder = make_results(tmp_path / "exp", seeds=(1,), iterations=20)
    (folder / "config.json").write_text('{"variants": {"default": {}}, "seeds": [1], "baseline": ["x"]}')
    with pytest.raises(UserError, match=r"config.json: baseline is \['x'\]; it must be the name of a variant, or null"):
        find_results(folder)


def test_a_table_over_samples_is_not_filled_with_a_row_for_every_number(tmp_path):
    (tmp_path / "scalars.csv").write_text("iteration,a\n98304,1\n196608000,2\n")
    assert read_scalars(Run("a", 1, tmp_path)).index.tolist() == [98304, 196608000]
