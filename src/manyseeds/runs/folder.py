"""A run's folder: who may write in it, what of it can be continued, and what is moved aside."""

import hashlib
import itertools
import os
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import yaml

from manyseeds.core.code import Code, some
from manyseeds.core.errors import UserError
from manyseeds.core.files import partials, refuse_links, sha256, write_atomic
from manyseeds.core.layout import (
    ANEW,
    CODE_DIFF,
    EVENT_FILE,
    JOURNAL,
    LOCK,
    LOGGERS_ACCOUNT,
    RUN_RECORD,
    STATES,
    SUPERSEDED,
    SUPERSEDED_EVENTS,
    VIDEOS,
    checkpoint_iterations,
    checkpoint_name,
    checkpoints,
)
from manyseeds.core.locks import LOCKED_VARIABLE, locked
from manyseeds.core.record import other_code
from manyseeds.core.text import flatten, plain
from manyseeds.runs.state import read_states

_PARTIALS = (
    ".model_*.pt",
    ".state*.pt",
    ".diverged_*.pt",
    *map(partials, (RUN_RECORD, JOURNAL, CODE_DIFF, ANEW, LOGGERS_ACCOUNT)),
    "params/.*.yaml",
    f"{VIDEOS}/.*.mp4",
)


@contextmanager
def sole_writer(folder: Path) -> Iterator[None]:
    """Hold a run's folder against other processes; the lock dies with the process.

    Raises:
        UserError: when another process holds it or it cannot be written.
    """
    # The launcher locks the folder for its child, which has inherited the descriptor.
    held = os.environ.get(LOCKED_VARIABLE) == str(folder.resolve())
    with ExitStack() as stack:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            refuse_links(folder)
            if not held:
                stack.enter_context(locked(folder / LOCK))
            for pattern in _PARTIALS:  # a killed process could not remove its own
                for partial in folder.glob(pattern):
                    partial.unlink()
        except BlockingIOError as error:
            raise UserError(f"--log_dir {folder} is in use by another training process.") from error
        except OSError as error:
            raise UserError(f"--log_dir {folder} cannot be written: {error.strerror}.") from error
        yield


def find_state(
    folder: Path,
    config: dict[str, Any],
    max_iterations: int,
    save_interval: int,
    code: Code,
    changed_code: str,
    must_continue: bool = False,
) -> tuple[dict[str, Any] | None, list[str]]:
    """Find the newest state that training can go on from.

    Prints which state is damaged and why a run starts over; then older files are moved aside.

    Args:
        folder: the run's folder.
        config: everything that decides the results.
        max_iterations: iterations asked for.
        save_interval: iterations between checkpoints.
        code: what else decides the results.
        changed_code: what to do where the run began with other code, a `ChangedCode`.
        must_continue: whether it is an error if there is none.

    Returns:
        The state, None when the run must start from the beginning; and the printed lines that its record keeps.

    Raises:
        UserError: when the run began with other code, and nobody said what to do; or when it must continue and cannot.
    """
    if (folder / ANEW).is_file():
        return None, _start_over(folder, (folder / ANEW).read_text(encoding="utf-8"))
    reason = "the event file is left without a state"
    notes: list[str] = []
    for name, state in read_states(folder):
        if isinstance(state, UserError):
            notes.append(f"[WARNING] {state} Looking for the state before it.")
            print(notes[-1], flush=True)
            reason = "no whole state is left"
            continue
        if _size(folder / EVENT_FILE) < state["event_file_size"]:
            notes.append(f"[WARNING] {name} does not fit {EVENT_FILE}, which is missing or cut short.")
            print(notes[-1], flush=True)
            reason = f"{EVENT_FILE} is missing or cut short"
            continue
        changed = _why_not(folder, state, config, max_iterations, save_interval)
        if changed is None:
            other = _other_code(folder, state, code)
            if not other:
                return state, notes
            if changed_code == "stop":
                raise UserError(
                    f"--log_dir {folder} was begun by other code: {other}. Restore that code, or start with"
                    " --changed_code redo (start over, the older files are kept) or --changed_code accept (continue"
                    " all the same, and note it)"
                )
            if changed_code == "accept":
                notes.append(f"[WARNING] This run goes on with other code than it was begun by: {other}.")
                print(notes[-1], flush=True)
                return state, notes
            changed = f"the code has changed: {other}"
        reason = changed
        break
    if must_continue:
        raise UserError(
            f"the run in {folder} cannot be continued: {reason}; with --init_from instead of --checkpoint a new run"
            " starts with the networks of its checkpoint."
        )
    return None, _start_over(folder, reason)


def _other_code(folder: Path, state: dict[str, Any], code: Code) -> str:
    """Say what of the code has changed since a state was written, unless that was accepted; "" where nothing."""
    began = Code.from_dict(state["code"])
    changes = began.changes(code) if began else ["unknown code"]
    return some(changes) if changes and other_code(folder, code) != [] else ""


def _start_over(folder: Path, reason: str) -> list[str]:
    """Move what is there aside; return the lines that the record keeps."""
    aside = _supersede(folder)
    (folder / ANEW).unlink(missing_ok=True)
    if aside is None:
        return []
    note = f"[INFO] Starting over: {reason}. The older files are in {aside}."
    print(note, flush=True)
    return [note]


def write_params(folder: Path, agent: dict[str, Any], env: dict[str, Any]) -> None:
    """Write params/agent.yaml and params/env.yaml."""
    for name, content in (("agent", agent), ("env", env)):
        with write_atomic(folder / "params" / f"{name}.yaml") as partial:
            partial.write_text(yaml.safe_dump(plain(content), sort_keys=False), encoding="utf-8")


def _why_not(
    folder: Path, state: dict[str, Any], config: dict[str, Any], max_iterations: int, save_interval: int
) -> str | None:
    """Say why a whole state cannot be continued, or return None."""
    old, new = flatten(state["config"]), flatten(config)
    for key in sorted(old.keys() | new.keys()):
        if old.get(key) != new.get(key):
            return f"{key} was {old.get(key, 'not set')} and is {new.get(key, 'not set')}"
    done = state["runner"]["iteration"]
    if done > max_iterations:
        return f"max_iterations is {max_iterations}, fewer than the {done} that are done"
    # The last checkpoint is made of the state, where it is missing.
    for iteration in checkpoint_iterations(max_iterations, save_interval)[:-1]:
        name = checkpoint_name(iteration)
        if iteration <= done and not (folder / name).exists():
            if save_interval != state["save_interval"]:
                return f"save_interval was {state['save_interval']} and is {save_interval}"
            return f"{name} is missing"
        if iteration <= done and name in state["checkpoints"] and sha256(folder / name) != state["checkpoints"][name]:
            return f"{name} is damaged"
    last = checkpoint_name(done)
    if done == max_iterations and (folder / last).exists() and sha256(folder / last) != state["checkpoints"].get(last):
        (folder / last).unlink()  # the state makes it again
    if _sha256_of(folder / EVENT_FILE, state["event_file_size"]) != state["event_file_sha256"]:
        return f"{EVENT_FILE} is damaged"
    return None


def _sha256_of(path: Path, size: int) -> str:
    """Return the SHA-256 of a file's first bytes, hexadecimal."""
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while size and (part := stream.read(min(size, 1 << 20))):
            digest.update(part)
            size -= len(part)
    return digest.hexdigest()


def _supersede(folder: Path) -> Path | None:
    """Move the files of an older run into a `superseded_<n>` folder, if there are any; return that folder."""
    states = [path for name in STATES if (path := folder / name).exists()]
    old = [*checkpoints(folder).values(), *states]
    if not old:
        (folder / EVENT_FILE).unlink(missing_ok=True)  # killed before its first state
        return None
    aside = _new_aside(folder)
    rest = [
        folder / name for name in (EVENT_FILE, "params", VIDEOS, CODE_DIFF, JOURNAL, RUN_RECORD, LOGGERS_ACCOUNT)
    ] + [*folder.glob("diverged_*.pt")]
    # The states go last: killed in between, the next start finds them and moves the rest.
    for path in [*(path for path in rest if path.exists()), *old]:
        os.replace(path, aside / (SUPERSEDED_EVENTS if path.name == EVENT_FILE else path.name))
    return aside


def set_aside(folder: Path, iterations: Sequence[int]) -> None:
    """Move checkpoints that are not of these iterations, such as the last one of a shorter run, to `superseded_<n>`."""
    if strays := [path for iteration, path in checkpoints(folder).items() if iteration not in iterations]:
        aside = _new_aside(folder)
        for path in strays:
            os.replace(path, aside / path.name)


def _new_aside(folder: Path) -> Path:
    aside = next(path for n in itertools.count(1) if not (path := folder / f"{SUPERSEDED}_{n}").exists())
    aside.mkdir()
    return aside


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else -1
