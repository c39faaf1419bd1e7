"""Locks between processes, which the kernel releases when their holders end.

Not the package filelock: a child process inherits the descriptor of a lock, so that a run stays locked when the
process that started its training is killed and the training continues.
"""

import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

LOCKED_VARIABLE = "MANYSEEDS_LOCKED"
"""Environment variable with the run folder that a process has locked for its children."""


@contextmanager
def locked(path: Path, wait: Callable[[], None] | None = None) -> Iterator[int]:
    """Hold a lock on a file, which is made where it is missing and stays.

    Args:
        path: the file.
        wait: called once before waiting for another holder; without it another holder is an error.

    Yields:
        The file's descriptor; a child that inherits it holds the lock too.

    Raises:
        BlockingIOError: when another process holds the lock.
        OSError: when the file cannot be opened or is a symbolic link.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o666)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if wait is None:
                raise
            wait()
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        if _is_file_of(descriptor, path):
            with released(descriptor):
                yield descriptor
            return
    finally:
        os.close(descriptor)
    # Its holder removed the file. Whoever comes next locks a new one, so this process has to do so, too.
    with locked(path, wait) as descriptor:
        yield descriptor


def _is_file_of(descriptor: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), os.stat(path))
    except FileNotFoundError:
        return False


@contextmanager
def released(descriptor: int) -> Iterator[None]:
    """Release a lock at the end, although a process that a finished job left in the background has inherited it.

    When Ctrl-C ends the block, the job itself may still run, and keeps the lock.
    """
    try:
        yield
    except Exception:
        fcntl.flock(descriptor, fcntl.LOCK_UN)
        raise
    fcntl.flock(descriptor, fcntl.LOCK_UN)
