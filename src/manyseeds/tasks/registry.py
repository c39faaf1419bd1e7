"""The tasks by name. Nothing of a task is imported before it is asked for."""

import importlib
from pathlib import Path

from manyseeds.core.description import Description
from manyseeds.core.errors import UserError
from manyseeds.core.files import sha256
from manyseeds.core.layout import PACKAGE

_FOLDER = PACKAGE / "tasks"


def names() -> list[str]:
    """Return the names of the tasks that are installed."""
    return sorted(path.parent.name for path in _FOLDER.glob("*/description.py"))


def describe(name: str) -> Description:
    """Return what tables and figures say of a task, without importing torch.

    Raises:
        UserError: when there is no such task.
    """
    if name not in names():
        raise UserError(f"task is '{name}'; it must be one of {', '.join(names())}")
    description: Description = importlib.import_module(f"manyseeds.tasks.{name}.description").DESCRIPTION
    return description


def agent_file(name: str) -> Path:
    """Return the path of the hyper-parameters that stand beside a task."""
    return _FOLDER / name / "agent.json"


def file_digest(reference: str) -> str | None:
    """Return the SHA-256 of a task that is a file, None for an installed one."""
    return sha256(Path(reference)) if reference.endswith(".py") else None
