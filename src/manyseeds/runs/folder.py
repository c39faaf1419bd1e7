"""A run's folder: who may write in it, what of it can be continued, and what must make way."""

import itertools
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import filelock
import yaml

from manyseeds.core.errors import UserError
from manyseeds.core.files import write_atomic
from manyseeds.learning.checkpoint import checkpoint_path, checkpoints
from manyseeds.runs.events import EVENT_FILE
from manyseeds.runs.state import STATE_FILES, read_states

SUPERSEDED = "superseded"
SUPERSEDED_EVENTS = "superseded.events"
"""The event file's name there: TensorBoard, which looks for `tfevents`, must not show its steps a second time."""

PARAMS = ("params/agent.yaml", "params/env.yaml")
RUN_RECORD = "run.json"

_LOCK = ".lock"
_PARTIALS = (".model_*.pt", ".state*.pt", ".diverged_*.pt", ".run.*.json", "params/.*.yaml", "videos/.*.mp4")


@contextmanager
def sole_writer(folder: Path) -> Iterator[None]:
    """Hold a run's folder against other processes; the lock dies with the process.

    Raises:
        UserError: when another process holds it or it cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = filelock.FileLock(folder / _LOCK, timeout=0)
        lock.acquire()
    except filelock.Timeout as error:
        raise UserError(f"--log_dir {folder} is in use by another training process.") from error
    except OSError as error:
        raise UserError(f"--log_dir {folder} cannot be written: {error.strerror}.") from error
    try:
        for pattern in _PARTIALS:  # a killed process could not remove its own
            for partial in folder.glob(pattern):
                partial.unlink()
        yield
    finally:
        lock.release()


def find_state(folder: Path, config: dict[str, Any], max_iterations: int, save_interval: int) -> dict[str, Any] | None:
    """Return the newest state that training can go on from; None when it must start from the beginning.

    Says on the console which state is damaged and why a run starts over; then older files are moved aside.

    Args:
        folder: the run's folder.
        config: everything that decides the results.
        max_iterations: iterations asked for.
        save_interval: iterations between checkpoints.
    """
    reason = "the event file is left without a state"
    for name, state in read_states(folder):
        if isinstance(state, UserError):
            print(f"[WARNING] {state} Looking for the state before it.", flush=True)
            reason = "no whole state is left"
            continue
        if _size(folder / EVENT_FILE) < state["event_file_size"]:
            print(f"[WARNING] {name} does not fit {EVENT_FILE}, which is missing or cut short.", flush=True)
            reason = f"{EVENT_FILE} is missing or cut short"
            continue
        changed = _why_not(folder, state, config, max_iterations, save_interval)
        if changed is None:
            return state
        reason = changed
        break
    if aside := _supersede(folder):
        print(f"[INFO] Starting over: {reason}. The older files are in {aside}.", flush=True)
    return None


def write_params(folder: Path, agent: dict[str, Any], env: dict[str, Any]) -> None:
    """Write params/agent.yaml and params/env.yaml."""
    for name, content in (("agent", agent), ("env", env)):
        with write_atomic(folder / "params" / f"{name}.yaml") as partial:
            partial.write_text(yaml.safe_dump(plain(content), sort_keys=False), encoding="utf-8")


def plain(content: Any) -> Any:
    """Return nested containers as dictionaries and lists only."""
    if isinstance(content, dict):
        return {key: plain(value) for key, value in content.items()}
    return [plain(item) for item in content] if isinstance(content, (list, tuple)) else content


def _why_not(
    folder: Path, state: dict[str, Any], config: dict[str, Any], max_iterations: int, save_interval: int
) -> str | None:
    """Say why a whole state cannot be continued, or return None."""
    old, new = _flat(state["config"]), _flat(config)
    for key in sorted(old.keys() | new.keys()):
        if old.get(key) != new.get(key):
            return f"{key} was {old.get(key, 'not set')} and is {new.get(key, 'not set')}"
    done = state["runner"]["iteration"]
    if done > max_iterations:
        return f"max_iterations is {max_iterations}, fewer than the {done} that are done"
    for iteration in range(save_interval, done + 1, save_interval):
        if not (path := checkpoint_path(folder, iteration)).exists():
            if save_interval != state["save_interval"]:
                return f"save_interval was {state['save_interval']} and is {save_interval}"
            return f"{path.name} is missing"
    return None


def _supersede(folder: Path) -> Path | None:
    """Move a former run's files into a folder of their own, if there are any worth it; return that folder."""
    states = [path for name in STATE_FILES if (path := folder / name).exists()]
    old = [*checkpoints(folder).values(), *states]
    if not old:
        (folder / EVENT_FILE).unlink(missing_ok=True)  # killed before its first state
        return None
    aside = next(path for n in itertools.count(1) if not (path := folder / f"{SUPERSEDED}_{n}").exists())
    aside.mkdir()
    rest = [folder / name for name in (EVENT_FILE, "params", "videos", RUN_RECORD)] + [*folder.glob("diverged_*.pt")]
    # The states go last: killed in between, the next start finds them and moves the rest.
    for path in [*(path for path in rest if path.exists()), *old]:
        os.replace(path, aside / (SUPERSEDED_EVENTS if path.name == EVENT_FILE else path.name))
    return aside


def _flat(content: Any, prefix: str = "") -> dict[str, Any]:
    if not isinstance(content, dict):
        return {prefix[:-1]: content}
    return {key: value for name, part in content.items() for key, value in _flat(part, f"{prefix}{name}.").items()}


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else -1
