"""What made a result: code, packages, machine; and whether its files are still what they were."""

import argparse
import hashlib
import importlib.metadata
import json
import os
import platform
import re
import subprocess
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import manyseeds
from manyseeds.errors import UserError
from manyseeds.files import write_atomic

REPOSITORY = Path(__file__).resolve().parents[2]
PACKAGES = (
    "isaaclab",
    "manyseeds",
    "mujoco",
    "mujoco-warp",
    "newton",
    "numba",
    "numpy",
    "rsl-rl-lib",
    "snakemake",
    "tensorboard",
    "tensordict",
    "torch",
    "warp-lang",
)
SCHEMA_VERSION = 1
NOT_SHIPPED = "not_shipped.txt"
"""In an experiment's folder: the outputs that a published copy lacks, a path a line, relative to it."""
IMAGE_VARIABLE = "MANYSEEDS_IMAGE"
"""The environment variable by which a container is told its image, NAME@DIGEST; docker/run_docker.sh sets it."""
DERIVED = ("success_rates.*", "figures/*.*", "*.html")
"""What carries in its metadata the checksum of the CSV files that it was made from (`results.describe`)."""


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


def container() -> tuple[str | None, str | None]:
    """Return the image of the container that this process runs in, and its digest.

    Returns:
        The image's file or name, "docker" or "podman" for an unnamed one, None outside of any container; and
        `sha256:<hex>` of the .sif file or as Docker or Podman say, None where nobody says it (a sandbox has none).
    """
    image = os.environ.get("APPTAINER_CONTAINER") or os.environ.get("SINGULARITY_CONTAINER")
    if image:
        return image, image_digest(image)
    if told := os.environ.get(IMAGE_VARIABLE):
        name, _, digest = told.partition("@")
        return name, digest or None
    marks = {"docker": "/.dockerenv", "podman": "/run/.containerenv"}
    return next((kind for kind, mark in marks.items() if Path(mark).exists()), None), None


def image_digest(image: str) -> str | None:
    """Return `sha256:<hex>` of a .sif file; None where the image is a sandbox or an address."""
    return f"sha256:{sha256(Path(image))}" if Path(image).is_file() else None


def sha256(path: Path) -> str:
    """Return the SHA-256 of a file, hexadecimal."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def write_run_record(folder: Path, outputs: Iterable[str], **fields: Any) -> Path:
    """Write `run.json` beside the outputs of a run.

    Args:
        folder: the run's folder.
        outputs: the files that the run is made of, relative to the folder.
        fields: what else the record says (experiment, variant, seed, config, command, threads, started, ended,
            resumed); they win over what `collect` finds.

    Returns:
        The path of the record.
    """
    record = {
        "schema": SCHEMA_VERSION,
        **fields,
        **{name: value for name, value in collect().items() if name not in fields},
        "outputs": {name: sha256(folder / name) for name in outputs},
    }
    path = folder / "run.json"
    with write_atomic(path) as partial:
        partial.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
    return path


def read_record(path: Path) -> dict[str, Any]:
    """Read the `run.json` of a run.

    Raises:
        UserError: when it cannot be read or is none.
    """
    try:
        record: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        record["outputs"].items()
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError(f"{path} is not the record of a run: {error!r}") from error
    return record


@dataclass(frozen=True)
class Account:
    """What `verify` found.

    Attributes:
        problems: a sentence for each file that is missing or is not what its run left, and for each run that did
            not end.
        not_shipped: files that are missing and declared so in NOT_SHIPPED.
    """

    problems: tuple[str, ...]
    not_shipped: tuple[Path, ...]


def verify(results: Path) -> Account:
    """Hash the outputs of every run below a folder again, and the CSV files that tables and figures were made from.

    A missing file is a problem, unless the experiment's folder has a file NOT_SHIPPED that names it; a file that
    is there is hashed, named or not. So is a table, figure or page that says it was made from other CSV files.

    Raises:
        UserError: when there is no run, or a record cannot be read.
    """
    problems, not_shipped = [], []
    declared = {experiment: _declared(experiment) for experiment in _experiments(results)}
    for record in _records(results):
        absent = declared[_experiment_of(record)]
        content = read_record(record)
        if "ended" in content and content["ended"] is None:
            problems.append(f"{record}: this run has not ended")
        for name, expected in content["outputs"].items():
            path = record.parent / name
            if path.is_file():
                if sha256(path) != expected:
                    problems.append(f"{path} is not the file that the run left")
            elif path.resolve() in absent:
                not_shipped.append(path)
            else:
                problems.append(f"{path} is missing")
    for experiment in declared:
        if experiment.is_relative_to(results.resolve()):
            problems += _of_other_data(experiment)
    return Account(tuple(problems), tuple(not_shipped))


def _of_other_data(experiment: Path) -> list[str]:
    """Say which tables, figures and pages of an experiment were not made from the CSV files that are there."""
    from manyseeds.results import find_experiments, inputs_digest

    made = {
        path: said[1].decode()
        for pattern in DERIVED
        for path in sorted(experiment.glob(pattern))
        if (said := re.search(rb"inputs sha256 ([0-9a-f]{64})", path.read_bytes()))
    }
    if not made:
        return []
    [now] = [inputs_digest(found) for found in find_experiments(experiment) if found.folder == experiment] or [""]
    return [f"{path} was made from other CSV files than those here" for path, was in made.items() if was != now]


def declare_not_shipped(results: Path) -> list[Path]:
    """Name the outputs that are missing in a file NOT_SHIPPED in each experiment's folder, for `verify` to accept.

    Returns:
        The files named.
    """
    named = []
    for experiment in _experiments(results):
        missing = [
            path
            for record in _records(experiment)
            for name in read_record(record)["outputs"]
            if not (path := record.resolve().parent / name).is_file()
        ]
        lines = ["# Outputs of the runs that are not shipped here; run.json has their checksums."]
        lines += [path.relative_to(experiment).as_posix() for path in missing]
        with write_atomic(experiment / NOT_SHIPPED) as partial:
            partial.write_text("\n".join(lines) + "\n", encoding="utf-8")
        named += missing
    return named


def _records(results: Path) -> list[Path]:
    # Other trainers may have a file of this name in their logs, in the folder work/ of a run.
    found = sorted(results.rglob("run.json"))
    if records := [path for path in found if not re.search(r"/seed_\d+/work/", path.absolute().as_posix())]:
        return records
    raise UserError(f"{results} holds no run.json; give a results folder such as results/lift_object")


def _experiments(results: Path) -> list[Path]:
    return sorted({_experiment_of(record) for record in _records(results)})


def _experiment_of(record: Path) -> Path:
    """Return the folder of the experiment of <experiment>/<variant>/seed_<seed>/run.json."""
    above = record.resolve().parents
    return above[min(2, len(above) - 1)]


def _declared(experiment: Path) -> set[Path]:
    """Return the paths that the experiment's NOT_SHIPPED names."""
    path = experiment / NOT_SHIPPED
    if not path.is_file():
        return set()
    lines = [line.strip() for line in path.read_text(encoding="utf-8").splitlines()]
    return {experiment / line for line in lines if line and not line.startswith("#")}


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
    """Run the command line; return 0 when all is as recorded, 1 when something is not, 2 on bad input."""
    parser = argparse.ArgumentParser(prog="python -m manyseeds.provenance", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    command = commands.add_parser("verify", help="hash the outputs of all runs below a folder again")
    command.add_argument("results", type=Path, help="a results folder, such as results/lift_object, or a run's folder")
    command.add_argument("--repeat", type=int, metavar="N", help="train a run's first N iterations again and compare")
    command.add_argument("--threads", type=int, default=0, help="CPU threads for --repeat (0: all)")
    command = commands.add_parser(
        "declare-not-shipped", help=f"name the outputs that are missing in {NOT_SHIPPED}, so that verify accepts it"
    )
    command.add_argument("results", type=Path, help="a results folder to publish, such as results/published")
    arguments = parser.parse_args(argv)
    try:
        if arguments.command == "declare-not-shipped":
            for path in declare_not_shipped(arguments.results):
                print(f"{path} is declared as not shipped")
            return 0
        whole = _print_account(arguments.results)
        same = arguments.repeat is None or _print_repetition(arguments.results, arguments.repeat, arguments.threads)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0 if whole and same else 1


def _print_account(results: Path) -> bool:
    """Verify and print what was found; return whether every file is whole."""
    account = verify(results)
    for problem in account.problems:
        print(problem)
    for path in account.not_shipped:
        print(f"{path} is not shipped")
    if not account.problems:
        there = "every file that is shipped" if account.not_shipped else "every file"
        print(f"{results}: {there} is what its run left")
    return not account.problems


def _print_repetition(results: Path, iterations: int, threads: int) -> bool:
    """Train a run's first iterations again and print how they compare; return whether they are the same."""
    from manyseeds.repetition import repeat

    records = _records(results)
    if len(records) > 1:
        raise UserError(f"{results} holds {len(records)} runs; with --repeat give one run's folder")
    folder = records[0].parent
    found = repeat(folder, iterations, threads)
    for note in found.notes:
        print(f"note: {note}")
    if found.difference:
        print(f"{folder}: the first difference: {found.difference}")
        return False
    checkpoints = f" and the parameters in {', '.join(found.checkpoints)}" if found.checkpoints else ""
    print(f"{folder}: the first {iterations} iterations are identical: {found.scalars} scalars{checkpoints}")
    return True


if __name__ == "__main__":
    sys.exit(main())
