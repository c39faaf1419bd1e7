"""The training state on disk: two generations with checksums, so that one whole state always exists."""

import hashlib
import io
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from manyseeds.core.errors import UserError
from manyseeds.core.layout import NEXT_STATE, PREVIOUS_STATE, STATE, STATES
from manyseeds.learning.checkpoint import dump, read_plain, write_bytes

_MAGIC = b"manyseeds state 4\n"
_DIGEST_SIZE = hashlib.sha256().digest_size


def write_state(folder: Path, state: dict[str, Any]) -> None:
    """Write the state; the last one stays as the previous state until the new one is complete.

    A kill at any point leaves at least one whole state under one of STATES, even if the last one is damaged.
    """
    fresh = folder / NEXT_STATE
    write_sealed(fresh, state)
    current = folder / STATE
    if current.exists():
        os.replace(current, folder / PREVIOUS_STATE)
    os.replace(fresh, current)
    _sync_folder(folder)


def read_states(folder: Path) -> Iterator[tuple[str, dict[str, Any] | UserError]]:
    """Yield the names of a folder's states, the newest first, with their content or what is wrong with it."""
    for name in STATES:
        if (folder / name).exists():
            try:
                yield name, read_sealed(folder / name)
            except UserError as error:
                yield name, error


def write_sealed(path: Path, content: dict[str, Any]) -> None:
    """Write tensors, numbers and text with a checksum before them, whole or not at all."""
    data = dump(content)
    write_bytes(path, _MAGIC + hashlib.sha256(data).digest() + data)


def read_sealed(path: Path) -> dict[str, Any]:
    """Read what `write_sealed` wrote.

    Raises:
        UserError: when the file cannot be read, is cut short or changed.
    """
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}.") from error
    head, data = raw[: len(_MAGIC)], raw[len(_MAGIC) + _DIGEST_SIZE :]
    if head != _MAGIC:
        raise UserError(f"{path} is damaged, or the state of another version of manyseeds: its first bytes are wrong.")
    if hashlib.sha256(data).digest() != raw[len(_MAGIC) : len(_MAGIC) + _DIGEST_SIZE]:
        raise UserError(f"{path} is damaged: its checksum does not match.")
    return read_plain(io.BytesIO(data), path)


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
