"""What a workflow says at its end."""

from pathlib import Path

import pytest

from manyseeds.config.loading import load
from manyseeds.workflow import summary
from manyseeds.workflow.plan import Plan
from manyseeds.workflow.summary import Done

HEADER = "s\th:m:s\tmax_rss\tcpu_time\n"


def done(folder: Path, rule: str, *row: str) -> Done:
    """A job with a benchmark as Snakemake writes it."""
    path = folder / f"{rule}_{len(list(folder.iterdir()))}.tsv"
    path.write_text(HEADER + "\t".join(row) + "\n")
    return Done(rule, path)


def test_the_jobs_of_a_stage_are_added_up_and_a_stage_without_jobs_is_left_out(tmp_path: Path) -> None:
    jobs = [
        done(tmp_path, "train_run", "10.5", "0:00:10", "100.0", "9.0"),
        done(tmp_path, "train_run", "20.0", "0:00:20", "100.0", "18.5"),
        done(tmp_path, "export", "0.4", "0:00:00", "NA", "NA"),
        Done("tables", tmp_path / "not_written.tsv"),
        Done("all", Path()),
    ]
    text = "\n".join(summary.stages(jobs, 5.0, 40.0))
    rows = [line.split() for line in text.splitlines()[1:]]
    assert rows == [
        ["jobs", "clock"],
        ["planning", "and", "checks", "1", "5.0"],
        ["training", "2", "30.5"],
        ["scalars", "to", "CSV", "1", "0.4"],
        ["tables", "1", "-"],
        ["from", "start", "to", "end", "40.0"],
    ]


@pytest.fixture
def plan(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Plan:
    monkeypatch.chdir(tmp_path)
    Path("mine.yaml").write_text(
        "experiment: mine\ntask: cart_pole\nseeds: [4]\ntrain: {num_envs: 64, max_iterations: 2, save_interval: 1}\n"
    )
    Path("results/mine").mkdir(parents=True)
    Path("results/mine/success_rates.md").write_text("| Variant |\n| --- |\n| default |\n\nNotes.\n")
    return Plan(load(["mine.yaml"]), 2, "results/mine", "mine.yaml")


@pytest.mark.parametrize(
    ("level", "command"),
    [("1", "make report CONFIG=mine.yaml"), (None, "snakemake --report report.html --configfile mine.yaml")],
)
def test_the_end_of_everything_is_the_table_the_places_and_the_next_commands(
    plan: Plan, monkeypatch: pytest.MonkeyPatch, level: str | None, command: str
) -> None:
    monkeypatch.delenv("MAKELEVEL", raising=False)
    if level:
        monkeypatch.setenv("MAKELEVEL", level)
    text = "\n".join(summary.lines(plan, [Done("tables", Path()), Done("all", Path())], 1.0, 2.0))
    for part in ("| default |", "results/mine/success_rates.html", "results/mine/report.html", command):
        assert part in text
    assert "Notes." not in text


def test_a_part_of_the_workflow_says_only_where_the_time_went(plan: Plan) -> None:
    text = "\n".join(summary.lines(plan, [Done("train_run", Path())], 1.0, 2.0))
    assert text.startswith("Where the time went") and "Where things are" not in text


def test_a_table_that_fills_more_than_a_screen_is_named_only(plan: Plan) -> None:
    Path("results/mine/success_rates.md").write_text("| default |\n" * 41)
    text = "\n".join(summary.lines(plan, [Done("all", Path())], 1.0, 2.0))
    assert "The table has 41 lines: results/mine/success_rates.md" in text and "| default |" not in text
