"""Rows of an event file, and by what a run is known to trackers."""

import random
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from helpers.event_files import scalar, write_events
from manyseeds.core.errors import UserError
from manyseeds.core.layout import EVENT_FILE
from manyseeds.loggers.rows import all_rows, read_rows
from manyseeds.loggers.run import run_in
from manyseeds.runs.events import EventWriter


def written(folder: Path, iterations: int = 5) -> tuple[Path, list[int]]:
    """Write an event file as training does; return it and its size after each iteration."""
    folder.mkdir(parents=True, exist_ok=True)
    writer = EventWriter(folder / EVENT_FILE)
    sizes = [writer.sync()]
    for step in range(1, iterations + 1):
        scalars = {"Loss/value": 0.1 * step, "Train/mean_reward": float("nan") if step == 2 else step}
        writer.write(step, scalars if step > 1 else {"Loss/value": 0.1})
        writer.write(1000 + step // 3, {"Train/mean_reward/time": 1.0 * step})
        sizes.append(writer.sync())
    writer.close()
    return folder / EVENT_FILE, sizes


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 2**32))
def test_a_growing_file_gives_the_same_rows_in_parts_as_at_once_and_as_the_export_reads(tmp_path, seed):
    path, sizes = written(tmp_path / "run", 6)
    cuts = sorted(random.Random(seed).sample(sizes, 3))
    with path.open("rb") as stream:
        parts = [
            row for start, end in zip([0, *cuts], [*cuts, sizes[-1]], strict=True)
            for row in read_rows(stream, start, end)
        ]  # fmt: skip
    whole = all_rows(path.parent)
    assert [row.step for row in parts] == [row.step for row in whole] == [1, 2, 3, 4, 5, 6]
    assert [repr(row.scalars) for row in parts] == [repr(row.scalars) for row in whole]
    assert [row.time for row in parts] == [row.time for row in whole]
    assert list(parts[0].scalars) == ["Loss/value"] and "Train/mean_reward/time" not in parts[3].scalars


def test_a_record_that_is_cut_short_is_left_for_later(tmp_path):
    path, sizes = written(tmp_path / "run")
    with path.open("rb") as stream:
        assert [row.step for row in read_rows(stream, 0, sizes[2] - 3)] == [1, 2]


def test_a_resume_of_another_program_in_a_second_file_replaces_what_it_repeats(tmp_path):
    def events(name: str, steps: range, time: float) -> None:
        write_events(tmp_path / name, [scalar("Train/mean_reward", n, time, time + n) for n in steps], time)

    events("events.out.tfevents.2", range(3, 6), 200.0)
    events("events.out.tfevents.1", range(1, 5), 100.0)
    rows = all_rows(tmp_path)
    assert [(row.step, row.scalars["Train/mean_reward"]) for row in rows] == [
        (1, 100), (2, 100), (3, 200), (4, 200), (5, 200)
    ]  # fmt: skip


def test_a_run_keeps_its_id_while_it_grows_and_gets_another_when_it_starts_over(tmp_path):
    folder = tmp_path / "lift" / "wide" / "seed_3"
    path, sizes = written(folder)
    run = run_in(folder)
    assert (run.experiment, run.group, run.name) == ("lift", "wide", "wide/seed_3")
    with path.open("r+b") as stream:
        stream.truncate(sizes[2])
    assert run_in(folder).id == run.id
    written(folder)
    assert run_in(folder).id != run.id


def test_runs_that_begin_at_the_same_moment_are_told_apart_by_their_names(tmp_path):
    path, _ = written(tmp_path / "lift" / "wide" / "seed_3")
    other = tmp_path / "lift" / "wide" / "seed_4"
    other.mkdir()
    (other / EVENT_FILE).write_bytes(path.read_bytes())
    assert run_in(other).id != run_in(path.parent).id


def test_a_run_by_hand_is_named_after_its_folder_and_secrets_in_its_parameters_are_masked(tmp_path):
    folder = tmp_path / "generic_experiment" / "2026-01-31_10-00-00"
    written(folder)
    (folder / "params").mkdir()
    (folder / "params" / "env.yaml").write_text("seed: 3\napi_key: abc123\n")
    (folder / "params" / "agent.yaml").write_text("a: !!python/tuple [1, 2]\n")  # as Isaac Lab writes it
    run = run_in(folder)
    assert (run.experiment, run.group, run.name) == ("generic_experiment", "", "2026-01-31_10-00-00")
    assert run.config == {"env": {"seed": 3, "api_key": "***"}}


def test_a_folder_without_event_files_is_one_sentence(tmp_path):
    with pytest.raises(UserError, match="no event file"):
        run_in(tmp_path)
