"""How a run that is started by hand begins: anew, from a checkpoint's networks, or where an earlier run stopped."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from manyseeds.config.yaml_file import read_yaml
from manyseeds.core.errors import UserError
from manyseeds.core.files import sha256
from manyseeds.core.layout import PARAMS, STATES, checkpoint_name, checkpoints

LATEST = "latest"


@dataclass(frozen=True)
class Start:
    """How a run begins.

    Attributes:
        log_dir: its folder; None for a new one.
        init_from: the checkpoint whose networks it starts with.
        init_digest: SHA-256 of that checkpoint.
        must_continue: whether the folder holds a run that must be continued.
    """

    log_dir: Path | None = None
    init_from: str | None = None
    init_digest: str | None = None
    must_continue: bool = False


def begun(log_dir: Path) -> dict[str, Any]:
    """Return the parameters of the environments of the run in a folder; nothing if none has begun there."""
    try:
        return read_yaml(log_dir / PARAMS[1])
    except UserError:
        return {}


def has_state(log_dir: Path | None) -> bool:
    """Return whether a folder holds a state from which a run may be continued."""
    return log_dir is not None and any((log_dir / name).is_file() for name in STATES)


def from_networks(checkpoint: str | None, log_dir: Path | None) -> Start:
    """Return the start of `--init_from`; a run that has begun keeps the checkpoint that it began with.

    Raises:
        UserError: when the checkpoint cannot be read.
    """
    if checkpoint is None:
        env = begun(log_dir) if log_dir else {}
        return Start(log_dir, env.get("init_from"), env.get("init_digest"))
    try:
        return Start(log_dir, checkpoint, sha256(Path(checkpoint)))
    except OSError as error:
        raise UserError(f"checkpoint {checkpoint} cannot be read: {error.strerror}.") from error


def from_checkpoint(place: str, log_dir: Path | None, logs: Path) -> Start:
    """Return the start of `--checkpoint`.

    The run of the checkpoint is continued if its state is in its folder, no other folder is given and no later
    checkpoint is there; otherwise a new run starts with the checkpoint's networks.

    Args:
        place: a checkpoint, a run's folder for its last checkpoint, or "latest" for the newest run below `logs`.
        log_dir: the run's folder, if it is given.
        logs: where runs by hand are.

    Raises:
        UserError: when there is no such checkpoint, or the new run would have the folder of the old one.
    """
    path = newest_run(logs) if place == LATEST else Path(place)
    folder = path if path.is_dir() else path.parent
    there = list(checkpoints(folder).values())
    stays = log_dir is None or log_dir.resolve() == folder.resolve()
    last = path.is_dir() or (bool(there) and path.name == there[-1].name)
    if stays and last and has_state(folder):
        env = begun(folder)
        return Start(folder, env.get("init_from"), env.get("init_digest"), must_continue=True)
    if path.is_dir() and not there:
        raise UserError(f"--checkpoint is {place}, but {folder} holds no {checkpoint_name('<iteration>')}.")
    if log_dir is not None and stays:
        raise UserError(
            f"--log_dir {log_dir} is the folder of --checkpoint {place}, whose run has no state to continue from there;"
            " give another --log_dir."
        )
    return from_networks(str(there[-1] if path.is_dir() else path), log_dir)


def newest_run(logs: Path) -> Path:
    """Return the folder below `logs` that was last written a checkpoint or a state.

    Raises:
        UserError: when there is none.
    """
    written = {
        folder: max(path.stat().st_mtime_ns for path in files)
        for folder in logs.glob("*")
        if (files := [*checkpoints(folder).values(), *(path for name in STATES if (path := folder / name).is_file())])
    }
    if not written:
        raise UserError(f"--checkpoint is {LATEST}, but {logs} holds no run with a checkpoint.")
    return max(written, key=lambda folder: (written[folder], folder.name))
