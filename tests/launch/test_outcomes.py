"""What an external trainer's evaluation leaves is read in every form, or refused in one sentence that names it."""

import csv
import io
import json
import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from manyseeds.config.external import Evaluation
from manyseeds.core.errors import UserError
from manyseeds.launch.outcomes import Outcomes, read_file, read_printed

PLAIN = Evaluation(command="x")


def read(tmp_path: Path, text: str, episodes: int = 2, suffix: str = "csv", **keys: object) -> Outcomes:
    path = tmp_path / f"out.{suffix}"
    path.write_text(text)
    return read_file(path, Evaluation(command="x", **keys), episodes)


EPISODES = st.lists(
    st.tuples(st.booleans(), st.floats(allow_nan=False, allow_infinity=False, width=32)), min_size=1, max_size=20
)


@given(EPISODES, st.sampled_from(["csv", "objects", "lists"]))
def test_every_form_gives_each_episodes_success_and_return(tmp_path_factory, rows, form):
    columns = {"other": ["x"] * len(rows), "success": [s for s, _ in rows], "return": [r for _, r in rows]}
    records = [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]
    stream = io.StringIO()
    writer = csv.DictWriter(stream, columns)
    writer.writeheader()
    writer.writerows(records)
    text = {"csv": stream.getvalue(), "objects": json.dumps(records), "lists": json.dumps(columns)}[form]
    path = tmp_path_factory.mktemp("out") / ("out.csv" if form == "csv" else "out.json")
    path.write_text(text)
    found = read_file(path, PLAIN, len(rows))
    assert found.success == tuple(int(s) for s, _ in rows) and found.successes == sum(found.success)
    assert found.returns == tuple(r for _, r in rows) and found.by_episode
    assert found.mean_return == pytest.approx(math.fsum(found.returns) / len(rows))


def test_other_names_of_columns_are_those_of_the_definition(tmp_path):
    found = read(tmp_path, "ok,R\n1,2.5\n0,1\n", columns={"success": "ok", "return": "R"})
    assert found == Outcomes((1, 0), (2.5, 1.0), 1, 1.75)
    assert read(tmp_path, "return\n2\n1\n", columns={"success": ""}) == Outcomes((), (2.0, 1.0), None, 1.5)
    assert read(tmp_path, "success\n1\n1\n", columns={"return": ""}) == Outcomes((1, 1), (), 2, None)


@pytest.mark.parametrize(
    ("text", "suffix"),
    [
        ('{"episodes": 8, "successes": 6, "return": 1.5}', "json"),
        ('{"episodes": 8, "success_rate": 0.75, "return": 1.5}', "json"),
        ("episodes,successes,return\n8,6,1.5\n", "csv"),
    ],
)
def test_numbers_of_all_episodes_are_enough(tmp_path, text, suffix):
    assert read(tmp_path, text, 8, suffix) == Outcomes((), (), 6, 1.5)


@given(st.integers(1, 10**6).flatmap(lambda n: st.tuples(st.just(n), st.integers(0, n))))
def test_a_rate_in_single_precision_gives_the_number_of_successes(counts):
    import numpy as np

    episodes, successes = counts
    line = f"[INFO] Metrics: {{'success_rate': {float(np.float32(successes / episodes))}, 'n': {episodes}}}"
    evaluation = Evaluation(command="x", printed="Metrics: ", columns={"episodes": "n"})
    assert read_printed(["Metrics: {}", line, "bye"], evaluation, episodes, "it").successes == successes


@pytest.mark.parametrize(
    ("text", "suffix", "sentence"),
    [
        ("", "csv", "out.csv is empty; its first line must name its columns"),
        (
            "success\n1\n0\n",
            "csv",
            "out.csv: column 'return' is missing; it has success (trainer.evaluate.columns says",
        ),
        ("sucess,return\n1,1\n0,1\n", "csv", "column 'success' is missing; it has sucess, return"),
        ("success,return\n1,1\n", "csv", "out.csv has 1 episode; evaluate.episodes is 2, and so many there must be"),
        ("success,return\n1,1\n1,1\n1,1\n", "csv", "out.csv has 3 episodes; evaluate.episodes is 2"),
        ("success,return\n1,1\n0.5,1\n", "csv", "out.csv: episode 1: success is '0.5'; it must be 0 or 1"),
        ("success,return\n1,1\n,1\n", "csv", "episode 1: success is ''; it must be 0 or 1"),
        ("success,return\nnan,1\n0,1\n", "csv", "episode 0: success is 'nan'; it must be 0 or 1"),
        ("success,return\n1,nan\n0,1\n", "csv", "episode 0: return is 'nan'; it must be a finite number"),
        ("success,return\n1,1e999\n0,1\n", "csv", "episode 0: return is '1e999'; it must be a finite number"),
        ("success,return\n1\n0,1\n", "csv", "out.csv: line 2 has 1 fields, and the first line names 2"),
        ("{", "json", "out.json is not valid JSON"),
        ("3", "json", "out.json must hold a list with an object for each episode, or an object of lists or numbers"),
        ('[{"success": 1}, {"success": 0, "return": 1}]', "json", "episode 0: return is ''; it must be a finite"),
        ('{"success": [1, 0], "return": [1, NaN]}', "json", "episode 1: return is 'nan'; it must be a finite number"),
        ('{"success": [1, 0], "return": [1]}', "json", "out.json has 1 episode; evaluate.episodes is 2"),
        ('{"episodes": 3, "successes": 1}', "json", "out.json: episodes is 3; evaluate.episodes is 2"),
        ('{"episodes": 2, "successes": 3}', "json", "successes makes 3 successes; it must be a whole number from 0"),
        ('{"episodes": 2, "success_rate": 0.3}', "json", "success_rate makes 0.6 successes; it must be a whole"),
        ('{"episodes": 2}', "json", "with episodes it needs 'successes' or 'success_rate'; it has episodes"),
        ('{"episodes": 2, "successes": null}', "json", "successes is 'None'; it must be a finite number"),
    ],
)
def test_a_wrong_file_is_one_sentence_that_names_it(tmp_path, text, suffix, sentence):
    with pytest.raises(UserError) as error:
        read(tmp_path, text, suffix=suffix)
    assert sentence in str(error.value) and "\n" not in str(error.value)
    assert str(tmp_path / f"out.{suffix}") in str(error.value)


def test_what_is_not_printed_is_one_sentence():
    evaluation = Evaluation(command="x", printed="Metrics: ")
    with pytest.raises(UserError, match=r"it: no line has 'Metrics: ' in it \(trainer\.evaluate\.printed\)"):
        read_printed(["loading"], evaluation, 2, "it")
    with pytest.raises(UserError, match="it: what follows 'Metrics: ' is 'none yet'; it must be a JSON object"):
        read_printed(["Metrics: none yet"], evaluation, 2, "it")


def test_a_file_that_is_no_text_is_one_sentence(tmp_path):
    (tmp_path / "out.csv").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UserError, match=r"out\.csv cannot be read: it is not UTF-8"):
        read_file(tmp_path / "out.csv", PLAIN, 2)
