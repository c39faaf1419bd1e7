"""Write files whole or not at all; read JSON files that a person wrote."""

import errno
import hashlib
import json
import os
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

from manyseeds.core.errors import StorageError, UserError


@contextmanager
def write_atomic(path: str | Path) -> Iterator[Path]:
    """Yield a temporary path in the folder of `path`; on success it is synced to disk and renamed to `path`.

    Parent folders are created. If the body raises, an older file at `path` stays as it was and the temporary file is
    removed.

    Args:
        path: the file to write.

    Yields:
        The path of an empty file in the same folder.

    Raises:
        StorageError: if the folder cannot be written or the disk is full.
    """
    path = Path(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # Keep the suffix: writers such as Matplotlib choose the format by it.
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.stem}.", suffix=path.suffix)
        os.close(handle)
        partial = Path(name)
        try:
            yield partial
            with partial.open("rb") as stream:
                os.fsync(stream.fileno())
            partial.chmod(0o666 & ~_umask())
            os.replace(partial, path)
        finally:
            partial.unlink(missing_ok=True)
    except OSError as error:
        if error.filename is not None and not _is_of(Path(os.fsdecode(error.filename)), path):
            raise  # the body could not read another file
        raise StorageError(f"{path} cannot be written: {error.strerror or error}") from error


@contextmanager
def make_whole(folder: Path) -> Iterator[Path]:
    """Yield the path of a folder to make, which is renamed to `folder` on success; if the body raises, nothing is left.

    Args:
        folder: the folder, which is not there yet.

    Yields:
        A path beside it, at which nothing is.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{folder.name}.", dir=folder.parent) as unfinished:
        whole = Path(unfinished) / "whole"
        yield whole
        os.replace(whole, folder)


def _is_of(named: Path, path: Path) -> bool:
    """Return whether an error names a file, its temporary file or a folder above it."""
    named, path = named.absolute(), path.absolute()
    return named in (path, *path.parents) or (named.parent == path.parent and named.name.startswith(f".{path.stem}."))


def partials(name: str) -> str:
    """Return the pattern of what a killed process left of a file that `write_atomic` was writing."""
    path = Path(name)
    return str(path.with_name(f".{path.stem}.*{path.suffix}"))


def refuse_links(folder: Path) -> None:
    """Check that nothing in a folder leads out of it, before anything in it is written.

    Raises:
        UserError: when a file or folder in it is a symbolic link.
        OSError: when it cannot be listed.
    """
    links = sorted(path for path in folder.iterdir() if path.is_symlink())
    if links:
        raise UserError(
            f"{links[0]} is a symbolic link; a run writes only what lies in its own folder. Remove the link, or link"
            " the whole folder instead"
        )


def open_unlinked(path: Path, mode: str, **options: Any) -> IO[Any]:
    """Open a file for writing in place, unless it is a symbolic link, which could lead to a file elsewhere.

    Raises:
        UserError: when it is one.
        OSError: when it cannot be opened.
    """

    def opener(name: str, flags: int) -> int:
        try:
            return os.open(name, flags | os.O_NOFOLLOW, 0o666)
        except OSError as error:
            if error.errno == errno.ELOOP:
                raise UserError(f"{path} is a symbolic link, and nothing is written through it; remove it.") from error
            raise

    return open(path, mode, opener=opener, **options)


def expanded(path: str | Path) -> Path:
    """Return a path with `~` replaced by the user's home.

    Raises:
        UserError: when the user has no home.
    """
    try:
        return Path(path).expanduser()
    except RuntimeError as error:
        raise UserError(
            f"{path} begins with ~, and there is no home folder here; set HOME, or write the path."
        ) from error


def sha256(path: Path) -> str:
    """Return the SHA-256 of a file, hexadecimal."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def write_json(path: Path, content: Any) -> None:
    """Write JSON, whole or not at all."""
    with write_atomic(path) as partial:
        partial.write_text(_json(content), encoding="utf-8")


def update_json(path: Path, content: Any) -> None:
    """Write JSON as `write_json`, unless the file holds the same: then it stays as old as it is."""
    with suppress(OSError, UnicodeDecodeError):
        if path.read_text(encoding="utf-8") == _json(content):
            return
    write_json(path, content)


def _json(content: Any) -> str:
    return json.dumps(content, indent=2) + "\n"


def parse_json(text: str | bytes) -> Any:
    """Return what a JSON text holds, with keys that appear once.

    Raises:
        ValueError: when it is not JSON, has a key twice or is nested too deeply.
    """
    try:
        return json.loads(text, object_pairs_hook=_unique)
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error


def read_object(path: str | Path, name: str) -> dict[str, Any]:
    """Read a JSON file that holds an object without repeated keys.

    Args:
        path: the file.
        name: the name of the file in error messages.

    Raises:
        UserError: if the file cannot be read or holds anything else.
    """
    try:
        content = parse_json(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(f"{name} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise UserError(f"{name} cannot be read: it is not UTF-8 text") from error
    except ValueError as error:
        raise UserError(f"{name} is not valid JSON: {error}") from error
    if not isinstance(content, dict):
        raise UserError(f"{name} must hold a JSON object")
    return content


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        [(twice, _)] = Counter(key for key, _ in pairs).most_common(1)
        raise ValueError(f"the key '{twice}' appears twice")
    return found


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
