"""experiments/benchmark.yaml and files like it: what it makes of the experiments, and what is refused."""

from pathlib import Path

import pytest
import yaml

from manyseeds.config import load
from manyseeds.config.benchmark import load_benchmark
from manyseeds.core.errors import UserError
from manyseeds.core.layout import REPOSITORY

GIVEN = {"benchmark": "mine", "experiments": {"first": "a.yaml", "second": "b.yaml"}, "seeds": [4, 5]}
EXPERIMENT = {"experiment": "a", "task": "cart_pole", "seeds": [1], "train": {"max_iterations": 7}, "device": "cpu"}


def write(folder: Path, name: str = "bench.yaml", **fields: object) -> Path:
    (folder / name).write_text(yaml.safe_dump(fields, sort_keys=False), encoding="utf-8")
    return folder / name


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    write(tmp_path, "a.yaml", **EXPERIMENT)
    write(tmp_path, "b.yaml", **EXPERIMENT | {"task": "reach", "train": {"max_iterations": 9}})
    return tmp_path


def test_what_the_benchmark_says_wins_and_the_rest_is_each_experiments_own(folder: Path) -> None:
    write(
        folder, **GIVEN, evaluate={"episodes": 50}, variants={"a": None, "b": {"train": {"num_envs": 64}}}, baseline="a"
    )
    found = load_benchmark(["bench.yaml"], {"evaluate": {"seed": 7}})
    first, second = found.experiments.values()
    assert found.results == "results/mine" and [first.experiment, second.experiment] == ["mine/first", "mine/second"]
    assert [first.task, second.task] == ["cart_pole", "reach"]
    assert [own.variants[1].train.max_iterations for own in (first, second)] == [7, 9]
    for own in (first, second):
        assert own.seeds == (4, 5) and (own.evaluate.episodes, own.evaluate.seed) == (50, 7)
        assert [variant.name for variant in own.variants] == ["a", "b"] and own.baseline == "a"


def test_the_one_that_ships_has_all_our_tasks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(REPOSITORY)
    found = load_benchmark(["experiments/benchmark.yaml"])
    assert {"cart_pole", "reach", "lift_object"} <= {own.task for own in found.experiments.values()}
    text = Path("experiments/benchmark.yaml").read_text(encoding="utf-8")
    example = yaml.safe_load(text.split("Two variants:")[1].split("variants: {}")[0].replace("\n#", "\n"))
    found = load_benchmark(["experiments/benchmark.yaml"], example)
    assert all(len(own.variants) == 2 for own in found.experiments.values())


def test_files_of_the_checkout_are_found_from_elsewhere(folder: Path) -> None:
    write(folder, **GIVEN | {"experiments": {"first": "a.yaml", "demo": "experiments/demo.yaml"}})
    assert load_benchmark(["bench.yaml"]).experiments["demo"].task == "cart_pole"


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"benchmark": "Published"}, "benchmark is 'Published'; it must be a name"),
        (
            {"experiments": {"first": "a.yaml"}},
            "experiments is {'first': 'a.yaml'}; it must be a mapping of at least two",
        ),
        ({"experiments": ["a.yaml", "b.yaml"]}, "experiments is ['a.yaml', 'b.yaml']; it must be a mapping"),
        (
            {"experiments": {"a b": "a.yaml", "c": "b.yaml"}},
            "experiments has the key 'a b'; it must be a name of letters",
        ),
        ({"experiments": {"a": "a.yaml", "A": "b.yaml"}}, "experiments has a and A, which are one folder where case"),
        (
            {"experiments": {"a": "a.yaml", "b": "no.yaml"}},
            "experiments.b is 'no.yaml', which does not exist; it must be",
        ),
        ({"experiments": {"a": "a.yaml", "b": "bench.yaml"}}, "'bench.yaml', which is a benchmark and no experiment"),
        ({"seeds": None}, "seeds is empty; it must be a list of at least one seed"),
        ({"task": "reach"}, "task is set; it must be in the files that experiments names"),
        ({"agent": "agent.json"}, "to change it in every task, make a variant"),
        ({"sedes": [1]}, "sedes is not a known key (did you mean seeds?)"),
        ({"evaluate": {"episodes": 0}}, "evaluate.episodes is 0; it must be a whole number of at least 1"),
        ({"baseline": "gone"}, "baseline names the variant 'gone'; it must be default"),
    ],
)
def test_a_mistake_is_one_sentence_with_the_file_and_the_key(folder: Path, changes, sentence: str) -> None:
    write(folder, **GIVEN | changes)
    with pytest.raises(UserError) as error:
        load_benchmark(["bench.yaml"])
    assert sentence in str(error.value) and str(error.value).startswith("bench.yaml: ")
    assert len(str(error.value).splitlines()) == 1


def test_missing_seeds_and_a_name_that_appears_twice_are_said(folder: Path) -> None:
    write(folder, **{key: value for key, value in GIVEN.items() if key != "seeds"})
    with pytest.raises(UserError, match=r"^bench.yaml: seeds is missing$"):
        load_benchmark(["bench.yaml"])
    (folder / "bench.yaml").write_text("experiments:\n  a: a.yaml\n  a: b.yaml\n", encoding="utf-8")
    with pytest.raises(UserError, match="the key 'a' appears twice"):
        load_benchmark(["bench.yaml"])


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        (
            {"variants": {"wide": {}}},
            "b.yaml: variants is {'wide': {}}, and bench.yaml makes this experiment part of a",
        ),
        ({"labels": {"default": "ours"}}, "b.yaml: labels is"),
        ({"race": {"rungs": [1]}}, "b.yaml: race is set, and bench.yaml"),
        ({"gpus": "none"}, "bench.yaml: gpus is 'auto' for first and 'none' for second; it must be the same for all"),
        ({"task": "raech"}, "bench.yaml: second (b.yaml): task.name is 'raech' (did you mean reach?)"),
    ],
)
def test_a_mistake_in_an_experiment_names_its_file(folder: Path, fields, sentence: str) -> None:
    write(folder, **GIVEN)
    write(folder, "b.yaml", **EXPERIMENT | fields)
    with pytest.raises(UserError) as error:
        load_benchmark(["bench.yaml"])
    assert sentence in str(error.value)


def test_an_external_trainers_surroundings_must_be_those_of_all(folder: Path) -> None:
    trainer = {
        "name": "other",
        "command": "train {seed} {num_envs} {max_iterations}",
        "logs": "logs/*",
        "environment": {"WHERE": "here"},
    }
    write(folder, "b.yaml", **EXPERIMENT | {"trainer": trainer})
    write(folder, **GIVEN)
    with pytest.raises(UserError, match=r"trainer.environment differs between first and second"):
        load_benchmark(["bench.yaml"])


def test_where_an_experiment_is_wanted_a_benchmark_is_named_as_one(folder: Path) -> None:
    write(folder, **GIVEN)
    with pytest.raises(UserError, match=r"bench.yaml is a benchmark over tasks .*workflow/benchmark.smk"):
        load(["bench.yaml"])
