import json

import pytest

from helpers.synthetic_results import make_results
from helpers.verbs import verb
from manyseeds.audit.verify import verify
from manyseeds.cli import main as manyseeds
from manyseeds.core import record as provenance
from manyseeds.core.errors import UserError
from manyseeds.core.files import sha256
from manyseeds.core.layout import NOT_SHIPPED, REPOSITORY
from manyseeds.core.record import Journal, collect, container, write_run_record
from manyseeds.report.pages.curves import main as write_page

main = verb("verify")
draw = verb("figures")
write_tables = verb("tables")


@pytest.fixture
def run(tmp_path):
    """A run's folder with two outputs and their record."""
    folder = tmp_path / "experiment" / "default" / "seed_1"
    (folder / "params").mkdir(parents=True)
    (folder / "model_1.pt").write_bytes(b"policy")
    (folder / "params" / "env.yaml").write_text("num_envs: 1\n")
    write_run_record(folder, ["model_1.pt", "params/env.yaml"], experiment="experiment", seed=1, threads=2)
    return folder


def test_the_record_says_what_made_the_run(run):
    record = json.loads((run / "run.json").read_text())
    assert record["seed"] == 1 and record["threads"] == 2
    assert record["outputs"]["model_1.pt"] == sha256(run / "model_1.pt")
    assert set(record["code"]) == {"version", "commit", "dirty"}
    assert record["packages"]["numpy"] and record["python"] and record["hardware"]["cores"] >= 1


def test_runs_behind_links_are_checked_once(run, tmp_path):
    """The analysis follows links to variants, so a damaged run behind one must not pass."""
    linked = tmp_path / "linked"
    linked.mkdir()
    (linked / "wide").symlink_to(run.parent)
    (linked / "again").symlink_to(run.parent)
    (run / "round").symlink_to(linked)
    (run / "model_1.pt").write_bytes(b"another policy")
    [problem] = verify(linked).problems
    assert problem.endswith("seed_1/model_1.pt is not the file that the run left")
    assert len(verify(tmp_path).problems) == 1


def test_what_is_collected_is_plain_json():
    assert json.loads(json.dumps(collect())) == collect()


def test_the_image_of_a_container_is_recorded_with_its_digest(tmp_path, monkeypatch):
    for variable in ("APPTAINER_CONTAINER", "SINGULARITY_CONTAINER", provenance.IMAGE_VARIABLE):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv(provenance.IMAGE_VARIABLE, "localhost/manyseeds-mujoco:1@sha256:abc")
    assert container() == ("localhost/manyseeds-mujoco:1", "sha256:abc")
    image = tmp_path / "mujoco.sif"
    image.write_bytes(b"an image")
    monkeypatch.setenv("APPTAINER_CONTAINER", str(image))
    assert container() == (str(image), f"sha256:{sha256(image)}")
    assert collect()["container_digest"] == f"sha256:{sha256(image)}"
    monkeypatch.setenv("APPTAINER_CONTAINER", str(tmp_path))
    assert container() == (str(tmp_path), None), "a sandbox is a folder"


def test_whole_results_verify(run, capsys):
    assert verify(run.parents[1]).problems == ()
    assert main([str(run.parents[1])]) == 0
    assert "every file is what its run left" in capsys.readouterr().out


def test_records_in_the_logs_of_another_trainer_are_none_but_a_variant_may_be_called_work(run, capsys):
    (run / "work" / "logs").mkdir(parents=True)
    (run / "work" / "logs" / "run.json").write_text("theirs")
    variant = run.parent.rename(run.parents[1] / "work")
    (variant / "seed_1" / "model_1.pt").unlink()
    for results in (variant.parent, variant / "seed_1"):
        assert main([str(results)]) == 1
        assert "model_1.pt is missing" in capsys.readouterr().out


def test_superseded_files_are_none_of_a_run_wherever_the_results_lie(run, tmp_path, capsys):
    by_hand = run.rename(run.with_name("2026-01-01_00-00-00"))
    (by_hand / "superseded_1").mkdir()
    (by_hand / "superseded_1" / "run.json").write_text("theirs")
    elsewhere = tmp_path / "superseded_1" / "seed_3" / "work"
    elsewhere.mkdir(parents=True)
    moved = run.parents[1].rename(elsewhere / "experiment")
    assert main([str(moved)]) == 0
    (moved / "default" / by_hand.name / "model_1.pt").unlink()
    assert main([str(elsewhere)]) == 1 and "model_1.pt is missing" in capsys.readouterr().out


def test_a_changed_and_a_missing_file_are_named(run, capsys):
    (run / "model_1.pt").write_bytes(b"polic\x00")
    (run / "params" / "env.yaml").unlink()
    assert main([str(run.parents[1])]) == 1
    printed = capsys.readouterr().out
    assert "model_1.pt is not the file that the run left" in printed
    assert "env.yaml is missing" in printed


def test_a_run_in_the_folder_of_another_seed_is_named(run, capsys):
    exchanged = run.rename(run.with_name("seed_7"))
    assert main([str(exchanged.parent)]) == 1
    sentence = f"{exchanged} holds the run of seed 1, as its run.json says: the folder was renamed or exchanged"
    assert sentence in capsys.readouterr().out
    (exchanged / "episodes.csv").write_text("")
    assert write_tables([str(exchanged.parents[1])]) == 2
    assert capsys.readouterr().err == f"error: {sentence}; give it the name that it had\n"


def test_a_folder_without_runs_is_an_error(tmp_path, capsys):
    assert main([str(tmp_path)]) == 2
    assert "holds no run.json" in capsys.readouterr().err


def test_a_run_that_has_not_ended_is_named(run, capsys):
    Journal(run.with_name("seed_2")).start()
    assert main([str(run.parent)]) == 1
    assert "seed_2: this run has not ended" in capsys.readouterr().out
    Journal(run).start()
    assert main([str(run)]) == 0, "this one has a record"
    (run / "run.json").unlink()
    assert main([str(run)]) == 1
    assert "seed_1: this run has not ended" in capsys.readouterr().out


def test_tables_figures_and_pages_of_other_data_are_named(tmp_path, capsys):
    folder = make_results(tmp_path / "lift", iterations=20)
    for seed in (42, 43, 44):
        write_run_record(folder / "default" / f"seed_{seed}", [])

    def make() -> None:
        assert write_tables([str(folder)]) == draw([str(folder), "--only", "final_success"]) == 0
        assert write_page([str(folder)]) == 0

    make()
    assert main([str(tmp_path)]) == 0
    episodes = folder / "default" / "seed_43" / "episodes.csv"
    episodes.write_text(episodes.read_text().replace(",0,0,0,,", ",1,1,0,1.5,"))
    capsys.readouterr()
    assert main([str(folder)]) == 1
    printed = capsys.readouterr().out
    for name in ("success_rates.md", "success_rates.tex", "curves.html", "figures/final_success.pdf"):
        assert f"{folder / name} was made from other CSV files than those here" in printed
    make()
    assert main([str(folder)]) == 0


def test_a_film_that_was_edited_deleted_or_made_of_another_policy_is_named(run, capsys):
    film, stand_in = run.parent / "policy.gif", REPOSITORY / "workflow" / "report" / "no_animation.gif"
    assert manyseeds(["film", str(run / "model_1.pt"), "--output", str(film), "--stand_in", str(stand_in)]) == 0
    page = ["film-page", str(film), "--output", str(film.with_suffix(".html"))]
    assert manyseeds(page) == 0 and main([str(run.parent)]) == 0
    film.write_bytes(stand_in.read_bytes() + b" ")
    assert main([str(run.parent)]) == 1
    printed = capsys.readouterr().out
    assert "policy.gif is not the file that `manyseeds film` left" in printed
    assert "policy.html was made from another policy.gif" in printed
    assert manyseeds(page) == 2
    assert "policy.gif is not the file that `manyseeds film` left: it was edited" in capsys.readouterr().err
    film.unlink()
    assert main([str(run.parent)]) == 1 and "policy.gif is missing" in capsys.readouterr().out
    film.write_bytes(stand_in.read_bytes())
    (run / "model_1.pt").write_bytes(b"another policy")
    assert main([str(run.parent)]) == 1
    assert "policy.gif was made from another model_1.pt" in capsys.readouterr().out


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"outputs": 3}'])
def test_a_damaged_record_is_one_sentence(run, content):
    (run / "run.json").write_text(content)
    with pytest.raises(UserError, match="is not the record of a run"):
        verify(run)


def test_what_a_published_copy_declares_as_not_shipped_is_accepted_and_listed(run, capsys):
    experiment = run.parents[1]
    (run / "model_1.pt").unlink()
    assert main([str(experiment)]) == 1
    assert main(["--declare-not-shipped", str(experiment)]) == 0
    assert "default/seed_1/model_1.pt" in (experiment / NOT_SHIPPED).read_text().splitlines()
    capsys.readouterr()
    for results in (experiment, run):
        assert main([str(results)]) == 0
        printed = capsys.readouterr().out
        assert "model_1.pt is not shipped" in printed and "every file that is shipped is what its run left" in printed


def test_a_declaration_covers_no_other_missing_file_and_no_changed_one(run, capsys):
    (run / "model_1.pt").unlink()
    assert main(["--declare-not-shipped", str(run.parents[1])]) == 0
    (run / "model_1.pt").write_bytes(b"another policy")
    (run / "params" / "env.yaml").unlink()
    assert main([str(run.parents[1])]) == 1
    printed = capsys.readouterr().out
    assert "model_1.pt is not the file that the run left" in printed and "env.yaml is missing" in printed


def test_the_published_results_are_what_their_runs_left():
    account = verify(REPOSITORY / "results" / "published")
    assert account.problems == ()
    assert {path.suffix for path in account.not_shipped} <= {".pt", ".manyseeds"}
