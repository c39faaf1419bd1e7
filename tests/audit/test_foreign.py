"""Nothing of somebody else's results folder, checkpoint or dump is run; see docs/security.md."""

import hashlib
import json
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
import yaml

from helpers.training_runs import agent, train
from manyseeds.cli import main
from manyseeds.learning import foreign
from manyseeds.runs.state import read_sealed, write_sealed

VERBS = {
    "evaluate": ["--run_dir", "run", "--output", "e.csv", "--episodes", "2"],
    "evaluate-factors": ["--run_dir", "run", "--output", "f.csv", "--factors", '{"success_distance": [0.1]}'],
    "film": ["run/model_2.pt", "--output", "film.gif"],
    "export": ["run/model_2.pt", "--output", "policy.onnx"],
    "verify": ["run", "--repeat", "1", "--threads", "1"],
    "replay": ["run/diverged_2.pt", "--threads", "1"],
}


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A run with a checkpoint, a record and a dump."""
    folder = tmp_path_factory.mktemp("foreign") / "run"
    assert train(folder, max_iterations=2) == 0
    diverged = folder.with_name("diverged")
    assert train(diverged, agent(schedule="fixed", learning_rate=100)) == 1
    shutil.copy(diverged / "diverged_2.pt", folder)
    return folder


@pytest.fixture
def received(trained, tmp_path):
    """A copy of the run, with a module in it and in the working directory that leaves a mark when it is imported."""
    shutil.copytree(trained, tmp_path / "run")
    code = "from pathlib import Path\nPath('/MARK').touch()\nfrom rsl_rl.models import MLPModel as X\n"
    for folder in (tmp_path, tmp_path / "run"):
        (folder / "helper.py").write_text(code.replace("/MARK", str(tmp_path / "ran")))
    return tmp_path


def name_class(received: Path, name: str) -> None:
    """Let every file of the run name a class."""
    path = received / "run/params/agent.yaml"
    content = yaml.safe_load(path.read_text())
    content["actor"]["class_name"] = name
    path.write_text(yaml.safe_dump(content))
    path = received / "run/run.json"
    record = json.loads(path.read_text())
    record["config"]["agent"] = {"algorithm": {}, "actor": {"class_name": name}, "critic": {}}
    path.write_text(json.dumps(record))
    path = received / "run/diverged_2.pt"
    content = read_sealed(path)
    content["config"]["agent"]["actor"]["class_name"] = name
    write_sealed(path, content)


def name_task(received: Path, name: str) -> None:
    """Let every file of the run name a task."""
    path = received / "run/params/env.yaml"
    content = yaml.safe_load(path.read_text()) | {"task": name, "task_digest": None}
    path.write_text(yaml.safe_dump(content))
    path = received / "run/run.json"
    record = json.loads(path.read_text())
    record["config"]["task"] = name
    path.write_text(json.dumps(record))
    path = received / "run/diverged_2.pt"
    content = read_sealed(path)
    content["config"]["task"] = name
    write_sealed(path, content)


def exchange(path: Path, content: dict | bytes) -> None:
    """Write another checkpoint, with its checksum in the record, as somebody who wants it to be read does."""
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        torch.save(content, path)
    record = path.with_name("run.json")
    said = json.loads(record.read_text())
    said["outputs"][path.name] = hashlib.sha256(path.read_bytes()).hexdigest()
    record.write_text(json.dumps(said))


@dataclass
class Done:
    returncode: int
    stderr: str


@pytest.fixture
def run(received, monkeypatch, capsys):
    """Runs a verb in the folder with the received run, from which modules could be imported."""
    monkeypatch.chdir(received)
    monkeypatch.syspath_prepend(received)
    monkeypatch.setattr(foreign, "_allowed", set())
    monkeypatch.delitem(sys.modules, "helper", raising=False)

    def run(verb: str, *more: str) -> Done:
        capsys.readouterr()
        code = main([verb, *VERBS[verb], *more])
        return Done(code, capsys.readouterr().err)

    return run


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize("name", ["helper:X", "run.helper:X", "helper.X", "os:system", "shutil:rmtree", ".x:Y", ":"])
def test_a_class_that_a_run_names_is_not_imported(received, run, verb, name):
    name_class(received, name)
    done = run(verb)
    assert done.returncode == 2 and not (received / "ran").exists()
    lines = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert len(lines) == 1 and repr(name) in lines[0] and "--allow_code" in lines[0]


@pytest.mark.parametrize("verb", VERBS)
def test_a_task_file_that_a_run_names_is_not_run(received, run, verb):
    name_task(received, "run/helper.py")
    done = run(verb)
    assert done.returncode == 2 and not (received / "ran").exists()
    assert (
        "error: " in done.stderr and "the task is the file run/helper.py; if you trust it, --allow_code" in done.stderr
    )


def test_what_the_user_allows_is_used(received, run):
    name_class(received, "helper:X")
    assert run("evaluate", "--allow_code", "helper:X").returncode == 0
    assert (received / "ran").exists() and (received / "e.csv").exists()


def test_what_the_user_allows_does_not_come_from_the_working_directory(received):
    name_class(received, "helper:X")
    command = [sys.executable, "-m", "manyseeds", "export", *VERBS["export"], "--allow_code", "helper:X"]
    done = subprocess.run(command, cwd=received, capture_output=True, text=True)
    assert done.returncode == 2 and "is installed or on PYTHONPATH" in done.stderr
    assert not (received / "ran").exists()


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"config": None}, "is no whole dump of a divergence: simulator is missing"),
        ({"failure": {"iteration": "x"}}, "iteration is missing or of another type"),
        ({"runner": {"iteration": 1}}, "its state does not fit its agent and task"),
    ],
)
def test_a_dump_with_other_contents_is_one_sentence(received, run, change, sentence):
    path = received / "run/diverged_2.pt"
    write_sealed(path, read_sealed(path) | change)
    done = run("replay")
    assert done.returncode == 2 and sentence in done.stderr and "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"iter": None}, "iter is empty; it must be a whole number"),
        ({"iter": "1"}, "iter is '1'; it must be a whole number"),
        ({"iter": -1}, "iter is -1; it must be a whole number of at least 0"),
        ({"iter": 10**30}, "it must be a whole number of at least 0"),
        ({"actor_state_dict": None}, "does not fit the network"),
    ],
)
@pytest.mark.parametrize("verb", ["evaluate", "export"])
def test_a_checkpoint_with_other_contents_is_one_sentence(received, run, verb, change, sentence):
    path = received / "run/model_2.pt"
    exchange(path, torch.load(path, weights_only=True) | change)
    done = run(verb)
    assert done.returncode == 2 and sentence in done.stderr and "Traceback" not in done.stderr


@pytest.mark.parametrize("verb", ["evaluate", "export", "film"])
def test_weights_that_are_not_numbers_are_named(received, run, verb):
    path = received / "run/model_2.pt"
    content = torch.load(path, weights_only=True)
    content["actor_state_dict"]["mlp.0.weight"][0, 0] = torch.nan
    exchange(path, content)
    done = run(verb)
    assert done.returncode == 2 and "holds numbers that are not finite, in mlp.0.weight" in done.stderr


def test_garbage_is_damaged_and_not_said_to_run_code(received, run):
    exchange(received / "run/model_2.pt", b"garbage" * 100)
    done = run("evaluate")
    assert done.returncode == 2 and "is damaged or not a checkpoint" in done.stderr and "run code" not in done.stderr


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("1: 2\n", "agent.yaml"),
        ("actor: 2026-01-01\n", "actor is"),
        (f"actor: {'[' * 3000}{']' * 3000}\n", "nested too deeply"),
        (f"actor: {{hidden_dims: [{10**400}]}}\n", "hidden_dims"),
        ("actor: {hidden_dims: [1000000000000]}\n", "hidden_dims"),
        ("- 1\n", "must hold keys and values"),
        ("actor: !!python/object/apply:os.getcwd []\n", "is not valid YAML"),
    ],
)
def test_params_with_other_contents_are_one_sentence(received, run, text, sentence):
    (received / "run/params/agent.yaml").write_text(text)
    done = run("evaluate")
    assert done.returncode in (1, 2) and sentence in done.stderr and "Traceback" not in done.stderr, done.stderr
    assert "bug" not in done.stderr
