"""The virtual environment, the conda environments and the images come from the same lock files."""

import importlib.metadata
import itertools
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from manyseeds.config.fields import environments
from manyseeds.core.layout import REPOSITORY
from manyseeds.core.simulators import SIMULATORS

PROJECT = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
EXTRAS = {"analysis": ("workflow",), "mujoco": ("mujoco", "video", "warp", "workflow")}
SCRIPTS = ["docker/build_image.sh", "docker/build_sif.sh", "docker/run_docker.sh"]


def lock(name: str) -> set[str]:
    lines = (REPOSITORY / "envs" / name).read_text().splitlines()
    return {line for line in lines if line and not line.startswith("#")}


def conda(name: str) -> tuple[str, list[str]]:
    """The Python version and the pinned packages of a conda environment file."""
    environment = yaml.safe_load((REPOSITORY / "envs" / f"{name}.yaml").read_text())
    assert environment.keys() == {"channels", "dependencies"} and environment["channels"]
    python, pip, packages = environment["dependencies"]
    assert pip == "pip" and packages.keys() == {"pip"}
    return python, packages["pip"]


def installed_needs(requirements: list[str]) -> set[str]:
    """The names of all packages that these need, as far as they are for this machine and installed here."""
    names: set[str] = set()
    waiting = [Requirement(line) for line in requirements]
    while waiting:
        requirement = waiting.pop()
        name = canonicalize_name(requirement.name)
        if (name, *sorted(requirement.extras)) in names:
            continue
        names.add((name, *sorted(requirement.extras)))
        for line in importlib.metadata.requires(name) or []:
            needed = Requirement(line)
            contexts = [{"extra": extra} for extra in (*requirement.extras, "")]
            if needed.marker is None or any(needed.marker.evaluate(context) for context in contexts):
                waiting.append(needed)
    return {name for name, *_ in names}


@pytest.mark.parametrize("environment", EXTRAS)
def test_a_conda_environment_holds_all_that_is_needed_at_the_locked_versions(environment):
    python, packages = conda(environment)
    assert re.fullmatch(r"python=3\.\d+", python)
    assert set(packages) <= lock("requirements.lock")
    needs = [*PROJECT["dependencies"]]
    for extra in EXTRAS[environment]:
        needs += PROJECT["optional-dependencies"][extra]
    assert installed_needs(needs) <= {canonicalize_name(re.split("==", line)[0]) for line in packages}


def test_the_isaac_lab_environment_is_its_lock_for_the_python_that_it_supports():
    python, packages = conda("isaaclab")
    assert python == "python=3.12" and set(packages) == lock("isaaclab.lock")
    assert {"isaaclab==3.0.0", "rsl-rl-lib==5.5.1"} <= set(packages)


def test_the_lock_of_isaac_lab_differs_only_where_isaac_lab_asks_for_it():
    ours, theirs = (dict(re.findall(r"^([\w.-]+)==(\S+)", "\n".join(lock(name)), re.MULTILINE)) for name in
                    ("requirements.lock", "isaaclab.lock"))  # fmt: skip
    differing = {name for name in ours.keys() & theirs.keys() if ours[name] != theirs[name]}
    assert all(name.startswith(("nvidia-", "cuda-", "mujoco", "torch", "triton", "setuptools", "warp")) for name in
               differing - {"python-dateutil"}), differing  # fmt: skip


def test_every_simulator_has_an_image_a_conda_environment_and_a_target():
    dockerfile = (REPOSITORY / "docker" / "Dockerfile").read_text()
    assert {simulator.environment for simulator in SIMULATORS.values()} | {"analysis"} == set(environments("analysis"))
    for name in environments("analysis"):
        assert (REPOSITORY / "envs" / f"{name}.yaml").is_file()
        assert f" AS {name}\n" in dockerfile


@pytest.mark.parametrize("target", ["analysis", "mujoco", "isaaclab"])
def test_a_target_runs_as_no_root_and_checks_its_imports(target):
    dockerfile = (REPOSITORY / "docker" / "Dockerfile").read_text()
    stage = re.search(rf"^FROM \w+ AS {target}\n(.*?)(?=^FROM|\Z)", dockerfile, re.MULTILINE | re.DOTALL)
    assert stage is not None
    instructions = re.findall(r"^([A-Z]+) (.*)", stage[1], re.MULTILINE)
    assert [value for name, value in instructions if name == "USER"] == ["manyseeds"]
    assert dict(instructions)["HEALTHCHECK"].endswith('environment.py", "check"]')
    assert "python /usr/local/share/manyseeds/environment.py check" in dict(instructions)["RUN"]


def test_the_check_of_an_image_finds_what_is_not_as_locked(tmp_path):
    for path in ("docker/environment.py", "pyproject.toml", "envs/requirements.lock"):
        (tmp_path / Path(path).name).write_text((REPOSITORY / path).read_text())
    command = [sys.executable, str(tmp_path / "environment.py"), "check"]
    whole = subprocess.run(command, capture_output=True, text=True)
    assert whole.returncode == 0, whole.stdout
    lockfile = tmp_path / "requirements.lock"
    lockfile.write_text(re.sub(r"^pillow==.*", "pillow==0.0.1", lockfile.read_text(), flags=re.MULTILINE))
    project = tmp_path / "pyproject.toml"
    project.write_text(project.read_text().replace("dependencies = [", 'dependencies = ["nowhere>=1",', 1))
    broken = subprocess.run(command, capture_output=True, text=True)
    assert broken.returncode == 1
    assert "the lock says 0.0.1" in broken.stdout and "nowhere is not installed" in broken.stdout


@pytest.mark.parametrize("script", SCRIPTS)
def test_a_script_explains_itself_and_refuses_what_it_does_not_know(script):
    told = subprocess.run([REPOSITORY / script, "--help"], capture_output=True, text=True)
    assert told.returncode == 0 and told.stdout.startswith(f"usage: {script}")
    refused = subprocess.run([REPOSITORY / script, "--nonsense"], capture_output=True, text=True)
    assert refused.returncode == 1 and refused.stderr.startswith("error: ") and "--help" in refused.stderr


def put_program(path: Path, text: str) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)


@pytest.fixture
def docker(tmp_path, monkeypatch) -> Path:
    """A file with what is asked of a stand-in for Docker, a line a call, on a machine without a GPU."""
    calls = tmp_path / "calls"
    put_program(
        tmp_path / "bin" / "docker",
        f"""echo "$@" >> {calls}
case $1 in
    inspect) [ -e {tmp_path}/image ] ;;
    build) touch {tmp_path}/image ;;
esac""",
    )
    put_program(tmp_path / "bin" / "nvidia-smi", "exit 9")
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:/usr/bin:/bin")
    monkeypatch.setenv("BUILDER", "docker")
    return calls


def run_docker(calls: Path, *arguments: str) -> list[list[str]]:
    """Return the calls of Docker that docker/run_docker.sh makes."""
    calls.write_text("")
    script = [REPOSITORY / "docker" / "run_docker.sh", *arguments]
    subprocess.run(script, check=True, capture_output=True, stdin=subprocess.DEVNULL)
    return [line.split() for line in calls.read_text().splitlines()]


def test_a_missing_image_is_built_once_from_the_base_that_is_named_and_says_what_it_is(docker, monkeypatch):
    monkeypatch.setenv("BASE_IMAGE", "localhost/own-base")
    build = next(call for call in run_docker(docker, "true") if call[0] == "build")
    options = list(itertools.pairwise(build))
    assert ("--target", "mujoco") in options and ("--build-arg", "BASE_IMAGE=localhost/own-base") in options
    labels = dict(value.split("=", 1) for option, value in options if option == "--label")
    assert labels["org.opencontainers.image.version"] == importlib.metadata.version("manyseeds")
    assert re.fullmatch(r"[0-9a-f]{40}(-dirty)?|unknown", labels["org.opencontainers.image.revision"])
    assert "build" not in {call[0] for call in run_docker(docker, "true")}


def test_run_docker_mounts_the_checkout_as_its_user_and_passes_gpus_where_there_are_any(docker):
    begun = run_docker(docker, "python", "--version")[-1]
    options = list(itertools.pairwise(begun))
    assert begun[0] == "run" and begun[-2:] == ["python", "--version"]
    assert ("--volume", f"{REPOSITORY}:{REPOSITORY}") in options
    assert ("--user", f"{os.getuid()}:{os.getgid()}") in options
    assert "--gpus" not in begun
    put_program(docker.parent / "bin" / "nvidia-smi", "exit 0")
    assert ("--gpus", "all") in itertools.pairwise(run_docker(docker)[-1])
