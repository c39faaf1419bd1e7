"""The export command: the table, its account, and its errors."""

import json
import math
import os
import subprocess
import sys

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers.event_files import START, curve, flip, scalar, write_events
from helpers.verbs import verb
from manyseeds.core.errors import UserError
from manyseeds.eventfiles.table import read_scalars, read_table

main = verb("scalars")


ODD_TAG = 'Metrics/größe, "quoted"'


@pytest.fixture
def log(tmp_path):
    """Two tags; b starts at iteration 2 and logs NaN at 3."""
    folder = tmp_path / "log"
    a = curve({1: 0.1, 2: math.inf, 3: -0.0}, "a")
    write_events(folder / "events.out.tfevents.1", a + curve({2: 1e-45, 3: math.nan}, ODD_TAG))
    return folder


def export(*arguments):
    return main(list(map(str, arguments)))


def test_rows_are_iterations_columns_tags_and_nan_is_not_missing(log, tmp_path):
    assert export(log, "--output", tmp_path / "s.csv") == 0
    header, *rows = (tmp_path / "s.csv").read_text(encoding="utf-8").splitlines()
    assert header == '"iteration","Metrics/größe, ""quoted""","a"'
    assert rows == ["1,,0.1", "2,1e-45,inf", "3,nan,-0"]


def test_parquet_and_csv_read_back_as_the_same_table(log, tmp_path):
    for name in ("s.csv", "s.parquet"):
        assert export(log, "--output", tmp_path / name) == 0
    csv, parquet = read_table(tmp_path / "s.csv"), read_table(tmp_path / "s.parquet")
    assert csv.schema == parquet.schema
    assert csv.column_names == ["iteration", ODD_TAG, "a"]
    assert csv.schema.field("a").type == pa.float32()
    for name in csv.column_names:  # repr tells None, nan and -0.0 apart
        assert list(map(repr, csv[name].to_pylist())) == list(map(repr, parquet[name].to_pylist()))


def test_pandas_reads_the_table(log, tmp_path):
    export(log, "--output", tmp_path / "s.csv")
    table = pd.read_csv(tmp_path / "s.csv")
    assert table["iteration"].tolist() == [1, 2, 3]
    assert table[ODD_TAG].isna().tolist() == [True, False, True]


@settings(max_examples=50)
@given(values=st.lists(st.floats(width=32), min_size=1, max_size=20))
def test_every_float32_survives_the_csv(tmp_path_factory, values):
    folder = tmp_path_factory.mktemp("log")
    write_events(folder / "tfevents", curve(dict(enumerate(values)), "a"))
    assert export(folder, "--output", folder / "s.csv") == 0
    back = read_scalars(folder / "s.csv").columns["a"].astype(np.float32)
    np.testing.assert_array_equal(back, np.array(values, np.float32))
    assert np.signbit(back[~np.isnan(back)]).tolist() == [np.signbit(v) for v in values if not math.isnan(v)]


def test_the_account_says_what_was_read_cut_and_lost(tmp_path, capsys):
    first, second = (tmp_path / f"events.out.tfevents.{name}" for name in "12")
    offsets = write_events(first, curve(dict.fromkeys(range(10), 1.0)), START)
    flip(first, offsets[3] + 20)
    clock = [scalar("Train/mean_reward/time", 3, 1.0)]
    ends = write_events(second, curve(dict.fromkeys(range(5, 12), 2.0)) + clock, START + 5)
    second.write_bytes(second.read_bytes()[:-2])
    arguments = (
        tmp_path,
        "--output",
        tmp_path / "s.csv",
        "--account",
        tmp_path / "s.json",
        "--allow-corrupt",
    )
    assert export(*arguments) == 0
    account = json.loads((tmp_path / "s.json").read_text())
    files = account.pop("files")
    assert account == {
        "rows": 11,
        "columns": 1,
        "records": 10 + 8,
        "scalars": 9 + 7,
        "clock_scalars": 0,
        "undecodable": 0,
        "rows_cut": 5,
        "scalars_cut": 5,
        "before_start": 0,
        "left_out": [],
        "corrupt_bytes": offsets[4] - offsets[3],
        "unreadable_bytes": 0,
        "truncated_bytes": ends[-1] - ends[-2] - 2,
    }
    assert [file["name"] for file in files] == [first.name, second.name]
    assert files[0]["damage"] == [{"kind": "corrupt", "offset": offsets[3], "size": offsets[4] - offsets[3]}]
    printed = capsys.readouterr().err
    assert "18 records in 2 file(s), 11 rows x 1 tags written, 5 rows cut at a resume" in printed
    assert f"{first.name}: corrupt at byte {offsets[3]}" in printed
    assert f"{second.name}: truncated at byte {ends[-2]}" in printed


def test_the_same_log_gives_the_same_bytes(log, tmp_path):
    for name in ("1", "2"):
        export(log, "--output", tmp_path / f"{name}.csv", "--account", tmp_path / f"{name}.json")
    for kind in ("csv", "json"):
        assert (tmp_path / f"1.{kind}").read_bytes() == (tmp_path / f"2.{kind}").read_bytes()


def test_tags_are_chosen_by_pattern_after_renaming(tmp_path):
    events = [scalar(tag, 1, 1.0) for tag in ("Loss/value_function", "Loss/surrogate", "Perf/total_fps")]
    write_events(tmp_path / "tfevents", [*events, scalar("Perf/total_fps", 2, 1.0)])
    assert export(tmp_path, "--tags", "Loss/value", "Nothing/*", "--output", tmp_path / "s.csv") == 0
    assert (tmp_path / "s.csv").read_text() == '"iteration","Loss/value"\n1,1\n'


def test_no_matching_tag_is_an_error_that_lists_the_tags(log, capsys):
    assert export(log, "--tags", "Loss/*") == 2
    assert f"no tag matches; there are {ODD_TAG}, a" in capsys.readouterr().err


def test_without_an_output_the_table_goes_to_standard_output(log):
    done = subprocess.run(
        [sys.executable, "-m", "manyseeds", "scalars", log], capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines()[1] == "1,,0.1"


@pytest.mark.parametrize("content", [b"", b"no events at all"])
def test_a_useless_log_is_one_sentence_and_leaves_no_table(tmp_path, capsys, content):
    (tmp_path / "events.out.tfevents.1").write_bytes(content)
    assert export(tmp_path, "--output", tmp_path / "s.csv", "--account", tmp_path / "s.json") == 2
    assert capsys.readouterr().err.count("\n") == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["events.out.tfevents.1"]


def test_the_export_needs_neither_torch_nor_tensorboard_nor_pandas(log):
    code = (
        "import sys; from manyseeds.eventfiles.command import main; main(sys.argv[1:]);"
        "heavy = ('torch', 'tensorboard', 'tensorflow', 'pandas', 'scipy');"
        "print([name for name in heavy if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, log, "--output", log / "s.csv"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("content", "message"),
    [("a\n1\n", "no column 'iteration'"), ("iteration,a\n1,x\n", "invalid value 'x'"), ("", "not a table")],
)
def test_a_file_that_is_not_a_table_is_an_error(tmp_path, content, message):
    path = tmp_path / "s.csv"
    path.write_text(content)
    with pytest.raises(UserError, match=message):
        read_table(path)


def test_curves_over_seconds_and_samples_are_left_out_by_name(tmp_path, capsys):
    events = []
    for i in range(3000):
        events += [
            scalar("Loss/value", i, 1.0),
            scalar("Train/mean_reward", i, float(i)),
            scalar("Time/mean_reward", int(1.7 * (i + 1)), float(i)),
            scalar("Timesteps/mean_reward", 98304 * (i + 1), float(i)),
        ]
    write_events(tmp_path / "log" / "tfevents", events)
    assert export(tmp_path / "log", "--output", tmp_path / "s.csv", "--first-iteration", 0) == 0
    table = pd.read_csv(tmp_path / "s.csv")
    assert table["iteration"].tolist() == list(range(1, 3001))
    assert table.columns.tolist() == ["iteration", "Loss/value", "Train/mean_reward"]
    told = capsys.readouterr().err
    assert "left out, because their steps are not iterations: Time/mean_reward, Timesteps/mean_reward" in told


@pytest.mark.parametrize("seconds", [0.3, 0.95, 1.0, 1.05, 20.0])
def test_seconds_are_told_from_iterations_however_long_an_iteration_takes(tmp_path, seconds):
    events = []
    for i in range(1, 401):
        events += [scalar("Train/mean_reward", i, 1.0), scalar("Clock", int(seconds * i) + 40, 1.0)]
    write_events(tmp_path / "tfevents", events)
    assert export(tmp_path, "--output", tmp_path / "s.csv") == 0
    assert pd.read_csv(tmp_path / "s.csv").columns.tolist() == ["iteration", "Train/mean_reward"]


def test_tags_that_are_logged_seldom_or_before_any_return_are_kept(tmp_path):
    events = []
    for i in range(300):
        events.append(scalar("Loss/value", i, 1.0))
        if i % 50 == 0:
            events.append(scalar("Eval/success", i, 1.0))
        if i >= 250:  # the first episodes end late
            events.append(scalar("Train/mean_reward", i, 1.0))
    write_events(tmp_path / "log" / "1.tfevents", events)
    # After a resume no episode has ended yet.
    write_events(tmp_path / "log" / "2.tfevents", curve(dict.fromkeys(range(290, 320), 2.0)), START + 9)
    assert export(tmp_path / "log", "--output", tmp_path / "s.csv", "--first-iteration", 0) == 0
    table = pd.read_csv(tmp_path / "s.csv")
    assert table["iteration"].tolist() == list(range(1, 321))
    assert {"Loss/value", "Eval/success", "Train/mean_reward"} < set(table.columns)


def test_values_that_share_a_step_are_said_to_be_replaced(tmp_path, capsys):
    write_events(tmp_path / "tfevents", [scalar("a", 0, float(i)) for i in range(50)])
    assert export(tmp_path, "--output", tmp_path / "s.csv") == 0
    assert "49 value(s) replaced by later ones of the same or an earlier step" in capsys.readouterr().err


def test_an_evaluation_before_training_at_step_minus_one_is_left_out_by_number(tmp_path, capsys):
    write_events(tmp_path / "tfevents", [scalar("a", -1, 0.0), *curve({1: 1.0, 2: 2.0}, "a")])
    assert export(tmp_path, "--output", tmp_path / "s.csv") == 0
    assert pd.read_csv(tmp_path / "s.csv")["iteration"].tolist() == [1, 2]
    assert "1 value(s) left out, because their step is negative" in capsys.readouterr().err


def test_gigabytes_of_zeros_behind_the_last_record_take_no_memory(tmp_path):
    write_events(tmp_path / "tfevents", curve({1: 1.0}, "a"))
    size = 5 << 28
    with (tmp_path / "tfevents").open("r+b") as stream:
        stream.truncate(size)
    code = f"""
import resource, sys
resource.setrlimit(resource.RLIMIT_AS, (1 << 30, 1 << 30))
from manyseeds.eventfiles.records import RecordReader
from pathlib import Path

reader = RecordReader(Path({str(tmp_path / "tfevents")!r}))
print(len(list(reader.blocks())), [(d.kind, d.offset + d.size) for d in reader.damage])
"""
    # NumPy's threads reserve memory, too.
    alone = os.environ | {"OPENBLAS_NUM_THREADS": "1"}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=alone)
    assert done.stdout == f"1 [('truncated', {size})]\n", done.stderr
