"""The record of a run, run.json: the code, packages and machine that made it, and the checksums of its files."""

import importlib.metadata
import json
import os
import platform
import subprocess
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import manyseeds
from manyseeds.core.errors import UserError
from manyseeds.core.files import sha256, write_json
from manyseeds.core.layout import JOURNAL, NOT_SHIPPED, PACKAGE, REPOSITORY, RUN_RECORD, checkpoint_name, checkpoints
from manyseeds.core.simulators import SIMULATORS
from manyseeds.core.text import now

PACKAGES = sorted(
    {"manyseeds", "numpy", "rsl-rl-lib", "snakemake", "tensorboard", "tensordict", "torch"}
    | {package for simulator in SIMULATORS.values() for package in simulator.packages}
)
"""Packages whose versions a record has, where they are installed."""
SCHEMA_VERSION = 1
IMAGE_VARIABLE = "MANYSEEDS_IMAGE"
"""Environment variable with the image of the container, NAME@DIGEST; docker/run_docker.sh sets it."""


def collect() -> dict[str, Any]:
    """Return the code version, package versions, Python, hardware and container of this process."""
    image, digest = container()
    return {
        "code": code_version(),
        "packages": {name: version for name in PACKAGES if (version := _package_version(name))},
        "python": platform.python_version(),
        "platform": platform.platform(),
        "hardware": {"cpu": cpu_model(), "cores": os.cpu_count(), "gpu": gpus()},
        "container": image,
        "container_digest": digest,
    }


def code_version() -> dict[str, Any]:
    """Return the version, the git commit (None outside a checkout) and whether tracked files have changes."""
    # An installed wheel may lie inside another project's repository.
    checkout = PACKAGE == REPOSITORY / "src" / "manyseeds"
    commit = _output("git", "-C", str(REPOSITORY), "rev-parse", "HEAD") if checkout else ""
    status = _output("git", "-C", str(REPOSITORY), "status", "--porcelain", "--untracked-files=no")
    return {
        "version": manyseeds.__version__,
        "commit": commit or None,
        "dirty": bool(status) if commit else None,
    }


def cpu_model() -> str:
    """Return the processor's name."""
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def gpus() -> list[str]:
    """Return "name, driver version" of every NVIDIA GPU."""
    listing = _output("nvidia-smi", "--query-gpu=name,driver_version", "--format=csv,noheader")
    return [line.strip() for line in (listing or "").splitlines()]


def container() -> tuple[str | None, str | None]:
    """Return the image of the container that this process runs in, and its digest.

    Returns:
        The image's file or name, "docker" or "podman" if it has no name, None outside a container; and its digest
        `sha256:<hex>`, of the .sif file or as Docker or Podman give it, None if unknown (a sandbox has none).
    """
    image = os.environ.get("APPTAINER_CONTAINER") or os.environ.get("SINGULARITY_CONTAINER")
    if image:
        return image, image_digest(image)
    if given := os.environ.get(IMAGE_VARIABLE):
        name, _, digest = given.partition("@")
        return name, digest or None
    marks = {"docker": "/.dockerenv", "podman": "/run/.containerenv"}
    return next((kind for kind, mark in marks.items() if Path(mark).exists()), None), None


def image_digest(image: str) -> str | None:
    """Return `sha256:<hex>` of a .sif file; None for a sandbox or an address."""
    return f"sha256:{sha256(Path(image))}" if Path(image).is_file() else None


def write_run_record(folder: Path, outputs: Iterable[str], **fields: Any) -> Path:
    """Write `run.json` into the folder of a run.

    Args:
        folder: the run's folder.
        outputs: the files of the run, relative to the folder.
        fields: further entries of the record (experiment, variant, seed, config, command, threads, started, ended,
            resumed); they override what `collect` finds.

    Returns:
        The path of the record.
    """
    record = {
        "schema": SCHEMA_VERSION,
        **fields,
        **{name: value for name, value in collect().items() if name not in fields},
        "outputs": {name: sha256(folder / name) for name in outputs},
    }
    path = folder / RUN_RECORD
    write_json(path, record)
    return path


def read_record(path: Path) -> dict[str, Any]:
    """Read the `run.json` of a run.

    Raises:
        UserError: if it cannot be read or is not a record.
    """
    try:
        record: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        record["outputs"].items()
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError(f"{path} is not the record of a run: {error!r}") from error
    return record


def recorded_checkpoints(folder: Path) -> dict[int, Path]:
    """Return the checkpoints of a run by completed iterations: those that its record names, or all without a record.

    A folder may hold others: the last one of a run that was made longer, or of another save_interval. A published copy
    may lack some.

    Raises:
        UserError: when there is none, or one is missing that the record names.
    """
    found, path = checkpoints(folder), folder / RUN_RECORD
    if path.is_file():
        names = {name for name in read_record(path)["outputs"] if name.endswith(".pt")}
        missing = sorted(names - {file.name for file in found.values()})
        if missing and not (folder.parent.parent / NOT_SHIPPED).is_file():
            raise UserError(
                f"{folder / missing[0]} is missing, which {RUN_RECORD} names; remove {path} and train the run again"
            )
        found = {iteration: file for iteration, file in found.items() if file.name in names}
    if not found:
        raise UserError(f"{folder} holds no checkpoint {checkpoint_name('<iteration>')}.")
    return found


class Journal:
    """When a run began, how often it was resumed and what was noted, from its first start until its record is written.

    Args:
        folder: the run's folder; what an earlier process wrote there is read.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / JOURNAL
        try:
            content = json.loads(self._path.read_text(encoding="utf-8"))
            self.fields = {name: content[name] for name in ("started", "resumed", "notes")}
        except (OSError, ValueError, KeyError, TypeError):
            self.fields = _fresh_journal()

    def start(self, *notes: str) -> None:
        """Note that the run starts from the beginning."""
        self.fields = _fresh_journal() | {"notes": list(notes)}
        write_json(self._path, self.fields)

    def resume(self, *notes: str) -> None:
        """Note that the run continues."""
        self.fields["resumed"] += 1
        self.fields["notes"] += notes
        write_json(self._path, self.fields)


def _fresh_journal() -> dict[str, Any]:
    return {"started": now(), "resumed": 0, "notes": []}


def _package_version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def _output(*command: str) -> str | None:
    try:
        result = subprocess.run(command, capture_output=True, text=True, timeout=20, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return result.stdout.strip()
