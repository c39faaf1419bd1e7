"""How every entry point ends when something fails: one sentence and an exit code, no traceback."""

import contextlib
import errno
import os
import re
import sys
import tempfile
import traceback
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path

from manyseeds.core.errors import StorageError, UserError

BAD_INPUT = 2
FAILED = 1
BUG = 70
"""EX_SOFTWARE of sysexits.h."""
INTERRUPTED = 130
PIPE_CLOSED = 141
ERRORS = Path("logs") / "errors"
"""Where tracebacks of bugs go, below the working directory."""

_FULL = {errno.ENOSPC, errno.EDQUOT}
_WAY_OUT = "; free some space there and start again: finished work stays"
_UNWRITABLE = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EFBIG, errno.EIO}


def guarded(name: str, work: Callable[[], int]) -> int:
    """Do the work of a command; whatever happens, end with one sentence and an exit code.

    Args:
        name: the command, for messages: "manyseeds tables".
        work: returns the exit code.
    """
    for name_of in ("stdout", "stderr"):
        if getattr(sys, name_of) is None:  # closed by whoever started this process
            setattr(sys, name_of, open(os.devnull, "w"))  # noqa: SIM115
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):  # names of folders may have letters that the terminal's encoding lacks
            stream.reconfigure(errors="backslashreplace")
    try:
        code = work()
        sys.stdout.flush()
    except BrokenPipeError:  # such as `| head`
        _discard_output()
        return PIPE_CLOSED
    except (Exception, KeyboardInterrupt) as error:
        sentences, code = sentences_of(error, name)
        with contextlib.suppress(OSError):
            print("\n".join(sentences), file=sys.stderr, flush=True)
    return code


def sentences_of(error: BaseException, name: str) -> tuple[list[str], int]:
    """Return the sentences that tell an error, each on a line of its own, and the exit code.

    Args:
        error: what was raised.
        name: the command, for messages.
    """
    if isinstance(error, KeyboardInterrupt):
        return ["interrupted."], INTERRUPTED
    if isinstance(error, UserError):
        code = FAILED if isinstance(error, StorageError) else BAD_INPUT
        way_out = _WAY_OUT if isinstance(error, StorageError) and _is_full(error.__cause__) else ""
        return [f"error: {line}{way_out}" for line in str(error).splitlines()], code
    if is_out_of_memory(error):
        what = re.sub(r"^\[[^]]*\]\s*", "", str(error).split("\n")[0]).rstrip(".")
        return [f"error: {name}: there is not enough memory{f': {what}' if what else ''}."], FAILED
    if isinstance(error, OSError) and error.errno is not None:
        place = error.filename if error.filename is not None else "a file"
        verb = "cannot be written" if error.errno in _UNWRITABLE else "cannot be read or written"
        return [f"error: {place} {verb}: {error.strerror}{_WAY_OUT if _is_full(error) else ''}."], FAILED
    said = " ".join(str(error).split())
    said = f"{type(error).__name__}: {said if len(said) <= 200 else f'{said[:197]}...'}".rstrip(": ")
    return [f"error: {name}: a bug in manyseeds: {said.rstrip('.')} ({_kept(error, name)})."], BUG


def is_out_of_memory(error: BaseException) -> bool:
    """Return whether an error says that there is not enough memory; torch has no class of error for the CPU's."""
    return isinstance(error, MemoryError) or (
        isinstance(error, RuntimeError)
        and (type(error).__name__ == "OutOfMemoryError" or "can't allocate memory" in str(error))
    )


def _is_full(error: BaseException | None) -> bool:
    return isinstance(error, OSError) and error.errno in _FULL


def _kept(error: BaseException, name: str) -> str:
    """Write the traceback of a bug to a file; say where, or print it where no file can be written."""
    text = "".join(traceback.format_exception(error))
    stamp = datetime.now().strftime("%Y-%m-%d_%H-%M-%S")
    for folder in _folders():
        path = folder / f"{name.replace(' ', '_')}_{stamp}_{os.getpid()}.txt"
        try:
            folder.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8", errors="backslashreplace")
        except OSError:
            continue
        return f"its traceback is in {path}; please report it with that file"
    print(text, file=sys.stderr)
    return "its traceback stands above; please report it"


def _folders() -> Iterator[Path]:
    yield ERRORS
    with contextlib.suppress(OSError):
        yield Path(tempfile.gettempdir())


def _discard_output() -> None:
    """Let Python flush standard output at its end although nobody reads it."""
    with contextlib.suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
