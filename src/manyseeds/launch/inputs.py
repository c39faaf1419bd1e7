"""The code and data that decide what an external trainer gives: its `inputs`, and the repositories they are in."""

from collections.abc import Sequence
from pathlib import Path

from manyseeds.config.external import External
from manyseeds.core.code import Code, digests, tree
from manyseeds.core.errors import UserError

MOST_FILES = 20_000


def inputs_code(trainer: External) -> Code:
    """Return the digests of a trainer's inputs; relative names are seen from the working directory.

    Raises:
        UserError: when one names no file, or a file cannot be read.
    """
    return _code(trainer, "inputs", trainer.inputs)


def evaluation_code(trainer: External) -> Code:
    """Return the digests of the inputs of a trainer's evaluation.

    Raises:
        UserError: when one names no file, or a file cannot be read.
    """
    return _code(trainer, "evaluate.inputs", trainer.evaluate.inputs if trainer.evaluate else ())


def _code(trainer: External, key: str, inputs: Sequence[str]) -> Code:
    found: dict[str, Path] = {}
    for given in inputs:
        files = _files(_path(trainer, given))
        if not files:
            raise UserError(
                f"trainer {trainer.name}: trainer.{key} has {given}, which names no file; it must be a file, a folder"
                " with files or a pattern of files"
            )
        # Names without the folder of this machine that {folder} stands for.
        found |= {f"inputs/{_named(trainer, given, path)}": path for path in files}
        if len(found) > MOST_FILES:
            raise UserError(f"trainer {trainer.name}: trainer.{key} names more than {MOST_FILES} files, with {given}")
    try:
        return Code(digests(found), {})
    except OSError as error:
        raise UserError(f"{error.filename} cannot be read: {error.strerror}") from error


def repositories(trainer: External) -> list[tuple[Path, list[str]]]:
    """Return the folders of a trainer's inputs, each with the paths in it that count."""
    found: dict[Path, list[str]] = {}
    for given in trainer.inputs:
        path = _path(trainer, given)
        if path.is_dir():
            found.setdefault(path, []).append(".")
        else:
            parent = next((folder for folder in path.parents if folder.is_dir()), Path())
            found.setdefault(parent, []).append(path.relative_to(parent).as_posix())
    return list(found.items())


def _path(trainer: External, given: str) -> Path:
    return Path(given.replace("{folder}", trainer.place)).expanduser()


def _named(trainer: External, given: str, path: Path) -> str:
    return (path.relative_to(trainer.place) if given.startswith("{folder}") else path).as_posix().lstrip("/")


def _files(path: Path) -> list[Path]:
    if path.is_file():
        return [path]
    if path.is_dir():
        return list(tree(path))
    start = Path(path.anchor) if path.is_absolute() else Path()
    pattern = path.relative_to(start).as_posix() if path.is_absolute() else path.as_posix()
    return sorted(file for file in start.glob(pattern) if file.is_file()) if pattern else []
