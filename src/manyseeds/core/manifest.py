"""Manifests: what a step of the workflow made, and of what, by checksum, in `<step>.manifest.json` in the same folder.

A file that no manifest names is nobody's: one made by hand or elsewhere is read as it is.
"""

import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from manyseeds.core.errors import UserError
from manyseeds.core.files import read_object, sha256, write_json
from manyseeds.core.layout import MANIFEST

SCHEMA_VERSION = 1


def manifest_path(folder: Path, step: str) -> Path:
    """Return the path of a step's manifest."""
    return folder / f"{step}.{MANIFEST}"


def write_manifest(
    folder: Path, step: str, outputs: Iterable[Path], inputs: Iterable[Path], name: str = "", **fields: Any
) -> None:
    """Write what a step made in a folder.

    Args:
        folder: holds the outputs.
        step: the verb of the command line.
        outputs: the files that it made.
        inputs: the files that it read; those that are not there are left out.
        name: of the manifest, where a step makes several things in one folder; the step's name where it is not given.
        **fields: further entries.
    """
    content = {
        "schema": SCHEMA_VERSION,
        "step": step,
        **fields,
        "inputs": _sums(folder, inputs),
        "outputs": _sums(folder, outputs),
    }
    write_json(manifest_path(folder, name or step), content)


def renew_outputs(folder: Path, step: str, outputs: Iterable[Path]) -> None:
    """Write what a step made again of its files into its manifest, if there is one; all else in it stays."""
    path = manifest_path(folder, step)
    if path.is_file():
        content = read_manifest(path)
        content["outputs"] |= _sums(folder, outputs)
        write_json(path, content)


def read_manifest(path: Path) -> dict[str, Any]:
    """Read a manifest.

    Raises:
        UserError: when it cannot be read or is none.
    """
    content = read_object(path, str(path))
    for key in ("inputs", "outputs"):
        names = content.get(key)
        if not isinstance(names, dict) or not all(isinstance(value, str) for value in names.values()):
            raise UserError(f"{path} is not a manifest; remove it, and the next snakemake makes its files again")
    return content


def problems(path: Path, digest: Callable[[Path], str] = sha256) -> list[str]:
    """Return a sentence for each output of a step that is missing or not what the step left.

    Args:
        path: the manifest.
        digest: gives the checksum of a file.
    """
    content = read_manifest(path)
    found = []
    for name, expected in content["outputs"].items():
        file = path.parent / name
        if not file.is_file():
            found.append(f"{file} is missing")
        elif digest(file) != expected:
            found.append(f"{file} is not the file that `manyseeds {content.get('step')}` left")
    return found


def other_inputs(path: Path) -> list[str]:
    """Return a sentence for each file that is another one than a step read; files that are gone do not count."""
    content = read_manifest(path)
    return [
        f"{path.parent / next(iter(content['outputs']), '')} was made from another {Path(name).name} than {file}"
        for name, expected in content["inputs"].items()
        if (file := path.parent / name).is_file() and sha256(file) != expected
    ]


def check_made(file: Path, step: str, folder: Path | None = None, name: str = "") -> None:
    """Check a file that a later step is about to read.

    Args:
        file: the file.
        step: the verb that makes it.
        folder: where that step's manifest is; the file's folder where it is not given.
        name: of the manifest; the step's name where it is not given.

    Raises:
        UserError: when the step left another one.
    """
    folder = folder or file.parent
    path = manifest_path(folder, name or step)
    if not file.is_file() or not path.is_file():
        return
    expected = read_manifest(path)["outputs"].get(_name(folder, file))
    if expected is not None and sha256(file) != expected:
        raise UserError(
            f"{file} is not the file that `manyseeds {step}` left: it was edited or damaged. Delete it, and snakemake"
            f" makes it again; if the edit is meant, delete {path} instead"
        )


def _sums(folder: Path, files: Iterable[Path]) -> dict[str, str]:
    return {_name(folder, file): sha256(file) for file in sorted(files) if file.is_file()}


def _name(folder: Path, file: Path) -> str:
    return Path(os.path.relpath(file, folder)).as_posix()
