import copy
import importlib.util
import json
import math
import re
import subprocess
import sys

import jsonschema
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers.verbs import verb
from manyseeds.config import EvaluateSettings, TrainSettings, external, load, read_resolved, resolve
from manyseeds.config.experiment import Config, TrainChoice, from_dict
from manyseeds.config.fields import NO_IDENTITY
from manyseeds.config.loading import schema, schema_text
from manyseeds.config.settings import CurvesSettings
from manyseeds.config.yaml_file import parse_scalar
from manyseeds.core.description import Description
from manyseeds.core.errors import UserError
from manyseeds.core.layout import REPOSITORY, checkpoint_iterations
from manyseeds.core.simulators import SIMULATORS
from manyseeds.gpus import devices
from manyseeds.gpus.devices import Reading
from manyseeds.tasks import registry

train = verb("train")
main = verb("config")


GOOD = {
    "experiment": "tiny",
    "seeds": [1, 2],
    "train": {"num_envs": 16, "max_iterations": 5, "save_interval": 2},
    "agent": "generic_policy.json",
}


def changed(key: str, value: object) -> dict:
    """GOOD with one dotted key set."""
    fields = copy.deepcopy(GOOD)
    *parents, last = key.split(".")
    place = fields
    for parent in parents:
        place = place.setdefault(parent, {})
    place[last] = value
    return fields


RACE = {"variants": {"a": {}, "b": {}}, "race": {"rungs": [2]}}


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"trainer": "trainers/isaaclab.yaml"}, "race is set, and .* cannot continue a run from a rung"),
        ({"seeds": [1], "race": {"rungs": [2], "stop": "test"}}, "race.stop is test, and there is one seed"),
        ({"race": {"rungs": [3]}}, "race.rungs has 3; for variant a it must be a multiple of train.save_interval, 2"),
        ({"race": {"rungs": [2, 6]}}, "race.rungs has 6; .* less than train.max_iterations, 5"),
        ({"race": {"rungs": [2], "seed": 20260101}}, "race.seed is 20260101, which is evaluate.seed, too"),
        ({"evaluate": {"looks": [2, 4]}}, "race and evaluate.looks are both set"),
        ({"evaluate": {"earlier_episodes": 9}}, "race and evaluate.earlier_episodes are both set"),
        ({"evaluate": {"estimate": "mean_of_last_2"}}, "variant a leaves 1 checkpoints if it is stopped at the first"),
    ],
)
def test_a_race_that_cannot_be_run_is_refused(fields, words):
    resolve(GOOD | RACE)
    with pytest.raises(UserError, match=words):
        resolve(GOOD | RACE | fields)


def test_values_left_out_have_their_defaults():
    experiment = resolve(GOOD)
    assert (experiment.task, experiment.simulator, experiment.device) == ("lift_object", "mujoco", "cpu")
    assert experiment.evaluate.episodes == 1000
    assert [variant.name for variant in experiment.variants] == ["default"]
    assert experiment.variants[0].agent["algorithm"]["class_name"] == "PPO"


@pytest.mark.parametrize(
    ("iterations", "interval", "expected"),
    [(5, 2, [2, 4, 5]), (4, 2, [2, 4]), (4, 500, [4]), (1, 1, [1])],
)
def test_checkpoints_are_every_interval_and_the_last(iterations, interval, expected):
    assert checkpoint_iterations(iterations, interval) == expected


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("sedes", [1], ["sedes", "did you mean seeds?"]),
        ("train.num_env", 3, ["train.num_env ", "did you mean num_envs?"]),
        ("curves.band", "both", ["curves.band is 'both'", "pointwise or simultaneous"]),
        ("curves.allow_corrupt", "maybe", ["curves.allow_corrupt is 'maybe'", "true or false"]),
        ("train.num_envs", 0, ["train.num_envs is 0", "at least 1"]),
        ("container", "own.sif", ["container is 'own.sif'", "a mapping of environments"]),
        ("container.mujocco", "own.sif", ["container.mujocco", "did you mean mujoco?"]),
        ("container.mujoco", None, ["container.mujoco is empty", "a .sif file"]),
        ("container.mujoco", "my image.sif", ["container.mujoco is 'my image.sif'", "a .sif file", "without spaces"]),
        ("container.mujoco", "ftp://host/image", ["container.mujoco is 'ftp://host/image'", "docker://"]),
        ("container.analysis", "$(rm x)", ["container.analysis is '$(rm x)'", "a registry address"]),
        ("train.num_envs", "many", ["train.num_envs is 'many'", "a whole number"]),
        ("train.num_envs", True, ["train.num_envs is true", "a whole number"]),
        ("train.cuda.num_envs", 0, ["train.cuda.num_envs is 0", "at least 1"]),
        ("train.cuda.num_env", 4, ["train.cuda.num_env is not a known key", "did you mean num_envs?"]),
        ("train.num_envs", 1.5, ["train.num_envs is 1.5", "a whole number"]),
        ("train.max_iterations", -1, ["train.max_iterations is -1", "at least 1"]),
        ("evaluate.estimate", "best", ["evaluate.estimate is 'best'", "last or mean_of_last_3"]),
        ("evaluate.estimate", "mean_of_last_1", ["evaluate.estimate is 'mean_of_last_1'", "last or mean_of_last_3"]),
        ("evaluate.estimate", "mean_of_last_4", ["mean_of_last_4; variant default leaves 3 checkpoints"]),
        ("evaluate.factors", [1], ["evaluate.factors is [1]", "a mapping of numbers of the task to lists of values"]),
        ("evaluate.factors", {"object_z": 1}, ["evaluate.factors.object_z is 1", "a list of at least one value"]),
        ("evaluate.factors", {"object_z": []}, ["evaluate.factors.object_z is []", "a list of at least one value"]),
        ("evaluate.factors", {"object_z": [1, 2, 1.0]}, ["evaluate.factors.object_z has 1.0 more than once"]),
        ("evaluate.factors", {"object_z": list(range(50))}, ["evaluate.factors makes 51 conditions; at most 50"]),
        ("evaluate.failed_runs", "forget", ["evaluate.failed_runs is 'forget'", "leave_out or count_as_zero"]),
        ("evaluate.requirement", 95, ["evaluate.requirement is 95", "a success rate above 0, at most 1, or null"]),
        ("evaluate.smallest_difference", 0, ["evaluate.smallest_difference is 0", "a number above 0, or null"]),
        ("evaluate.looks", [5, 5], ["evaluate.looks is [5, 5]", "rising numbers of at least 2"]),
        ("evaluate.looks", [1, 5], ["evaluate.looks", "at least 2"]),
        ("race", {"rungs": []}, ["race.rungs is []", "a list of at least one iteration, rising"]),
        ("race", {"rungs": [4, 2]}, ["race.rungs is [4, 2]", "rising"]),
        ("race", {"rungs": [2], "keep": 1}, ["race.keep is 1", "greater than 0 and less than 1"]),
        ("race", {"rungs": [2], "stop": "early"}, ["race.stop is 'early'", "halving or test"]),
        ("race", {"rungs": [2]}, ["race is set, and there is one variant", "at least two"]),
        ("development.seeds", [3, 3], ["development.seeds has 3 more than once"]),
        ("development.seeds", [9, 2, 1], ["seeds has 1, 2, which development.seeds names", "cannot be reported"]),
        ("development.episodes", [20260101], ["evaluate.seed is 20260101, which development.episodes names"]),
        ("train.env_spacing", float("inf"), ["train.env_spacing is inf", "finite"]),
        ("train.threads", 0, ["train.threads is 0", "auto or a whole number"]),
        ("train.threads", "all", ["train.threads is 'all'", "auto or a whole number"]),
        ("train.logger", "wandb", ["train.logger is 'wandb'", "a list of wandb and mlflow, each once"]),
        ("train.logger", ["tensorboard"], ["train.logger[0] is 'tensorboard'", "the event file", "always written"]),
        ("train.logger", ["mlflow", "mlflow"], ["train.logger has 'mlflow' more than once"]),
        ("train", None, ["train is empty", "a mapping"]),
        ("seeds", [], ["seeds is []", "at least one seed"]),
        ("seeds", 3, ["seeds is 3", "a list"]),
        ("seeds", [1, -2], ["seeds[1] is -2", "at least 0"]),
        ("seeds", [1, 2**31], ["seeds[1]", "a whole number of at least 0 and at most 2147483647"]),
        ("seeds", [4, 5, 4], ["seeds has 4 more than once"]),
        ("experiment", "published", ["is 'published'", "name of letters", "that is not 'published'"]),
        ("experiment", "a/b/c", ["'a/b/c'", "name of letters", "or a folder and such a name"]),
        ("experiment", "published/b", ["'published/b'", "that is not 'published'"]),
        ("task", "lift", ["'lift'", "lift_object"]),
        ("simulator", "mujocco", ["'mujocco'", "did you mean mujoco?"]),
        ("trainer", "theirs", ["'theirs'", "manyseeds"]),
        ("device", "gpu", ["'gpu'", "cpu, cuda or auto"]),
        ("device", "cuda:1", ["'cuda:1'", "cpu, cuda or auto (gpus says which GPUs)"]),
        ("gpus", "all", ["gpus is 'all'", "auto, none or a list"]),
        ("gpus", 2, ["gpus is 2", "auto, none or a list"]),
        ("gpus", [], ["gpus is []", "auto, none or a list"]),
        ("gpus", [0, 0], ["gpus has 0 more than once"]),
        ("gpus", [-1], ["gpus[0] is -1", "at least 0"]),
        ("gpus", ["GPU-1"], ["gpus[0] is 'GPU-1'", "a whole number"]),
        ("jobs_per_gpu", 0, ["jobs_per_gpu is 0", "at least 1"]),
        ("gpus_per_run", 1.5, ["gpus_per_run is 1.5", "a whole number"]),
        ("agent", "nowhere.json", ["agent file nowhere.json cannot be read"]),
        ("agent", 3, ["agent is 3", "JSON file"]),
        ("evaluate.episodes", 0, ["evaluate.episodes is 0", "at least 1"]),
        ("evaluate.earlier_episodes", 0, ["evaluate.earlier_episodes is 0", "at least 1, or null"]),
        ("evaluate.overrides", 3, ["evaluate.overrides is 3", "a mapping"]),
        ("train.env_spacing", 0, ["train.env_spacing is 0", "greater than 0"]),
        ("task.file", "nowhere.py", ["task.file is 'nowhere.py'", "a Python file"]),
        ("task", {}, ["task.name is missing"]),
        ("variants", {"a/b": {}}, ["variants has the key 'a/b'", "name of letters"]),
        ("variants", {"a": {"evaluate": {}}}, ["variants.a.evaluate is not a known key"]),
        ("variants", {"a": {"train": {"num_envs": [1, 0]}}}, ["variants.a_num_envs=0", "train.num_envs is 0"]),
        ("variants", {"a": {"train": {"num_envs": []}}}, ["variants.a: train.num_envs is []", "at least one value"]),
        ("variants", {"a_num_envs=1": {}}, ["'a_num_envs=1'", "name of letters"]),
        ("labels", {"defualt": "PPO"}, ["labels names the variant 'defualt'", "did you mean default?"]),
        ("labels", {"default": "two\nlines"}, ["labels.default is 'two\\nlines'", "one line of at most 60 characters"]),
        ("labels", ["PPO"], ["labels is ['PPO']", "a mapping of variants"]),
        ("baseline", "PPO", ["baseline names the variant 'PPO'", "it must be default"]),
        ("baseline", 3, ["baseline is 3", "the name of a variant"]),
    ],
)
def test_a_wrong_value_is_one_sentence_that_names_key_value_and_what_is_allowed(key, value, words):
    with pytest.raises(UserError) as caught:
        resolve(changed(key, value), source="my.yaml")
    assert len(str(caught.value).splitlines()) == 1
    assert str(caught.value).startswith("my.yaml: ")
    for word in words:
        assert word in str(caught.value)


def test_a_run_cannot_want_more_gpus_than_are_listed():
    with pytest.raises(UserError, match=r"gpus_per_run is 2; it must be at most 1"):
        resolve(GOOD | {"gpus": [3], "gpus_per_run": 2})
    with pytest.raises(
        UserError, match=r"num_envs of variant default is \d+; it must be a multiple of gpus_per_run, 3"
    ):
        resolve(GOOD | {"device": "cuda", "gpus_per_run": 3})


def test_which_gpus_there_are_is_kept_for_the_jobs_and_repeats_no_run():
    plain, chosen = resolve(GOOD), resolve(GOOD | {"device": "cpu", "gpus": [0, 2], "jobs_per_gpu": 4})
    assert from_dict(json.loads(chosen.to_json())) == chosen
    assert chosen.settings("default", 1) == plain.settings("default", 1)


def test_all_checkpoints_that_the_estimate_averages_play_all_episodes():
    evaluate = {"episodes": 100, "earlier_episodes": 10, "estimate": "mean_of_last_2"}
    experiment = resolve(
        GOOD | {"evaluate": evaluate, "train": GOOD["train"] | {"max_iterations": 9, "save_interval": 2}}
    )
    [variant] = experiment.variants
    assert [experiment.evaluate.episodes_of(i, variant.checkpoints) for i in (2, 4, 6, 8, 9)] == [10, 10, 10, 100, 100]
    assert experiment.episodes_of(variant) == 230
    assert experiment.evaluate.model_copy(update={"episodes": 7}).episodes_of(2, variant.checkpoints) == 7


def test_every_mistake_of_a_file_is_named_at_once():
    with pytest.raises(UserError) as caught:
        resolve(changed("train.num_envs", 0) | {"seeds": [1, 1], "nonsense": 1})
    assert len(str(caught.value).splitlines()) == 3


@pytest.mark.parametrize("key", ["experiment", "seeds", "train"])
def test_a_missing_key_is_named(key):
    fields = {name: value for name, value in GOOD.items() if name != key}
    with pytest.raises(UserError, match=f"{key} is missing"):
        resolve(fields)


@pytest.mark.parametrize(
    ("key", "value"),
    [("experiment", "a" * 300), ("variants", {"a": {"task": {"overrides": {"action_scale": [[0.5] * 100, 0.1]}}}})],
)
def test_a_name_that_no_folder_can_have_is_refused(key, value):
    with pytest.raises(UserError, match="it must have at most 200 characters"):
        resolve(GOOD | {key: value})


def test_more_checkpoints_than_a_workflow_can_list_are_refused():
    with pytest.raises(UserError, match="leaves 50000000000000000 checkpoints a run; at most 100000 are allowed"):
        resolve(changed("train.max_iterations", 10**17))


def test_numbers_of_400_digits_are_refused_wherever_they_stand():
    for key in ("train.max_iterations", "seeds", "agent.overrides", "variants"):
        value = {"seeds": [10**400], "variants": {"a": {"task": {"overrides": {"x": [10**400]}}}}}.get(key, 10**400)
        fields = GOOD | {"agent": {"file": GOOD["agent"]}} if key == "agent.overrides" else GOOD
        value = {"a": 10**400} if key == "agent.overrides" else value
        *parents, last = key.split(".")
        fields = copy.deepcopy(fields)
        place = fields
        for parent in parents:
            place = place[parent]
        place[last] = value
        with pytest.raises(UserError, match=r"is 1000000.*\.\.\.; it must be less than 9223372036854775808"):
            resolve(fields)


@pytest.mark.parametrize(
    ("variants", "sentence"),
    [
        ({"config.json": {}}, "variants has config.json, which is the name of a file or folder of the results"),
        ({"figures": {}}, "variants has figures, which is the name of a file"),
        ({"seed_1": {}}, "variants has seed_1, which is the name of a file or folder"),
        ({"Aggregate.LOG": {}}, "variants has Aggregate.LOG, which is the name of a file"),
        ({"a": {}, "A": {}}, "variants has a and A, which are one folder where case is ignored"),
        (
            {"a": {"task": {"overrides": {"x": list(range(899)), "y": list(range(899))}}}},
            "variants has 808,201 variants, 808,201 of them in the grid of a; at most 1,000 are allowed",
        ),
        (
            {"a": {"task": {"overrides": {f"x{i}": list(range(10)) for i in range(12)}}}},
            "variants has 1,000,000,000,000 variants",
        ),
        (
            {"a": {"task": {"overrides": {"x": list(range(900))}}}} | {f"b{i}": None for i in range(101)},
            "variants has 1,001 variants, 900 of them in the grid of a",
        ),
    ],
)
def test_variants_that_no_folder_or_plan_can_hold_are_refused_before_they_are_spelled_out(variants, sentence):
    with pytest.raises(UserError, match=re.escape(f"my.yaml: {sentence}")):
        resolve(GOOD | {"variants": variants}, "my.yaml")


def test_more_runs_than_can_be_planned_are_refused():
    variants = {f"v{i}": None for i in range(1000)}
    with pytest.raises(UserError, match="1,000 variants x 21 seeds are 21,000 runs; at most 20,000 are allowed"):
        resolve(GOOD | {"variants": variants, "seeds": list(range(21))})


def test_a_trainers_file_that_is_not_there_is_said_to_be_missing():
    with pytest.raises(UserError, match=r"trainer is 'no\.yaml', which does not exist; it must be manyseeds, the path"):
        resolve(GOOD | {"trainer": "no.yaml"})


def test_a_task_without_an_agent_file_needs_one_in_the_config(tmp_path):
    (file := tmp_path / "my_task.py").write_text("")
    fields = {key: value for key, value in GOOD.items() if key != "agent"}
    with pytest.raises(UserError, match=r"agent is missing.*set agent, for example to generic_policy\.json"):
        resolve(fields | {"task": {"file": str(file)}})


def test_a_folder_is_no_task_file(tmp_path):
    with pytest.raises(UserError, match="which is a folder; it must be a Python file"):
        resolve(GOOD | {"task": {"file": str(tmp_path)}})


LAUGHS = b"".join(b"%c: &%c [%s]\n" % (c, c, b", ".join([b"*%c" % (c - 1)] * 10)) for c in range(ord("b"), ord("k")))
"""Each line stands for ten of the line before: 10^10 values in 500 bytes."""


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"a: [", "not valid YAML"),
        (b"seeds: [1]\nseeds: [2]\n", "the key 'seeds' appears twice (line 2, column 1)"),
        (b"\xff\xfe", "not UTF-8"),
        (b"", "must hold keys and values"),
        (b"- 1\n", "must hold keys and values"),
        (b"a: " + b"[" * 5000, "nested too deeply"),
        (b"experiment: &a [*a]\n", "not valid YAML: an alias stands within its own anchor"),
        (b"a: &a [1, 1, 1, 1, 1, 1, 1, 1, 1, 1]\n" + LAUGHS, "with its aliases it holds more than 200,000 values"),
        (b"seeds: [010]\n", "010 is a number to some programs and not to others; quote it"),
        (b"a: 12:30\n", "12:30 is a number to some programs"),
        (b"a: 1_000\n", "1_000 is a number to some programs"),
        (b"a: !!binary aGk=\n", "holds a value of the type bytes"),
        (b"a: !!timestamp 2026-01-01\n", "holds a value of the type date"),
        (b"a: !!set {b}\n", "holds a value of the type set"),
        (b"a: !!python/object/apply:os.getcwd []\n", "not valid YAML: could not determine a constructor"),
        (b"? [a, b]\n: 1\n", "a key must be a text"),
        (b"a: " + b"9" * 5000, "not valid YAML: Exceeds the limit"),
        (b"a: b\n" * 2_000_001, "is too large; it must have at most 10,000,000 bytes"),
    ],
)
def test_an_unreadable_file_is_one_sentence(tmp_path, capsys, content, words):
    path = tmp_path / "bad.yaml"
    path.write_bytes(content)
    assert main([str(path)]) == 2
    error = capsys.readouterr().err
    assert words in error and len(error.splitlines()) == 1


def test_a_missing_file_and_a_folder_are_one_sentence(tmp_path, capsys):
    assert main([str(tmp_path / "none.yaml")]) == 2
    assert "none.yaml cannot be read: No such file" in capsys.readouterr().err
    assert main([str(tmp_path)]) == 2
    assert "cannot be read: Is a directory" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("{", "is not valid JSON"),
        ("[]", "must hold a JSON object"),
        ('{"algorithm": {"gama": 0.9}, "policy": {}}', "did you mean 'gamma'?"),
    ],
)
def test_a_malformed_agent_file_is_one_sentence_before_anything_runs(tmp_path, capsys, content, words):
    (tmp_path / "agent.json").write_text(content)
    path = tmp_path / "config.yaml"
    path.write_text(yaml.safe_dump(GOOD | {"agent": str(tmp_path / "agent.json")}))
    assert main([str(path)]) == 2
    error = capsys.readouterr().err
    assert words in error and len(error.splitlines()) == 1


def test_unknown_agent_and_task_values_of_a_variant_are_named(tmp_path, capsys):
    path = tmp_path / "config.yaml"
    variants = {
        "a": {"agent": {"overrides": {"algorithm.gamma": 2}}},
        "b": {"task": {"overrides": {"nonsense": 1}}},
    }
    path.write_text(yaml.safe_dump(GOOD | {"variants": variants}))
    assert main([str(path)]) == 2
    first, second = capsys.readouterr().err.splitlines()
    assert "variant a" in first and "algorithm.gamma is 2" in first
    assert "variant b" in second and "nonsense" in second


def test_a_number_in_scientific_notation_without_a_point_is_a_number(tmp_path):
    path = tmp_path / "config.yaml"
    path.write_text(yaml.safe_dump(GOOD).replace("num_envs: 16", "num_envs: 16\n  env_spacing: 1e-1"))
    assert load([path]).variants[0].train.env_spacing == 0.1


@pytest.mark.parametrize(
    "name", ["on", "off", "yes", "no", "012", "1e-3", "0.001", "2026-01-01", "true", "null", "0x1F"]
)
def test_a_name_is_kept_as_it_is_written(tmp_path, name):
    path = tmp_path / "config.yaml"
    path.write_text(f"{yaml.safe_dump(GOOD)}variants: {{{name}: {{}}, other: {{}}}}\n")
    assert [variant.name for variant in load([path]).variants] == [name, "other"]


@pytest.mark.parametrize("name", ["1_000:2", "12:30", "a b", '"a\\n"', '"a\\0"'])
def test_a_name_that_cannot_be_kept_is_refused(tmp_path, name):
    path = tmp_path / "config.yaml"
    path.write_text(f"{yaml.safe_dump(GOOD)}variants:\n  {name}: {{}}\n")
    with pytest.raises(UserError, match=r"variants has the key .*; it must be a name of letters"):
        load([path])


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("12", 12), ("-3", -3), ("0o17", 15), ("0x1F", 31), ("1e3", 1000.0), ("1.5", 1.5), (".5", 0.5), ("1.", 1.0),
        ("true", True), ("False", False), ("off", "off"), ("yes", "yes"), ("~", "~"), ("2026-01-01", "2026-01-01"),
        ("[1]", "[1]"), ("010", "010"), ("-.inf", -math.inf), ("1e-3", 0.001), ("a: [", "a: ["),
    ],
)  # fmt: skip
def test_a_scalar_is_what_yaml_1_2_makes_of_it(text, value):
    assert (parse_scalar(text), type(parse_scalar(text))) == (value, type(value))


def test_a_list_makes_a_grid_named_by_its_values():
    experiment = resolve(
        GOOD
        | {
            "variants": {
                "base": None,
                "g": {
                    "agent": {"overrides": {"algorithm": {"gamma": [0.9, 0.99]}}},
                    "train": {"num_envs": [8, 16]},
                },
                "wide": {"agent": {"overrides": {"policy.actor_hidden_dims": [[64, 64]]}}},
            }
        }
    )
    assert [variant.name for variant in experiment.variants] == [
        "base",
        "g_num_envs=8_gamma=0.9",
        "g_num_envs=8_gamma=0.99",
        "g_num_envs=16_gamma=0.9",
        "g_num_envs=16_gamma=0.99",
        "wide",
    ]
    assert experiment.variant("g_num_envs=8_gamma=0.9").agent["algorithm"]["gamma"] == 0.9
    assert experiment.variant("g_num_envs=8_gamma=0.9").train.num_envs == 8
    assert experiment.variant("wide").agent["policy"]["actor_hidden_dims"] == [64, 64]
    assert experiment.variant("base").agent["policy"]["actor_hidden_dims"] == [256, 256, 256]


def test_a_list_that_was_meant_as_a_value_is_explained():
    variants = {"wide": {"agent": {"overrides": {"policy.actor_hidden_dims": [64, 32]}}}}
    with pytest.raises(UserError, match=re.escape("it must be a list")):
        resolve(GOOD | {"variants": variants})


def test_a_variants_own_agent_file_comes_without_the_overrides_meant_for_another(tmp_path):
    other = tmp_path / "other.json"
    other.write_text('{"algorithm": {"gamma": 0.5}, "policy": {}}')
    agent = {"file": GOOD["agent"], "overrides": {"algorithm.gamma": 0.7}}
    experiment = resolve(GOOD | {"agent": agent, "variants": {"a": {}, "b": {"agent": str(other)}}})
    assert experiment.variant("a").agent["algorithm"]["gamma"] == 0.7
    assert experiment.variant("b").agent == {"algorithm": {"gamma": 0.5}, "policy": {}}


def test_the_resolved_experiment_is_read_back_as_it_was_written(tmp_path):
    experiment = resolve(GOOD | {"variants": {"a": {}, "b": {"train": {"num_envs": 8}}}})
    path = tmp_path / "config.json"
    path.write_text(experiment.to_json())
    assert read_resolved(path) == experiment


def test_labels_and_baseline_of_a_grid_reach_the_tables_and_figures():
    """Grid variants have long names; their labels are checked against the names that the grid makes."""
    grid = {"variants": {"net": {"train": {"num_envs": [8, 16]}}}}
    names = {"net_num_envs=8": "few", "net_num_envs=16": "many"}
    resolved = resolve(GOOD | grid | {"labels": names, "baseline": "net_num_envs=8"}).to_dict()
    assert resolved["labels"] == names and resolved["baseline"] == "net_num_envs=8"
    with pytest.raises(UserError, match="call two variants 'few'"):
        resolve(GOOD | grid | {"labels": dict.fromkeys(names, "few")})


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"schema": 2}', '{"schema": 1}'])
def test_a_damaged_resolved_experiment_is_one_sentence(tmp_path, content):
    path = tmp_path / "config.json"
    path.write_text(content)
    with pytest.raises(UserError, match=r"config\.json"):
        read_resolved(path)


def test_what_changes_no_policy_is_not_among_a_runs_settings():
    """Otherwise a smaller state_interval or fewer threads would train everything again."""
    base = resolve(GOOD).settings("default", 1)
    for key, value in (
        ("train.threads", 2),
        ("train.state_interval", 99),
        ("train.env_spacing", 2.0),
        ("evaluate.episodes", 7),
        ("curves.band", "simultaneous"),
        ("labels", {"default": "PPO"}),
        ("baseline", "default"),
    ):
        assert resolve(changed(key, value)).settings("default", 1) == base
    assert resolve(changed("train.num_envs", 17)).settings("default", 1) != base


def test_the_command_prints_the_resolved_experiment_as_json(capsys):
    assert main([str(REPOSITORY / "config.yaml")]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed["seeds"] == [1, 2, 3] and printed["variants"]["default"]["train"]["num_envs"] == 512


def test_config_yaml_explains_every_key_that_the_schema_knows():
    text = (REPOSITORY / "config.yaml").read_text()
    assert text.startswith("# yaml-language-server: $schema=workflow/schemas/config.schema.json\n")
    sections = (Config, TrainChoice, EvaluateSettings, CurvesSettings)
    keys = [key for section in sections for key in section.model_fields]
    for key in keys:
        assert re.search(rf"^ *{key}:", text, re.MULTILINE), f"{key} is not in config.yaml"


def test_the_schema_for_editors_is_that_of_the_model():
    """`manyseeds config --schema > workflow/schemas/config.schema.json` writes it."""
    assert (REPOSITORY / "workflow" / "schemas" / "config.schema.json").read_text() == schema_text()


def test_the_schema_accepts_what_is_accepted_and_refuses_what_is_refused():
    check = jsonschema.Draft202012Validator(schema()).is_valid
    longhand = {"task": {"file": "my_task.py"}, "agent": {"file": "a.json"}, "trainer": {"file": "trainers/mine.yaml"}}
    assert check(GOOD) and check(GOOD | longhand) and check(GOOD | {"gpus": [0, 1], "trainer": "trainers/mine.yaml"})
    assert check(yaml.safe_load((REPOSITORY / "config.yaml").read_text()))
    for key, value in (("train.num_env", 3), ("gpus", [0, 0]), ("experiment", "published"), ("seeds", []),
                       ("simulator", "bullet"), ("train.threads", "all"), ("trainer", {"name": "a/b"})):  # fmt: skip
        assert not check(changed(key, value)), key
    assert schema()["properties"]["simulator"]["enum"] == ["auto", *SIMULATORS]


@pytest.mark.parametrize("key", TrainSettings.model_fields)
def test_a_key_below_train_is_one_field_from_which_everything_else_is_made(key, capsys):
    field = TrainSettings.model_fields[key]
    assert schema()["$defs"]["TrainSettings"]["properties"][key]["description"] == field.description
    with pytest.raises(SystemExit):
        train(["--help"])
    assert f"--{key} " in capsys.readouterr().out
    assert key in (*external.VALUES, *external.GROUPS)
    settings = resolve(GOOD).settings("default", 1)
    assert (key in settings["train"]) != (NO_IDENTITY in field.metadata)


def test_the_agent_of_a_task_is_the_default_and_single_values_can_be_laid_over_it(tmp_path):
    fields = {key: value for key, value in GOOD.items() if key != "agent"}
    own = json.loads(registry.agent_file("lift_object").read_text())
    assert resolve(fields).variants[0].agent == own
    path = tmp_path / "config.yaml"
    path.write_text(yaml.safe_dump(fields))
    changed = load([path], {"agent": {"overrides": {"algorithm.gamma": 0.5}}}).variants[0].agent
    assert changed == own | {"algorithm": own["algorithm"] | {"gamma": 0.5}}


def test_values_of_a_later_file_are_laid_over_a_shorthand(tmp_path):
    path = tmp_path / "config.yaml"
    path.write_text(yaml.safe_dump(GOOD | {"task": "lift_object"}))
    experiment = load([path], {"agent": {"overrides": {"algorithm.gamma": 0.5}}, "task": {"overrides": {"a": 1}}})
    assert experiment.variants[0].agent["algorithm"]["gamma"] == 0.5
    assert experiment.variants[0].agent_file == "generic_policy.json"
    assert (experiment.task, experiment.variants[0].task_cfg) == ("lift_object", {"a": 1})


def test_the_content_of_a_tasks_file_and_what_to_do_when_it_changes_are_no_settings_of_a_run(tmp_path):
    path = tmp_path / "mine.py"
    (tmp_path / "agent.json").write_text("{}")
    found = []
    for content, changed_code in (("a = 1", "stop"), ("a = 2", "accept")):
        path.write_text(content)
        fields = {"task": str(path), "agent": "agent.json", "changed_code": changed_code}
        found.append(resolve(GOOD | fields).settings("default", 1))
    assert found[0] == found[1] and found[0]["task"] == str(path)


def test_the_description_of_the_outcomes_is_in_config_json():
    columns = Description.from_dict(resolve(GOOD).to_dict()["description"]).columns
    assert columns == registry.describe("lift_object").columns


def test_config_is_read_without_torch():
    code = "import sys; from manyseeds.config import load; load(['config.yaml']); print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=REPOSITORY, capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


def gpu_machine(monkeypatch, number):
    """Let this machine have so many GPUs."""
    readings = [Reading(str(i), f"GPU-{i}", 0.0) for i in range(number)]
    monkeypatch.setattr(devices, "read", lambda: readings)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)


@pytest.mark.parametrize(
    ("device", "simulator", "with_gpu", "without"),
    [
        ("auto", "auto", ("cuda", "mujoco_warp"), ("cpu", "mujoco")),
        ("auto", "mujoco_warp", ("cuda", "mujoco_warp"), ("cpu", "mujoco_warp")),
        ("auto", "mujoco", ("cpu", "mujoco"), ("cpu", "mujoco")),
        ("cpu", "auto", ("cpu", "mujoco"), ("cpu", "mujoco")),
        ("cuda", "auto", ("cuda", "mujoco_warp"), ("cuda", "mujoco_warp")),
    ],
)
def test_auto_is_the_gpus_simulator_where_there_is_a_gpu(tmp_path, monkeypatch, device, simulator, with_gpu, without):
    monkeypatch.chdir(tmp_path)
    for number, expected in ((1, with_gpu), (0, without)):
        gpu_machine(monkeypatch, number)
        experiment = resolve(changed("device", device) | {"simulator": simulator})
        assert (experiment.device, experiment.simulator) == expected


def test_values_for_gpus_replace_the_others_on_a_gpu_only(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    plain = GOOD | {"device": "auto", "train": {"num_envs": 64, "max_iterations": 9, "threads": 1}}
    fields = plain | {"train": plain["train"] | {"cuda": {"num_envs": 4096, "max_iterations": 3}}}
    gpu_machine(monkeypatch, 0)
    assert resolve(fields) == resolve(plain), "on a CPU nothing changes"
    gpu_machine(monkeypatch, 1)
    train = resolve(fields).variants[0].train
    assert (train.num_envs, train.max_iterations, train.threads) == (4096, 3, 1)
    few = resolve(fields | {"variants": {"few": {"train": {"num_envs": 128}}}}).variants[0].train
    assert (few.num_envs, few.max_iterations) == (128, 3), "a variant has the last word"
    assert resolve(fields | {"device": "cpu"}).variants[0].train.num_envs == 64


def test_the_default_experiment_trains_on_a_gpu_where_there_is_one(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    found = {}
    for number in (0, 2):
        gpu_machine(monkeypatch, number)
        experiment = load([REPOSITORY / "config.yaml"])
        train = experiment.variants[0].train
        found[number] = (experiment.device, experiment.simulator, train.num_envs, train.max_iterations)
    assert found == {0: ("cpu", "mujoco", 512, 350), 2: ("cuda", "mujoco_warp", 4096, 250)}


def test_a_device_on_which_the_simulator_does_not_run_is_refused():
    words = "config: device is cuda, and simulator mujoco runs on cpu only; leave one of the two out"
    with pytest.raises(UserError, match=re.escape(words)):
        resolve(changed("device", "cuda") | {"simulator": "mujoco"})


def test_an_experiment_that_has_begun_stays_on_its_device_whatever_machine_reads_it(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    fields = changed("device", "auto") | {"simulator": "auto"}
    gpu_machine(monkeypatch, 1)
    begun = resolve(fields)
    recorded = tmp_path / "results" / begun.experiment / "config.json"
    recorded.parent.mkdir(parents=True)
    recorded.write_text(begun.to_json())
    gpu_machine(monkeypatch, 0)
    assert resolve(fields) == begun


def test_the_content_of_the_checkpoint_to_start_from_decides_the_result_and_not_its_place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def settings(path):
        return resolve(changed("train.init_from", path)).settings("default", 1)

    for name, content in (("a.pt", b"1"), ("b.pt", b"1"), ("c.pt", b"2")):
        (tmp_path / name).write_bytes(content)
    assert settings("a.pt") == settings("b.pt") != settings("c.pt")
    assert settings("a.pt") != resolve(GOOD).settings("default", 1)
    resolved = resolve(changed("train.init_from", "a.pt"))
    assert from_dict(json.loads(resolved.to_json())) == resolved
    with pytest.raises(UserError, match=r"train\.init_from is 'nowhere\.pt', which cannot be read"):
        settings("nowhere.pt")


def test_a_logger_whose_package_is_missing_is_refused_before_anything_starts(tmp_path, monkeypatch, capsys):
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *more: None if name == "mlflow" else find(name, *more)
    )
    path = tmp_path / "config.yaml"
    path.write_text(yaml.safe_dump(changed("train.logger", ["wandb", "mlflow"])))
    assert main([str(path)]) == 2
    assert capsys.readouterr().err == (
        f"error: {path}: variant default: train.logger is wandb, mlflow, but the package mlflow is not installed; pip"
        " install 'manyseeds[loggers]' installs it\n"
    )


def test_a_checkpoint_that_does_not_fit_is_refused_before_anything_starts(tmp_path, capsys):
    (tmp_path / "a.pt").write_bytes(b"")
    path = tmp_path / "config.yaml"
    path.write_text(yaml.safe_dump(changed("train.init_from", str(tmp_path / "a.pt"))))
    assert main([str(path)]) == 2
    error = capsys.readouterr().err
    assert f"variant default: train.init_from {tmp_path}/a.pt is damaged or not a checkpoint" in error
    assert error.count("\n") == 1


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
paths = st.sampled_from(
    [
        *GOOD,
        "task",
        "device",
        "variants",
        "evaluate",
        "evaluate.factors",
        "evaluate.factors.object_z",
        "curves",
        "curves.band",
        "labels",
        "labels.default",
        "baseline",
        "train.num_envs",
        "train.threads",
        "agent.overrides",
        "variants.a",
        "variants.a.agent",
        "variants.a.agent.overrides",
        "variants.a.task.overrides",
        "variants.a.train.num_envs",
    ]
)


@settings(max_examples=200)
@given(paths, anything)
def test_no_value_at_any_key_gives_a_traceback(path, value):
    fields = copy.deepcopy(GOOD) | {"agent": {"file": GOOD["agent"]}}
    *parents, last = path.split(".")
    place = fields
    for parent in parents:
        place = place.setdefault(parent, {})
    place[last] = value
    try:
        resolve(fields)
    except UserError as error:
        assert str(error)


@settings(max_examples=100)
@given(text=st.text(alphabet="abc:-[]{}&*!|>'\"%@#\n\t 0123.e", max_size=40))
def test_no_text_in_the_file_gives_a_traceback(tmp_path_factory, text):
    path = tmp_path_factory.getbasetemp() / "any.yaml"
    path.write_text(text)
    try:
        load([path])
    except UserError as error:
        assert str(error)


def test_the_published_batch_is_apart_from_all_earlier_seeds_and_episodes():
    files = [REPOSITORY / "config.yaml", REPOSITORY / "experiments" / "held_out.yaml"]
    experiment = load(files)
    published = json.loads((REPOSITORY / "results" / "published" / "lift_object" / "config.json").read_text())
    assert published["seeds"] == list(experiment.seeds)
    assert published["evaluate"]["seed"] == experiment.evaluate.seed
    assert published["development"] == experiment.development.model_dump(mode="json")
    # The batches that passed, and those of the quicker arm in docs/physics.md, which were not published.
    assert set(range(92, 132)) <= set(experiment.development.seeds)
    assert experiment.development.episodes == (20260101, 20260202, 20260303, 20260404)
    with pytest.raises(UserError, match=r"seeds has 92, which development\.seeds names"):
        load(files, {"seeds": [92, 200]})


def test_the_schema_says_limits_in_json_schemas_own_words():
    """Words of its own, such as pydantic's `ge`, are ignored by editors: -1 seeds would look right."""
    text = schema_text()
    assert '"minimum"' in text and not re.search(r'"(ge|gt|le|lt)":', text)
    check = jsonschema.Draft202012Validator(schema()).is_valid
    assert not check(changed("evaluate.episodes", 0)) and not check(changed("development.seeds", [-1]))
