"""Files that appear whole or not at all."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from manyseeds.errors import StorageError


@contextmanager
def write_atomic(path: str | Path) -> Iterator[Path]:
    """Yield a path beside `path` to write to; on success it is synced to disk and renamed to `path`.

    Parent folders are made. When the body raises, nothing appears at `path`, an older file there stays as it was,
    and the partial file is removed.

    Args:
        path: the file that shall appear.

    Yields:
        The path of an empty file in the same folder.

    Raises:
        StorageError: when the folder cannot be written or the disk is full.
    """
    path = Path(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # The suffix stays the file's own, because writers such as Matplotlib choose the format by it.
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
        raise StorageError(f"{path} cannot be written: {error.strerror or error}") from error


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
