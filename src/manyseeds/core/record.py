"""The record of a run, run.json: the code, packages and machine that made it, and the checksums of its files."""

import os
import platform
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

import manyseeds
from manyseeds.core.code import Code, some, versions
from manyseeds.core.errors import UserError
from manyseeds.core.files import parse_json, sha256, write_atomic, write_json
from manyseeds.core.layout import (
    CODE_DIFF,
    JOURNAL,
    NOT_SHIPPED,
    PACKAGE,
    REPOSITORY,
    RUN_RECORD,
    SEED_FOLDER,
    checkpoint_name,
    checkpoints,
)
from manyseeds.core.secrets import masked
from manyseeds.core.simulators import SIMULATORS
from manyseeds.core.text import now

PACKAGES = sorted(
    {"manyseeds", "numpy", "rsl-rl-lib", "snakemake", "tensorboard", "tensordict", "torch"}
    | {package for simulator in SIMULATORS.values() for package in simulator.packages}
)
"""Packages whose versions a record has, where they are installed."""
SCHEMA_VERSION = 1
INSTRUCTION_VARIABLES = (
    "ATEN_CPU_CAPABILITY",
    "DNNL_MAX_CPU_ISA",
    "ONEDNN_MAX_CPU_ISA",
    "MKL_CBWR",
    "MKL_DEBUG_CPU_TYPE",
    "MKL_ENABLE_INSTRUCTIONS",
    "NPY_DISABLE_CPU_FEATURES",
    "NUMBA_CPU_FEATURES",
    "NUMBA_CPU_NAME",
    "NUMBA_DISABLE_JIT",
    "OPENBLAS_CORETYPE",
)
"""Environment variables by which PyTorch, MKL, NumPy and Numba use other instructions: they change bits as another
processor does."""
IMAGE_VARIABLE = "MANYSEEDS_IMAGE"
"""Environment variable with the image of the container, NAME@DIGEST; docker/run_docker.sh sets it."""


def collect() -> dict[str, Any]:
    """Return the code version, package versions, Python, hardware and container of this process."""
    image, digest = container()
    return {
        "code": code_version(),
        "packages": versions(PACKAGES),
        "python": platform.python_version(),
        "platform": platform.platform(),
        "hardware": {"cpu": cpu(), "cores": os.cpu_count(), "gpu": gpus()},
        "container": image,
        "container_digest": digest,
    }


def code_version() -> dict[str, Any]:
    """Return the version, the git commit (None outside a checkout) and whether tracked files have changes."""
    return {"version": manyseeds.__version__, **(commit(REPOSITORY) if _is_checkout() else _NO_COMMIT)}


_NO_COMMIT = {"commit": None, "dirty": None}


def commit(folder: Path) -> dict[str, Any]:
    """Return the git commit that a folder's files are of (None outside a repository) and whether they have changes."""
    found = git(folder, "rev-parse", "HEAD")
    if not found:
        return _NO_COMMIT
    return {"commit": found, "dirty": bool(git(folder, "status", "--porcelain", "--untracked-files=no"))}


def diff(folder: Path, paths: Sequence[str]) -> str:
    """Return what has changed in a folder's files since its git commit, as `git diff`; "" outside a repository."""
    # No program that a repository's configuration names for showing differences may run.
    found = git(folder, "diff", "--no-ext-diff", "--no-textconv", "HEAD", "--", *paths)
    return f"{found}\n" if found else ""


def _is_checkout() -> bool:
    """Whether this package is used from its checkout; a wheel may lie inside another project's repository."""
    return PACKAGE == REPOSITORY / "src" / "manyseeds"


def git(folder: Path, *arguments: str) -> str | None:
    """Ask git; a hook's variables, which lead to another repository, do not count."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    return _output("git", "-C", str(folder), "-c", "core.fsmonitor=false", *arguments, environment=inherited)


def cpu() -> str:
    """Return the processor's name and the environment variables that choose among its instructions."""
    chosen = [f"{name}={os.environ[name]}" for name in INSTRUCTION_VARIABLES if os.environ.get(name)]
    return ", ".join([cpu_model(), *chosen])


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


def write_run_record(
    folder: Path, outputs: Iterable[str], known: Mapping[str, str] = MappingProxyType({}), **fields: Any
) -> Path:
    """Write `run.json` into the folder of a run.

    Args:
        folder: the run's folder.
        outputs: the files of the run, relative to the folder.
        known: checksums of those files that were taken when they were written: damage since then stays visible.
        fields: further entries of the record (experiment, variant, seed, config, command, threads, started, ended,
            resumed); they override what `collect` finds.

    Returns:
        The path of the record.
    """
    names = [*outputs, *([CODE_DIFF] if (folder / CODE_DIFF).is_file() else [])]
    record = {
        "schema": SCHEMA_VERSION,
        **masked(fields),
        **{name: value for name, value in collect().items() if name not in fields},
        "outputs": {name: known.get(name) or sha256(folder / name) for name in names},
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
        record: dict[str, Any] = parse_json(path.read_text(encoding="utf-8"))
        record["outputs"].items()
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError(f"{path} is not the record of a run: {error!r}") from error
    return record


def other_seed(path: Path) -> str:
    """Say that the folder of a record is named after another seed than its run had; "" where nothing says so."""
    match, seed = SEED_FOLDER.fullmatch(path.resolve().parent.name), (_object(path) or {}).get("seed")
    if match is None or seed is None or seed == int(match[1]):
        return ""
    return f"{path.parent} holds the run of seed {seed}, as its {RUN_RECORD} says: the folder was renamed or exchanged"


def check_left(file: Path) -> None:
    """Check a file of a run that a later step is about to read; without a record of the run nothing is known of it.

    Raises:
        UserError: when the run left another one.
    """
    path = file.parent / RUN_RECORD
    if not path.is_file() or not file.is_file():
        return
    expected = read_record(path)["outputs"].get(file.name)
    if expected is not None and sha256(file) != expected:
        raise UserError(
            f"{file} is not the file that the run left: it was edited, damaged or exchanged. Delete it, and snakemake"
            " makes it again"
        )


def recorded_checkpoints(folder: Path) -> dict[int, Path]:
    """Return the checkpoints of a run by completed iterations: those that its record names, or all without a record.

    A folder may hold others: the last one of a run that was made longer, or of another save_interval. A published copy
    may lack some.

    Raises:
        UserError: when there is none, or one is missing, or not the one, that the record names.
    """
    found, path = checkpoints(folder), folder / RUN_RECORD
    if path.is_file():
        names = {name for name in read_record(path)["outputs"] if name.endswith(".pt")}
        missing = sorted(names - {file.name for file in found.values()})
        if missing and not (folder.parent.parent / NOT_SHIPPED).is_file():
            raise UserError(
                f"{folder / missing[0]} is missing, which {RUN_RECORD} names; snakemake makes it again (by hand: remove"
                f" {path} and train the run again)"
            )
        found = {iteration: file for iteration, file in found.items() if file.name in names}
        for file in found.values():
            check_left(file)
    if not found:
        raise UserError(f"{folder} holds no checkpoint {checkpoint_name('<iteration>')}.")
    return found


def made_by(folder: Path) -> Code | None:
    """Return the code that a run began with, as its record or journal says; None where neither does."""
    return Code.from_dict(_of_run(folder).get("made_by"))


def known_code(folder: Path) -> list[Code]:
    """Return the code that a run began with and those that were accepted since, as far as its folder says."""
    return _known(_of_run(folder))


def changes_since(path: Path, now: Code) -> list[str] | None:
    """Say what of the code has changed since a record or manifest was written; as `other_code`."""
    return _changes(_known(_object(path) or {}), now)


def _known(content: Mapping[str, Any]) -> list[Code]:
    accepted = content.get("accepted")
    entries = [content.get("made_by"), *(accepted if isinstance(accepted, list) else [])]
    return [code for entry in entries if (code := Code.from_dict(entry)) is not None]


def other_code(folder: Path, now: Code) -> list[str] | None:
    """Say what of the code has changed since a run began, unless that was accepted; None where nothing is recorded.

    Args:
        folder: the run's folder.
        now: the present code.
    """
    return _changes(known_code(folder), now)


def _changes(known: Sequence[Code], now: Code) -> list[str] | None:
    if any(not code.changes(now) for code in known):
        return []
    return known[0].changes(now) if known else None


def accept_code(folder: Path, code: Code, note: str) -> None:
    """Write into a run's record and journal that its results are accepted as those of this code."""
    for path in (folder / RUN_RECORD, folder / JOURNAL):
        accept_in(path, code, note)


def accept_in(path: Path, code: Code, note: str) -> None:
    """Write into a record, journal or manifest that what it is of is accepted as made by this code."""
    content = _object(path)
    if content is None:
        return
    times, earlier = path.stat(), content.get("accepted")
    entry = {**code.to_dict(), "time": now(), "note": note}
    write_json(path, content | {"accepted": [*(earlier if isinstance(earlier, list) else []), entry]})
    # It is as old as it was: what was made of it need not be made again.
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))


def accepted_changes(path: Path) -> list[list[str]]:
    """Return what had changed at each acceptance that a record or manifest holds."""
    content = _object(path) or {}
    made, accepted = content.get("made_by"), content.get("accepted")
    began = Code.from_dict(made)
    codes = [Code.from_dict(entry) for entry in accepted] if isinstance(accepted, list) else []
    changes = [["unknown code"] if began is None else began.changes(code) for code in codes if code is not None]
    return [change for change in changes if change]


def _of_run(folder: Path) -> dict[str, Any]:
    """Return the content of a run's record, or else of its journal."""
    found = (_object(folder / name) for name in (RUN_RECORD, JOURNAL))
    return next((content for content in found if content is not None), {})


def _object(path: Path) -> dict[str, Any] | None:
    """Return the object of a JSON file; None where there is none."""
    try:
        content = parse_json(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return content if isinstance(content, dict) else None


class Journal:
    """What is known of a run before it has ended: when and by which code it began, resumes, notes.

    Args:
        folder: the run's folder; what an earlier process wrote there is read.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        fresh, known = _fresh_journal(), _object(folder / JOURNAL) or {}
        self.fields = {name: known[name] for name in fresh} if fresh.keys() <= known.keys() else fresh

    def start(self, *notes: str, code: Code | None = None, repositories: Iterable[tuple[Path, list[str]]] = ()) -> None:
        """Note that the run starts from the beginning; keep what has changed since the commit.

        Args:
            notes: sentences for the record.
            code: what decides the result.
            repositories: folders of other code that decides it, each with the paths in it that count.
        """
        others = list(repositories)
        self.fields = _fresh_journal() | {
            "notes": list(notes),
            "code": code_version(),
            "made_by": code and code.to_dict(),
            "trainer_code": [commit(folder) for folder, _ in others],
        }
        changes = diff(REPOSITORY, ["src"]) if _is_checkout() else ""
        changes += "".join(diff(folder, paths) for folder, paths in others)
        if changes:
            with write_atomic(self._folder / CODE_DIFF) as partial:
                partial.write_text(masked(changes), encoding="utf-8")
        else:
            (self._folder / CODE_DIFF).unlink(missing_ok=True)
        self._write()

    def resume(self, *notes: str, accepted: Code | None = None) -> None:
        """Note that the run continues, by other code if that was accepted."""
        self.fields["resumed"] += 1
        self.fields["notes"] += notes
        if accepted is not None:
            self.fields["accepted"].append({**accepted.to_dict(), "time": now(), "note": "continued by this code"})
        self._write()

    def end(self, code: Code | None) -> dict[str, Any]:
        """Return what belongs into the record; a change of the code since the start is noted.

        Args:
            code: what decides the result, as it is now.
        """
        began, version = Code.from_dict(self.fields["made_by"]), code_version()
        changed = began.changes(code) if began and code and not self.fields["accepted"] else []
        if self.fields["code"] and self.fields["code"]["commit"] != version["commit"]:
            changed = [f"commit {self.fields['code']['commit']}, now {version['commit']}", *changed]
        note = f"[WARNING] The code changed while the run trained: {some(changed)}. It began with the former."
        return {**self.fields, "notes": [*self.fields["notes"], *([note] if changed else [])]}

    def _write(self) -> None:
        write_json(self._folder / JOURNAL, self.fields)


def _fresh_journal() -> dict[str, Any]:
    return {
        "started": now(),
        "resumed": 0,
        "notes": [],
        "code": None,
        "made_by": None,
        "accepted": [],
        "trainer_code": [],
    }


def _output(*command: str, environment: dict[str, str] | None = None) -> str | None:
    try:
        result = subprocess.run(
            command, env=environment, capture_output=True, text=True, errors="replace", timeout=20, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return result.stdout.strip()
