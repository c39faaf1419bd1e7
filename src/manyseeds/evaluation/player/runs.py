"""Which runs and checkpoints there are to play, as a training goes on."""

from pathlib import Path

from manyseeds.core.errors import UserError
from manyseeds.core.layout import SEED_FOLDER, checkpoints, folders_below, has_begun


def find_runs(path: Path) -> dict[str, Path]:
    """Return the folders of runs by names that tell them apart, in the order of variants and seeds.

    Args:
        path: the folder of a run, of a variant, of an experiment or of several, or a checkpoint.

    Raises:
        UserError: when there is no such file or folder, or no run in it.
    """
    if path.is_file():
        return {_name(path.parent, path.parent): path.parent}
    if not path.is_dir():
        raise UserError(f"{path}: no such file or folder; give the folder of a run, a variant or an experiment.")
    found = [path] if _is_run(path) else [folder for folder in folders_below(path) if _is_run(folder)]
    if not found:
        raise UserError(f"{path} holds no run that has begun; give the folder of a run, a variant or an experiment.")
    return {_name(folder, path): folder for folder in sorted(found, key=_order)}


def _is_run(folder: Path) -> bool:
    return has_begun(folder) or bool(checkpoints(folder))


def _order(folder: Path) -> tuple[str, int, str]:
    match = SEED_FOLDER.fullmatch(folder.name)
    return str(folder.parent), int(match[1]) if match else -1, folder.name


def _name(folder: Path, below: Path) -> str:
    """Return a run's name: seen from the folder that was asked for, but never less than variant and seed."""
    parts = folder.relative_to(below).parts
    whole = folder.resolve().parts
    return "/".join(parts if len(parts) > 1 else whole[-2:])


def newest(folder: Path) -> Path | None:
    """Return a run's last checkpoint so far; None before the first."""
    return next(reversed(checkpoints(folder).values()), None)
