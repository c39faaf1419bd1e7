"""The tasks by reference: the name of an installed task, or the path of a Python file that defines TASK.

Tasks and torch are imported only when they are needed.
"""

import dataclasses
import hashlib
import importlib
import importlib.metadata
import importlib.util
import re
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from manyseeds.core.description import Description
from manyseeds.core.errors import UserError
from manyseeds.core.layout import PACKAGE
from manyseeds.core.text import shown

if TYPE_CHECKING:
    from manyseeds.tasks.base import Task

GROUP = "manyseeds.tasks"
"""The entry points by which installed packages offer tasks: name = "module:TASK"."""

_FOLDER = PACKAGE / "tasks"
_loaded: dict[tuple[Path, str], "Task"] = {}
_paths: dict[tuple[Path, str], Path] = {}
"""The files that were run, by the same keys, as they were named."""


def names() -> list[str]:
    """Return the names of the tasks that are installed."""
    return sorted({*_built_in(), *(point.name for point in importlib.metadata.entry_points(group=GROUP))})


def is_file(reference: str) -> bool:
    """Return whether a reference is the path of a Python file."""
    return reference.endswith(".py")


def is_built_in(reference: str) -> bool:
    """Return whether a task is one of this package, which `describe` describes without torch."""
    return reference in _built_in()


def describe(reference: str) -> Description:
    """Return what tables and figures say of a task; of a built-in task without importing torch.

    Raises:
        UserError: when there is no such task, or its file has a mistake.
    """
    if reference in _built_in():
        description: Description = importlib.import_module(f"manyseeds.tasks.{reference}.description").DESCRIPTION
        return description
    task = load(reference)
    return dataclasses.replace(task.description, episode_steps=task.cfg().episode_length)


def load(reference: str) -> "Task":
    """Return a task; imports torch.

    Raises:
        UserError: when there is no such task, or its file has a mistake.
    """
    if is_file(reference):
        return _load_file(Path(reference))
    module, attribute = _origin(reference)
    try:
        task = getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError) as error:
        raise UserError(f"task '{reference}' cannot be loaded from {module}:{attribute}: {error}.") from error
    task = _checked(task, f"task '{reference}', {module}:{attribute},")
    said, steps = task.description.episode_steps, task.cfg().episode_length
    if reference in _built_in() and said != steps:  # `describe` reads it without making the numbers, which need torch
        raise UserError(
            f"task '{reference}': its description says that an episode has {said} steps; "
            f"episode_steps must be {steps}, as in {task.cfg.__name__}."
        )
    return task


def agent_file(reference: str) -> Path:
    """Return the path of the hyper-parameters beside a task, which need not exist.

    Raises:
        UserError: when there is no such task.
    """
    return (Path(reference) if is_file(reference) else module_file(reference)).with_name("agent.json")


def module_file(reference: str) -> Path:
    """Return the file of the module that defines an installed task.

    Raises:
        UserError: when there is no such task.
    """
    module, _ = _origin(reference)
    try:
        spec = importlib.util.find_spec(module)
    except ImportError:
        spec = None
    if spec is None or spec.origin is None:
        raise UserError(f"task '{reference}' cannot be loaded: its module {module} is not installed.")
    return Path(spec.origin)


@contextmanager
def mistakes_named() -> Iterator[None]:
    """Turn an error that comes from a task's file into one sentence with the file's line.

    Raises:
        UserError: when the code within raises an error and the file is in its traceback.
    """
    try:
        yield
    except UserError:
        raise
    except Exception as error:
        sentence = mistake(error)
        if sentence is None:
            raise
        raise UserError(sentence) from error


def mistake(error: BaseException) -> str | None:
    """Return a sentence with the file and line of the task file that raised an error; None where none did."""
    for (place, _), path in _paths.items():
        if line := _line(error, place):
            return f"task file {path}{line}: {_said(error)}."
    return None


def check_file(reference: str) -> None:
    """Raise UserError when a task is a file that cannot be read."""
    if is_file(reference):
        _read(Path(reference))


def _built_in() -> list[str]:
    return sorted(path.parent.name for path in _FOLDER.glob("*/description.py"))


def _origin(name: str) -> tuple[str, str]:
    """Return the module and attribute of an installed task."""
    found = [(f"manyseeds.tasks.{name}.task", "TASK")] if name in _built_in() else []
    for point in importlib.metadata.entry_points(group=GROUP, name=name):
        found.append((point.module, point.attr or "TASK"))
    if not found:
        raise UserError(f"task is '{name}'; it must be one of {', '.join(names())}, or the path of a Python file.")
    if len(set(found)) > 1:
        places = " and ".join(f"{module}:{attribute}" for module, attribute in found)
        raise UserError(f"task '{name}' is offered twice, by {places}; uninstall one of the packages.")
    return found[0]


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise UserError(f"task file {path} cannot be read: {error.strerror}.") from error


def _load_file(path: Path) -> "Task":
    """Run a file as a module with a unique name, and return its TASK."""
    content, place = _read(path), path.resolve()
    digest = hashlib.sha256(content).hexdigest()
    if (place, digest) in _loaded:
        return _loaded[place, digest]
    name = f"manyseeds_task_file_{hashlib.sha256(bytes(place) + content).hexdigest()[:16]}"
    spec = importlib.util.spec_from_file_location(name, place)
    assert spec is not None and spec.loader is not None
    _paths[place, digest] = path
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses look their module up there
    try:
        exec(compile(content, str(place), "exec"), vars(module))  # the bytes whose digest it is, not a cached .pyc
    except (Exception, SystemExit) as error:
        del sys.modules[name]
        raise UserError(f"task file {path}{_line(error, place)}: {_said(error)}.") from error
    if not hasattr(module, "TASK"):
        raise UserError(f"task file {path} defines no TASK.")
    task = _checked(module.TASK, f"task file {path}: TASK")
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]*", task.name):
        raise UserError(f"task file {path}: TASK.name is {task.name!r}; it must be a name of letters and digits.")
    if task.name in _built_in():
        raise UserError(f"task file {path}: TASK.name is {task.name!r}, which is the name of an installed task.")
    _loaded[place, digest] = task
    return task


def _checked(task: object, where: str) -> "Task":
    from manyseeds.tasks.base import Task

    if not isinstance(task, Task):
        raise UserError(f"{where} is of the type {type(task).__name__}; it must be a manyseeds.tasks.base.Task.")
    if not task.description.shares:
        raise UserError(f"{where}: its description has no outcome of the kind share, and so no success rate.")
    defaults = {number.name: number.default for number in dataclasses.fields(task.cfg)}
    for name, value in task.description.numbers.items():
        if defaults.get(name) != value:
            raise UserError(
                f"{where}: its description says that {name} is {value!r}; it must be the default in "
                f"{task.cfg.__name__}, {shown(defaults.get(name))}."
            )
    return task


def _line(error: BaseException, place: Path) -> str:
    if isinstance(error, SyntaxError) and error.filename == str(place):
        return f", line {error.lineno}"
    lines = [f.lineno for f in traceback.extract_tb(error.__traceback__) if f.filename == str(place)]
    return f", line {lines[-1]}" if lines else ""


def _said(error: BaseException) -> str:
    text = " ".join(str(error.msg if isinstance(error, SyntaxError) else error).split()).rstrip(".")
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
