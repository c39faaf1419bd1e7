"""The images that `make test-containers` builds, and the workflow in them: real Apptainer, real simulator."""

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path

import pytest
import yaml

from helpers.kills import fingerprint
from manyseeds.core.files import sha256
from manyseeds.core.layout import REPOSITORY

pytestmark = pytest.mark.containers

CHECK = "/usr/local/share/manyseeds/environment.py"
TINY = yaml.safe_load((REPOSITORY / ".ci" / "tiny.yaml").read_text())
# Two runs are trained, evaluated and exported; one policy is filmed; then come aggregate, tables and draw.
JOBS = {"mujoco": 2 + 2 + 2, "analysis": 2 + 4}


@pytest.fixture(scope="module")
def images() -> dict[str, Path]:
    """The .sif files by environment."""
    folder = os.environ.get("MANYSEEDS_IMAGES")
    assert folder, "these tests need images; run them with `make test-containers`"
    return {name: Path(folder) / f"{name}.sif" for name in ("mujoco", "analysis")}


@pytest.fixture(scope="module")
def no_python(tmp_path_factory) -> str:
    """A PATH on which `python` fails, so that whatever a job does on the host fails too."""
    folder = tmp_path_factory.mktemp("bin")
    for name in ("python", "python3"):
        (folder / name).write_text('#!/bin/sh\necho "a job ran outside of its container"\nexit 97\n')
        (folder / name).chmod(0o755)
    for path in (folder, *folder.parents[:2]):
        path.chmod(0o755)
    return f"{folder}:{os.environ['PATH']}"


def snakemake(folder: Path, *arguments: str, path: str) -> str:
    """Run the documented command in a folder with a config.yaml of its own; return what it prints."""
    command = [sys.executable, "-m", "snakemake", "--snakefile", str(REPOSITORY / "Snakefile"), "--cores", "all"]
    result = subprocess.run(
        [*command, *arguments],
        cwd=folder,
        env=os.environ | {"PATH": path},
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=900,
    )
    assert result.returncode == 0, result.stdout
    return result.stdout


def write_config(folder: Path, images: dict[str, Path]) -> None:
    config = TINY | {"container": {name: str(path) for name, path in images.items()}}
    (folder / "config.yaml").write_text(yaml.safe_dump(config))


def apptainer(*arguments: str) -> str:
    return subprocess.run(["apptainer", *arguments], check=True, capture_output=True, text=True, timeout=300).stdout


@pytest.fixture(scope="module")
def finished(images, no_python, tmp_path_factory) -> Path:
    """A folder in which the whole workflow has run in containers."""
    folder = tmp_path_factory.mktemp("contained")
    write_config(folder, images)
    (folder / "printed").write_text(snakemake(folder, "--use-singularity", path=no_python))
    return folder


@pytest.mark.parametrize("environment", ["mujoco", "analysis"])
def test_an_image_has_what_it_promises_with_nothing_borrowed_from_the_host(images, environment):
    alone = ("exec", "--cleanenv", "--contain", "--no-home", str(images[environment]), "python")
    assert "every package imports and has the locked version" in apptainer(*alone, CHECK, "check")
    find_torch = "import importlib.util; print(importlib.util.find_spec('torch') is not None)"
    assert apptainer(*alone, "-c", find_torch).strip() == str(environment == "mujoco")


@pytest.mark.parametrize("environment", ["mujoco", "analysis"])
def test_an_image_keeps_no_cache_and_nothing_of_the_machine_that_built_it(images, environment):
    kept = apptainer(
        "exec", "--cleanenv", "--contain", "--no-home", str(images[environment]), "sh", "-c",
        "find /root /tmp /run/host /run/secrets /var/cache/apt /var/lib/apt/lists /home/manyseeds/.cache /etc/pip.conf"
        " /etc/apt/apt.conf.d/99host -type f -size +0 ! -name '.bashrc' ! -name '.profile' 2>/dev/null; true",
    )  # fmt: skip
    assert kept == ""
    settings = subprocess.run(
        [sys.executable, "-m", "pip", "config", "list"], capture_output=True, text=True, check=True
    ).stdout
    places = {place for place in re.findall(r"(?:file|https?)://[^\s']+|/[^\s']+", settings) if "/ssl/" not in place}
    for place in places:
        searched = ("exec", "--contain", "--no-home", str(images[environment]), "grep", "-rlF", place)
        found = subprocess.run(["apptainer", *searched, "/etc", "/usr/local", "/.singularity.d"], capture_output=True)
        assert found.stdout == b"", place


def test_a_docker_image_runs_as_no_root_checks_its_health_and_says_what_it_is(images):
    labels = dict(
        line.split(": ", 1) for line in apptainer("inspect", "--labels", str(images["mujoco"])).splitlines() if line
    )
    name = f"localhost/manyseeds-mujoco:{labels['manyseeds.inputs']}"
    inspected = subprocess.run(["buildah", "inspect", name], check=True, capture_output=True, text=True).stdout
    config = json.loads(inspected)["Docker"]["config"]
    assert config["User"] == "manyseeds"
    assert config["Healthcheck"]["Test"] == ["CMD", "python", CHECK, "check"]
    assert re.fullmatch(r"\d+\.\d+\.\d+", labels["org.opencontainers.image.version"])
    assert re.fullmatch(r"[0-9a-f]{40}(-dirty)?", labels["org.opencontainers.image.revision"])


def test_run_docker_runs_a_command_with_the_environment_and_the_code_of_the_checkout(images):
    found = (
        "import manyseeds, os, torch; from manyseeds.core.record import container; "
        "print(manyseeds.__file__, os.getcwd(), os.access('.', os.W_OK), torch.__file__, *container())"
    )
    cpu = os.environ.get("MANYSEEDS_CPU", "").split()
    printed = subprocess.run(
        [REPOSITORY / "docker" / "run_docker.sh", *cpu, "python", "-c", found],
        env=os.environ | {"BUILDER": "podman"},
        check=True,
        stdout=subprocess.PIPE,
        text=True,
        timeout=300,
    ).stdout
    package, folder, writable, torch, image, digest = printed.split()
    assert package == str(REPOSITORY / "src/manyseeds/__init__.py") and folder == str(REPOSITORY)
    assert writable == "True" and torch.startswith("/opt/manyseeds/")
    assert image.startswith("localhost/manyseeds-mujoco:") and re.fullmatch("sha256:[0-9a-f]{64}", digest)


def test_every_job_runs_in_its_container_and_a_run_says_in_which(finished, images):
    printed = (finished / "printed").read_text()
    activated = Counter(re.findall(r"^Activating singularity image (.*)$", printed, re.MULTILINE))
    assert activated == {str(images[environment]): jobs for environment, jobs in JOBS.items()}
    for seed in (1, 2):
        record = json.loads((finished / f"results/tiny/default/seed_{seed}/run.json").read_text())
        assert record["container"] == str(images["mujoco"])
        assert record["container_digest"] == f"sha256:{sha256(images['mujoco'])}"
        commit = subprocess.run(["git", "rev-parse", "HEAD"], cwd=REPOSITORY, capture_output=True, text=True).stdout
        assert record["code"]["commit"] == commit.strip()


def test_a_policy_is_filmed_without_a_screen(finished):
    animation = (finished / "results/tiny/default/policy.gif").read_bytes()
    assert animation.startswith(b"GIF8") and len(animation) > 20_000
    assert animation != (REPOSITORY / "workflow/report/no_animation.gif").read_bytes()


def test_caches_persist_and_nothing_else_is_left_beside_the_results(finished):
    assert {path.name for path in finished.iterdir()} == {"config.yaml", "printed", "results", "logs", ".snakemake"}
    assert any((finished / ".snakemake" / "caches" / "matplotlib").iterdir())


def test_a_second_run_has_nothing_to_do_with_and_without_containers(finished, no_python):
    assert "Nothing to be done" in snakemake(finished, "--use-singularity", path=no_python)
    assert "Nothing to be done" in snakemake(finished, path=no_python)


def test_the_same_bytes_come_out_of_a_container_and_of_the_virtual_environment(finished, images, tmp_path):
    write_config(tmp_path, images)
    snakemake(tmp_path, "evaluate", path=os.environ["PATH"])
    for seed in (1, 2):
        outside, inside = (folder / f"results/tiny/default/seed_{seed}" for folder in (tmp_path, finished))
        assert json.loads((outside / "run.json").read_text())["container"] != str(images["mujoco"])
        expected = fingerprint(outside)
        assert expected["checkpoints"].keys() == {"model_2.pt", "model_4.pt"} and expected["scalars"]
        assert fingerprint(inside) == expected
        assert (inside / "episodes.csv").read_bytes() == (outside / "episodes.csv").read_bytes()


def test_results_elsewhere_are_mounted(finished, images, no_python, tmp_path):
    # Not below /tmp, which containers see anyway.
    with tempfile.TemporaryDirectory(dir=images["analysis"].parent) as name:
        elsewhere = Path(name) / "tiny"
        for path in (finished / "results" / "tiny").rglob("*.csv"):
            target = elsewhere / path.relative_to(finished / "results" / "tiny")
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, target)
        write_config(tmp_path, images)
        snakemake(tmp_path, "figures", "--use-singularity", "--config", f"results={elsewhere}", path=no_python)
        drawn = elsewhere / "figures" / "learning_curves.png"
        assert drawn.read_bytes() == (finished / "results/tiny/figures/learning_curves.png").read_bytes()


@pytest.fixture
def sandboxes(images):
    """A folder that every user can reach, with the images as sandboxes and a copy of the checkout."""
    with tempfile.TemporaryDirectory(dir="/var/tmp") as name:
        folder = Path(name)
        folder.chmod(0o755)
        for environment, path in images.items():
            # Hard links where they can be had: the sandboxes are large.
            copy = f"cp -al {path.with_suffix('')} {folder / environment} || cp -a {path.with_suffix('')} {folder}"
            subprocess.run(copy, shell=True, check=True, stderr=subprocess.DEVNULL)
        (folder / "checkout").mkdir()
        for part in ("Snakefile", "envs", "profiles", "src", "workflow"):
            source = REPOSITORY / part
            (shutil.copytree if source.is_dir() else shutil.copy)(source, folder / "checkout" / part)
        yield folder


def test_a_user_who_is_not_root_runs_the_workflow_in_sandboxes(sandboxes, no_python):
    work = sandboxes / "work"
    work.mkdir()
    write_config(work, {name: sandboxes / name for name in ("mujoco", "analysis")})
    for path in (work, work / "config.yaml"):
        shutil.chown(path, "nobody", "nogroup")
    # The environment of these tests may lie in root's home; Snakemake is also in the image.
    packages = next((sandboxes / "mujoco/opt/manyseeds/lib").glob("python3*/site-packages"))
    environment = {
        "HOME": str(work),
        "PATH": no_python,
        "PYTHONPATH": f"{packages}:{sandboxes / 'checkout' / 'src'}",
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    as_nobody = ["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups", "--inh-caps=-all"]
    command = ["/usr/bin/python3", "-m", "snakemake", "--snakefile", str(sandboxes / "checkout" / "Snakefile")]
    result = subprocess.run(
        [*as_nobody, *command, "--cores", "all", "--use-singularity"],
        cwd=work,
        env=environment,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=900,
    )
    assert result.returncode == 0, result.stdout
    record = json.loads((work / "results/tiny/default/seed_1/run.json").read_text())
    assert record["container"] == str(sandboxes / "mujoco")
    assert (work / "results/tiny/figures/learning_curves.png").stat().st_size > 0
    assert (work / "results/tiny/default/seed_1/model_4.pt").stat().st_uid != 0


def test_another_trainer_is_started_in_its_own_image(images: dict[str, Path], tmp_path: Path) -> None:
    command = (
        "python -m manyseeds train --num_envs {num_envs} --seed {seed} --max_iterations {max_iterations}"
        " --threads 1 --log_dir logs {task}"
    )
    trainer = {
        "name": "boxed",
        "command": command,
        "logs": "logs",
        "first_iteration": 1,
        "container": str(images["mujoco"]),
        "versions": "python -m pip list --format=freeze",
        # A stranger's Python does not get this package.
        "environment": {"PYTHONPATH": str(REPOSITORY / "src")},
    }
    fields = {
        "experiment": "boxed",
        "seeds": [1],
        "task": "lift_object",
        "trainer": trainer,
        "train": {"num_envs": 4, "max_iterations": 1},
        "container": {"analysis": str(images["analysis"])},
    }
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(fields))
    snakemake(tmp_path, "--use-singularity", "train", path=os.environ["PATH"])
    record = json.loads((tmp_path / "results/boxed/default/seed_1/run.json").read_text())
    assert record["container"] == str(images["mujoco"])
    assert record["container_digest"] == f"sha256:{sha256(images['mujoco'])}"
    # What the image holds, not what is here.
    assert "mujoco" in record["packages"] and "ruff" not in record["packages"]
