"""What made a result: code, packages, machine; and whether its files are still what they were."""

import argparse
import hashlib
import importlib.metadata
import json
import os
import platform
import subprocess
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import manyseeds
from manyseeds.errors import UserError
from manyseeds.files import write_atomic

REPOSITORY = Path(__file__).resolve().parents[2]
PACKAGES = (
    "manyseeds",
    "mujoco",
    "numpy",
    "rsl-rl-lib",
    "snakemake",
    "tensorboard",
    "tensordict",
    "torch",
)
SCHEMA_VERSION = 1


def collect() -> dict[str, Any]:
    """Return the code version, package versions, Python, hardware and container of this process."""
    return {
        "code": code_version(),
        "packages": {name: version for name in PACKAGES if (version := _package_version(name))},
        "python": platform.python_version(),
        "platform": platform.platform(),
        "hardware": {"cpu": cpu_model(), "cores": os.cpu_count(), "gpu": gpus()},
        "container": container(),
    }


def code_version() -> dict[str, Any]:
    """Return the version, the git commit (None outside a checkout) and whether tracked files were changed."""
    commit = _output("git", "-C", str(REPOSITORY), "rev-parse", "HEAD")
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
    """Return name and driver version of every NVIDIA GPU."""
    listing = _output("nvidia-smi", "--query-gpu=name,driver_version", "--format=csv,noheader")
    return [line.strip() for line in (listing or "").splitlines()]


def container() -> str | None:
    """Return the container image this process runs in, "docker" for an unnamed one, None outside of any."""
    image = os.environ.get("APPTAINER_CONTAINER") or os.environ.get("SINGULARITY_CONTAINER")
    return image or ("docker" if Path("/.dockerenv").exists() else None)


def sha256(path: Path) -> str:
    """Return the SHA-256 of a file, hexadecimal."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def write_run_record(folder: Path, outputs: Iterable[str], **fields: Any) -> Path:
    """Write `run.json` beside the outputs of a run.

    Args:
        folder: the run's folder.
        outputs: the files that the run is made of, relative to the folder.
        fields: what else the record says (experiment, variant, seed, config, threads, started, ended,
            resumed).

    Returns:
        The path of the record.
    """
    record = {
        "schema": SCHEMA_VERSION,
        **fields,
        **collect(),
        "outputs": {name: sha256(folder / name) for name in outputs},
    }
    path = folder / "run.json"
    with write_atomic(path) as partial:
        partial.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
    return path


def verify(results: Path) -> list[str]:
    """Hash the outputs of every run below a folder again.

    Returns:
        One sentence for each file that is missing or is not what its run left.

    Raises:
        UserError: when there is no run, or a record cannot be read.
    """
    records = sorted(results.rglob("run.json"))
    if not records:
        raise UserError(f"{results} holds no run.json; give a results folder such as results/lift_object")
    problems = []
    for record in records:
        try:
            outputs = json.loads(record.read_text(encoding="utf-8"))["outputs"].items()
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise UserError(f"{record} is not the record of a run: {error!r}") from error
        for name, expected in outputs:
            path = record.parent / name
            if not path.is_file():
                problems.append(f"{path} is missing")
            elif sha256(path) != expected:
                problems.append(f"{path} is not the file that the run left")
    return problems


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


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; return 0 when every file is whole, 1 when one is not, 2 on bad input."""
    parser = argparse.ArgumentParser(prog="python -m manyseeds.provenance", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    command = commands.add_parser("verify", help="hash the outputs of all runs below a folder again")
    command.add_argument("results", type=Path, help="a results folder, such as results/lift_object")
    arguments = parser.parse_args(argv)
    try:
        problems = verify(arguments.results)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    for problem in problems:
        print(problem)
    if not problems:
        print(f"{arguments.results}: every file is what its run left")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
