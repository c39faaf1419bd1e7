"""`manyseeds compare`: logs become runs, runs become a results folder, and what is left out or guessed is said."""

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from helpers import foreign_logs
from helpers.event_files import START, curve, scalar, write_events
from manyseeds import cli
from manyseeds.analysis.curves import aggregate
from manyseeds.analysis.data import Data
from manyseeds.analysis.results import find_results
from manyseeds.compare.results import Choice, Prepared, check_output, prepare, write
from manyseeds.compare.runs import find_sources, group, read_parts
from manyseeds.core.errors import UserError
from manyseeds.report.tables.write import write_tables

REWARD = "Train/mean_reward"


def brought_in(*folders: object, template: str | None = None, number: bool = False, **choice: object) -> Prepared:
    """What the command does before it writes."""
    parts, _ = read_parts(find_sources([str(folder) for folder in folders]).sources, REWARD, False)
    runs, said = group(parts, template, number_seeds=number)
    return prepare(runs, Choice(**choice), said)  # type: ignore[arg-type]


def table_of(prepared: Prepared, variant: str, seed: int) -> pd.DataFrame:
    return next(
        table
        for run, table in zip(prepared.runs, prepared.tables, strict=True)
        if (run.variant, run.seed) == (variant, seed)
    )


def compared(prepared: Prepared, output: Path) -> Data:
    """Write the folder, as the command does, without figures and pages."""
    write(prepared, output)
    aggregate(prepared.curves(output), output / "learning_curves.csv", resamples=10)
    [folder] = find_results(output)
    return Data(folder)


def refused(capsys: pytest.CaptureFixture, *words: object) -> str:
    """Run the command line, which must end with one sentence and write nothing."""
    before = sorted(Path.cwd().rglob("*"))
    assert cli.main(["compare", *map(str, words)]) == 2
    out, err = capsys.readouterr()
    assert err.startswith("error: ") and err.count("\n") == 1 and "Traceback" not in err and not out
    assert sorted(Path.cwd().rglob("*")) == before
    return err


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_dry_run_shows_every_run_and_writes_nothing(here: Path, capsys: pytest.CaptureFixture) -> None:
    foreign_logs.franka_lift(Path("logs"))
    before = sorted(here.rglob("*"))
    assert cli.main(["compare", "logs", "--dry-run"]) == 0
    out = capsys.readouterr().out
    assert sum(line.startswith("ppo") for line in out.splitlines()) == 12
    assert "_02-00-00_ppo_sym_seed2 + 2026-01-22_02-00-00_ppo_sym_seed2" in out and "98,304" in out
    assert "iteration 40" in out and "ppo_rnd seed 3 ended there" in out and "Nothing was written" in out
    assert sorted(here.rglob("*")) == before


def test_iterations_are_completed_ones_and_a_resume_replaces_what_it_repeats(tmp_path: Path) -> None:
    first = foreign_logs.isaaclab(tmp_path, "2026-01-10_01-00-00_ppo_seed1", range(30), 1)
    foreign_logs.isaaclab(tmp_path, "2026-01-11_01-00-00_ppo_seed1", range(20, 50), 1, final=500.0, began=START + 999)
    prepared = brought_in(tmp_path)
    table = table_of(prepared, "ppo", 1)
    assert list(table.index) == list(range(1, 51))
    expected = [*foreign_logs.returns(range(30), 1)[:20], *foreign_logs.returns(range(20, 50), 1, 500.0)]
    assert np.allclose(table[REWARD], np.float32(expected))
    assert prepared.samples == {"ppo": 4096 * 24}
    # Tags of old releases have today's names.
    assert {"Loss/value", "Perf/collection_time"} <= set(table) and (first / "params/agent.yaml").is_file()


def test_a_hole_before_a_resume_is_said(tmp_path: Path) -> None:
    foreign_logs.isaaclab(tmp_path, "a_seed1", range(10), 1)
    foreign_logs.isaaclab(tmp_path, "2026-01-11_01-00-00_a_seed1", range(15, 30), 1, began=START + 999)
    assert any("5 iterations before it are in no log of a seed 1" in said for said in brought_in(tmp_path).remarks)


def test_two_runs_of_one_seed_are_refused_and_can_be_numbered(here: Path, capsys: pytest.CaptureFixture) -> None:
    for day in range(12):
        foreign_logs.isaaclab(here / "lift", f"2026-01-{10 + day}_01-00-00", range(5), 42, began=START - 60 * day)
    said = refused(capsys, "lift")
    assert "2026-01-21_01-00-00 and " in said and "are both lift seed 42" in said and "--number-seeds" in said
    numbered = brought_in(here / "lift", number=True)
    assert [run.seed for run in numbered.runs] == list(range(1, 13))
    assert numbered.runs[0].parts[0].source.name == "2026-01-21_01-00-00"  # the one that began first
    assert "12 of them or more were trained with an equal seed" in numbered.remarks[0]


def test_seeds_come_from_params_where_names_are_times(tmp_path: Path) -> None:
    for seed in (7, 3):
        foreign_logs.isaaclab(tmp_path / "lift", f"2026-01-1{seed}_01-00-00", range(5), seed)
    assert [run.label for run in brought_in(tmp_path / "lift").runs] == ["lift seed 3", "lift seed 7"]


def test_the_name_counts_where_params_say_another_seed(tmp_path: Path) -> None:
    foreign_logs.isaaclab(tmp_path, "a_seed1", range(5), 42)
    prepared = brought_in(tmp_path)
    assert prepared.runs[0].seed == 1 and "the name says seed 1, its params say 42" in prepared.remarks[0]


def test_a_folder_may_be_a_variant(here: Path) -> None:
    foreign_logs.rsl_rl(here / "x/seed1", range(5), 1)
    foreign_logs.rsl_rl(here / "y/seed1", range(5), 2)
    assert [run.label for run in brought_in("old=x", "new=y").runs] == ["old seed 1", "new seed 1"]
    assert [run.label for run in brought_in("all=[xy]/seed*", number=True).runs] == ["all seed 1", "all seed 2"]


@pytest.mark.parametrize("at", ["common", "end", 60])
def test_runs_of_different_length_are_compared_as_asked_and_the_table_says_how(tmp_path: Path, at: str | int) -> None:
    foreign_logs.franka_lift(tmp_path / "logs")
    data = compared(brought_in(tmp_path / "logs", at=at), tmp_path / "out")
    final = data.final.set_index(["variant", "seed"])["iteration"]
    text = " ".join(write_tables(data.folder).split())
    if at == "common":
        assert set(final) == {40} and len(final) == 12
        assert "Tables compare the runs at iteration 40, the last one that all runs reached (ppo_rnd seed 3" in text
        assert data.failures == []
    elif at == "end":
        assert final["ppo_rnd", 3] == 40 and set(final.drop(("ppo_rnd", 3))) == {60}
        assert "Tables compare each run at its own end, between iterations 40 and 60." in text
        assert "| **ppo_rnd** | **mean, 4 seeds** | **40 to 60** |" in text
    else:
        assert ("ppo_rnd", 3) not in final and set(final) == {60} and len(final) == 11
        assert "ppo_rnd seed 3 is left out: it ends before iteration 60." in text
        assert "| **ppo_rnd** | **mean, 3 seeds** |" in text
    # The mean over the last tenth of the iterations up to there, by hand.
    table = table_of(brought_in(tmp_path / "logs"), "ppo", 2)[REWARD]
    last = {"common": 40}.get(str(at), 60)
    expected = table.loc[last - last // 10 + 1 : last].mean()
    assert data.final.set_index(["variant", "seed"]).loc[("ppo", 2), "return_mean"] == pytest.approx(expected, rel=1e-6)


def test_evaluations_of_rl_zoo_are_means_over_their_episodes(tmp_path: Path) -> None:
    foreign_logs.zoo(tmp_path)
    prepared = brought_in(tmp_path)
    assert [run.label for run in prepared.runs] == [f"ppo/CartPole-v1 seed {seed}" for seed in (11, 12, 13)]
    with np.load(tmp_path / "ppo/CartPole-v1_2/evaluations.npz") as arrays:
        expected = arrays["results"].mean(axis=1)
    table = table_of(prepared, "ppo/CartPole-v1", 12)
    assert list(table.index) == list(range(1, 9)) and np.allclose(table["eval/mean_reward"], expected)
    assert prepared.samples == {"ppo_CartPole-v1": 10_000}
    data = compared(prepared, tmp_path / "out")
    text = write_tables(data.folder)
    assert "ppo/CartPole-v1 | 12" in text and "evaluations that Stable-Baselines3 made" in text
    assert (
        "exploring" not in text and "Return in training" not in text and data.sample_axis[1] == "thousands of samples"
    )


def test_progress_csv_is_read_by_environment_steps(tmp_path: Path) -> None:
    for seed in (1, 2):
        foreign_logs.progress(tmp_path / f"sac_{seed}", seed)
    prepared = brought_in(tmp_path, reward="rollout/ep_rew_mean")
    table = table_of(prepared, "sac", 2)
    assert np.allclose(table["rollout/ep_rew_mean"], foreign_logs.returns(range(20), 2), atol=1e-3)
    assert prepared.samples == {"sac": 2048} and prepared.tags["success"] == "rollout/success_rate"
    assert table["eval/mean_reward"].notna().sum() == 4
    # By default the evaluations count, which have a number in every fifth row.
    assert brought_in(tmp_path).tags["reward"] == "eval/mean_reward"


def test_a_history_of_wandb_is_read_by_iteration(tmp_path: Path) -> None:
    foreign_logs.history(tmp_path / "ppo_s4.csv", 4)
    prepared = brought_in(tmp_path, samples_per_iteration=640)
    table = table_of(prepared, "ppo", 4)
    assert np.allclose(table[REWARD], foreign_logs.returns(range(30), 4), atol=1e-4) and table.index[-1] == 30
    assert "video" not in table and "_runtime" not in table and prepared.samples == {"ppo": 640}


def test_charts_of_wandb_hold_several_runs_each_and_those_of_a_folder_belong_together(tmp_path: Path) -> None:
    foreign_logs.chart(tmp_path / "wandb_export_1.csv", (4, 5))
    foreign_logs.chart(tmp_path / "wandb_export_2.csv", (4,), tag="Metrics/success_rate")
    foreign_logs.chart(tmp_path / "wandb_export_3.csv", (4,), rows=20)
    prepared = brought_in(tmp_path)
    assert [run.label for run in prepared.runs] == ["ppo seed 4", "ppo seed 5", "wide seed 4", "wide seed 5"]
    for variant, count in (("ppo", 30), ("wide", 15)):
        table = table_of(prepared, variant, 5)
        assert np.allclose(table[REWARD], foreign_logs.returns(range(count), 5), atol=1e-4), "not its range"
        assert table.index[-1] == count and list(table) == [REWARD]
    assert list(table_of(prepared, "ppo", 4)) == [REWARD, "Metrics/success_rate"]
    alone = brought_in(tmp_path / "wandb_export_2.csv", reward="Metrics/success_rate")
    assert [run.label for run in alone.runs] == ["ppo seed 4", "wide seed 4"]


def test_uneven_steps_of_another_program_become_iterations_of_equal_size(tmp_path: Path) -> None:
    for seed in (1, 2):
        steps = np.cumsum(np.random.default_rng(seed).integers(50, 500, 100))
        values = dict(zip(steps.tolist(), range(100), strict=True))
        write_events(
            tmp_path / f"Ant__ppo__{seed}__1700000000/events.out.tfevents.1", curve(values, "charts/episodic_return")
        )
    prepared = brought_in(tmp_path)
    assert prepared.content["compared"]["unit"] == "steps"
    size = prepared.samples["Ant_ppo"]
    assert all(table["charts/episodic_return"].notna().mean() > 0.95 for table in prepared.tables)
    assert abs(size * prepared.tables[0].index[-1] - steps[-1]) < 3000 and any(
        f"{size:,} steps" in s for s in prepared.remarks
    )


def test_a_run_that_diverged_has_no_number_and_its_variant_no_mean(tmp_path: Path) -> None:
    foreign_logs.rsl_rl(tmp_path / "logs/a_seed1", range(20), 1)
    values = {step: float("nan") if step > 9 else 1.0 for step in range(20)}
    write_events(tmp_path / "logs/a_seed2/events.out.tfevents.1", curve(values, REWARD))
    text = write_tables(compared(brought_in(tmp_path / "logs"), tmp_path / "out").folder)
    assert f"{REWARD} was not logged at the end of a seed 2." in text and "| a | 2 | 20 |  |" in text
    assert "**mean" not in text


def test_runs_without_the_return_or_without_anything_are_named(here: Path, capsys: pytest.CaptureFixture) -> None:
    foreign_logs.rsl_rl(here / "logs/a_seed1", range(20), 1)
    tags = ("Loss/value", "Perf/total_fps")  # no episode has ended
    events = [scalar(tag, step, 1.0) for step in range(20) for tag in tags]
    write_events(here / "logs/a_seed2/events.out.tfevents.1", events)
    write_events(here / "logs/a_seed3/events.out.tfevents.1", [])
    foreign_logs.rsl_rl(here / "logs/a_seed4", range(3), 4)
    assert cli.main(["compare", "logs", "--exclude", "*seed4", "--dry-run"]) == 0
    out = capsys.readouterr().out
    for said in (
        "Left out (--exclude): a_seed4.",
        "Left out, because they logged nothing: a_seed3.",
        f"{REWARD} is not in the log of a seed 2.",
    ):
        assert f"note: {said}\n" in out


def test_only_a_tag_from_0_to_1_is_taken_for_a_success_rate(tmp_path: Path) -> None:
    """Older releases of Isaac Lab log how many environments ended with success, and not the share."""
    tag = "Episode_Termination/success"
    events = [scalar(name, step, value) for step in range(9) for name, value in ((tag, 3.0 * step), (REWARD, 1.0))]
    write_events(tmp_path / "a_seed1/events.out.tfevents.1", events)
    assert brought_in(tmp_path).tags["success"] == ""


def test_logs_are_only_read_and_a_second_call_replaces_the_first(tmp_path: Path) -> None:
    foreign_logs.franka_lift(tmp_path / "logs")

    def content() -> dict[Path, str]:
        files = [path for path in (tmp_path / "logs").rglob("*") if path.is_file()]
        return {path: hashlib.sha256(path.read_bytes()).hexdigest() for path in files}

    before, output = content(), tmp_path / "out"
    for folder in [tmp_path / "logs", *(tmp_path / "logs").rglob("*")]:
        folder.chmod(0o555 if folder.is_dir() else 0o444)
    compared(brought_in(tmp_path / "logs"), output)
    mine = output / "ppo/seed_1/mine.txt"
    mine.write_text("a note")
    check_output(output)
    data = compared(brought_in(tmp_path / "logs/2026-01-11_01-00-00_ppo_rnd_seed1", baseline=None), output)
    assert [run.variant for run in data.folder.runs] == ["ppo_rnd"]
    assert sorted(path.name for path in output.glob("*/seed_*")) == ["seed_1", "seed_1"]
    assert list((output / "ppo").rglob("*.*")) == [mine]  # what it did not write stays
    assert content() == before
    for folder in [tmp_path / "logs", *(tmp_path / "logs").rglob("*")]:
        folder.chmod(0o755)


def test_names_of_any_letters_are_shown_as_they_are(tmp_path: Path) -> None:
    names = ('my "best" run\'s <b>ü', "$(touch pwned); x", "figures")
    for name in names:
        for seed in (1, 2):
            foreign_logs.rsl_rl(tmp_path / "logs" / f"{name}_seed{seed}", range(20), seed)
    choice = {"labels": {"figures": "Fig & <i>"}, "baseline": names[1]}
    prepared = brought_in(tmp_path / "logs", **choice)
    write(prepared, tmp_path / "out")
    [folder] = find_results(tmp_path / "out")
    assert {folder.label(variant) for variant in folder.variants} == {names[0], names[1], "Fig & <i>"}
    assert folder.label(str(folder.baseline)) == names[1] and folder.folder / "figures" not in folder.folder.iterdir()


def test_the_workflow_does_not_take_the_folder_for_an_experiment(here: Path, capsys: pytest.CaptureFixture) -> None:
    foreign_logs.rsl_rl(here / "logs/a_seed1", range(5), 1)
    write(brought_in("logs"), here / "out")
    assert cli.main(["curves", "--config", "out/config.json", "--output", "x.csv"]) == 2
    assert "is of runs that `manyseeds compare` brought in" in capsys.readouterr().err


def mistakes() -> Sequence[tuple[str, str]]:
    return (
        ("empty", "empty: no log found in it or below"),
        ("logs b=empty", "b=empty: no log found in it or below"),
        ("missing", "missing: no such file or folder"),
        ("notes.txt", "notes.txt: not a log; what can be read are event files"),
        ("half", "half/a: its seed is in neither its name nor its params; say where with --name"),
        ("logs --name x_{seed}", "the name does not fit --name"),
        ("logs --reward Train/mean_rewards", "(did you mean Train/mean_reward?); the logs have"),
        ("unknown", "which tag is the return? Name it with --reward; the logs have foo, score"),
        ("logs --success Train/mean_reward", "its numbers are not all from 0 to 1"),
        ("logs --baseline b", "there is no variant 'b'; there are a"),
        ("logs --label a", "--label a: must be VARIANT=TEXT"),
        ("logs --at 5000", "no run reaches this iteration; the longest has 20"),
        ("logs --at last", "must be common, end or the number of an iteration"),
        ("logs --exclude *", "--exclude leaves out every run: a_seed1, a_seed2"),
        ("logs --output notes.txt", "notes.txt: is a file"),
        ("logs --output unknown", "unknown: holds other files"),
        ("logs --output ours", "ours: holds an experiment of the workflow"),
        ("damaged", "not an event file"),
        ("npz", "not an evaluations.npz"),
        ("sb3", "column 'time/total_timesteps' is missing"),
        ("history", "no row has a step and a number"),
        ("chart", "its rows are by 'Relative Time (Process)'; export the chart again with Step as its x axis"),
        ("twice.csv", "'a - x' is there twice; give each run a name of its own"),
        ("late", "it begins at iteration 10, so it continues another run"),
        ("mixed", "so there is no common iteration; compare each run at its end with --at end"),
        ("=logs", "the name of the variant before '=' is missing"),
    )


@pytest.mark.parametrize(("words", "said"), mistakes())
def test_a_mistake_is_one_sentence(here: Path, capsys: pytest.CaptureFixture, words: str, said: str) -> None:
    for folder in ("empty", "ours", "npz/x_1", "sb3/x_1", "history"):
        (here / folder).mkdir(parents=True)
    (here / "notes.txt").write_text("x")
    (here / "ours/config.json").write_text(json.dumps({"variants": {}}))
    (here / "npz/x_1/evaluations.npz").write_bytes(b"PK\x03\x04 not really")
    (here / "sb3/x_1/progress.csv").write_text("a,b\n1,2\n")
    (here / "history/h_s1.csv").write_text("_step,Train/mean_reward\n")
    foreign_logs.chart(here / "chart/c.csv", (1,), x="Relative Time (Process)")
    (here / "twice.csv").write_text('"Step","a - x","a - x"\n1,2,3\n')
    for seed in (1, 2):
        foreign_logs.rsl_rl(here / f"logs/a_seed{seed}", range(20), seed)
    write_events(here / "unknown/a_seed1/events.out.tfevents.1", [scalar(tag, 0, 1.0) for tag in ("foo", "score")])
    (here / "damaged/a_seed1").mkdir(parents=True)
    (here / "damaged/a_seed1/events.out.tfevents.1").write_bytes(b"hello, this is no event file at all" * 9)
    foreign_logs.rsl_rl(here / "late/Jan11_10-00-00", range(10, 30), 1)
    foreign_logs.rsl_rl(here / "mixed/ppo_seed1", range(5), 1)
    foreign_logs.rsl_rl(here / "half/a", range(5), 1)
    foreign_logs.rsl_rl(here / "half/a_seed2", range(5), 2)
    foreign_logs.progress(here / "mixed/sac_seed1", 1)
    assert said in refused(capsys, *words.split())


def test_variants_whose_folders_would_be_one_are_refused(tmp_path: Path) -> None:
    for name in ("a b", "A_b"):
        foreign_logs.rsl_rl(tmp_path / f"{name}_seed1", range(5), 1)
    with pytest.raises(UserError, match="are too alike for names of folders"):
        brought_in(tmp_path)
