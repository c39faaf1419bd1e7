"""A check that passed is not made again, unless anything that decides it is other than it was."""

import os
import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest

from helpers import file_task
from manyseeds.config import resolve
from manyseeds.core.errors import UserError
from manyseeds.core.layout import PACKAGE
from manyseeds.workflow import content, passed, room

FIELDS = {
    "experiment": "tiny",
    "seeds": [1],
    "train": {"num_envs": 16, "max_iterations": 4, "save_interval": 2},
    "agent": {"file": "generic_policy.json", "overrides": {"policy.actor_hidden_dims": [8]}},
    "evaluate": {"episodes": 8},
}


def experiment(**changes):
    return resolve(FIELDS | changes, "my.yaml")


@pytest.fixture
def made(monkeypatch, tmp_path):
    """The experiments for which the check was made; the cache is empty at first."""
    examined, examine = [], content.examine

    def noted(experiment, *arguments):
        examined.append(experiment)
        return examine(experiment, *arguments)

    monkeypatch.setattr(passed, "user_cache", lambda: tmp_path)
    monkeypatch.setattr(content, "examine", noted)
    return examined


def test_a_check_that_passed_is_made_once_and_finds_the_same(made):
    first = content.checked(experiment(), "my.yaml")
    assert content.checked(experiment(), "my.yaml") == first
    assert content.checked(experiment(seeds=[2, 3]), "my.yaml").description == first.description
    assert content.checked(experiment(experiment="other"), "my.yaml").description == first.description
    assert len(made) == 1


def test_a_check_that_failed_is_made_again(made):
    wrong = experiment(agent={"file": "generic_policy.json", "overrides": {"policy.activation": "relu"}})
    for _ in range(2):
        with pytest.raises(UserError, match="activation"):
            content.checked(wrong, "my.yaml")
    assert len(made) == 2


def test_memory_and_disk_are_compared_every_time(made, monkeypatch):
    content.checked(experiment(), "my.yaml")
    with monkeypatch.context() as full:
        full.setattr(room.shutil, "disk_usage", lambda folder: SimpleNamespace(free=10**6))
        with pytest.raises(UserError, match="GB are free here"):
            content.checked(experiment(), "my.yaml")
    # A machine of less memory is another key; a cluster's limit is not.
    monkeypatch.setattr(room, "memory_mb", lambda num_envs: 1)
    with pytest.raises(UserError, match="a job asks the cluster for 1 MB"):
        content.checked(experiment(), "my.yaml", cluster=True)
    assert len(made) == 1


@pytest.mark.parametrize("damage", ["", "{}", "[1]", '{"description": {}, "needs": {"default": 1}}'])
def test_a_damaged_file_is_no_passed_check(made, tmp_path, damage):
    content.checked(experiment(), "my.yaml")
    [file] = tmp_path.rglob("*.json")
    file.write_text(damage)
    content.checked(experiment(), "my.yaml")
    assert len(made) == 2


def test_a_check_during_which_the_code_was_edited_is_not_kept(made, monkeypatch):
    keys = iter(["before", "after"])
    monkeypatch.setattr(passed, "key", lambda *arguments: next(keys))
    content.checked(experiment(), "my.yaml")
    assert passed.recall("before") is None and passed.recall("after") is None


def test_the_oldest_checks_are_removed(made, tmp_path, monkeypatch):
    found = content.examine(experiment(), "my.yaml")
    monkeypatch.setattr(passed, "KEPT", 3)
    for name in "abcde":
        passed.keep(name, found)
    assert sorted(path.stem for path in tmp_path.rglob("*.json")) == ["c", "d", "e"]


def key(**changes):
    return passed.key(experiment(**changes), os.environ)


def test_every_value_that_a_check_reads_changes_the_key(tmp_path):
    agent = {"file": "generic_policy.json", "overrides": {"policy.actor_hidden_dims": [8], "algorithm.gamma": 0.9}}
    keys = [
        key(),
        key(agent=agent),
        key(train=FIELDS["train"] | {"num_envs": 17}),
        key(task="reach"),
        key(task={"name": "lift_object", "overrides": {"decimation": 3}}),
        key(evaluate={"episodes": 8, "overrides": {"episode_length_s": 1.0}}),
        key(variants={"a": None}),
    ]
    for content_of_checkpoint in (b"one", b"two"):
        (tmp_path / "model_1.pt").write_bytes(content_of_checkpoint)
        keys.append(key(train=FIELDS["train"] | {"init_from": str(tmp_path / "model_1.pt")}))
    assert None not in keys and len(set(keys)) == len(keys)
    assert key() == keys[0]


@pytest.mark.parametrize("file", ["learning/ppo.py", "tasks/lift_object/panda.xml", "simulators/new.py"])
def test_an_edit_of_the_package_changes_the_key(tmp_path, monkeypatch, file):
    copy = tmp_path / "manyseeds"
    shutil.copytree(PACKAGE, copy, ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(passed, "PACKAGE", copy)
    before = key()
    with (copy / file).open("a") as stream:
        stream.write(" ")
    assert key() != before


def test_an_edit_of_rsl_rl_changes_the_key(tmp_path, monkeypatch):
    (tmp_path / "rsl_rl").mkdir()
    (tmp_path / "rsl_rl" / "__init__.py").write_text("")
    before = key()
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(passed.sys.modules, "rsl_rl", raising=False)
    after = key()
    (tmp_path / "rsl_rl" / "__init__.py").write_text("1")
    assert len({before, after, key()}) == 3


def test_another_version_or_installation_of_a_package_changes_the_key(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    keys = [key()]
    for name in ("torch-1.0.dist-info", "torch-1.1.dist-info"):
        (tmp_path / name).mkdir()
        keys.append(key())
        shutil.rmtree(tmp_path / name)
    assert len(set(keys)) == 3


def test_variables_of_the_trainers_packages_and_another_memory_change_the_key(monkeypatch):
    keys = [key()]
    monkeypatch.setenv("UNRELATED", "1")
    assert key() == keys[0]
    monkeypatch.setenv("NUMBA_DISABLE_JIT", "1")
    keys.append(key())
    monkeypatch.setattr(passed, "machines_mb", lambda: 1)
    keys.append(key())
    assert len(set(keys)) == 3


def test_code_of_others_is_checked_every_time(tmp_path):
    (tmp_path / "my_task.py").write_text(Path(file_task.__file__).read_text())
    assert key(task=str(tmp_path / "my_task.py"), agent={"file": "generic_policy.json"}) is None
    overrides = {"algorithm.class_name": "my_package:MyPPO"}
    assert key(agent={"file": "generic_policy.json", "overrides": overrides}) is None
