"""Which code and data decide what a run or an evaluation gives: this package's, the task's, and packages."""

import ast
import json
import os
import re
import sys
import xml.etree.ElementTree as ET
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from shlex import quote

from manyseeds.core.code import XML, Code, digests, remembered, some, tree, versions
from manyseeds.core.errors import UserError
from manyseeds.core.layout import PACKAGE
from manyseeds.core.record import known_code
from manyseeds.core.simulators import SIMULATORS
from manyseeds.tasks import registry

FOLDERS = ("learning", "runs", "simulators", "tasks")
"""Folders of this package in which every module decides results, unless it is listed here as one that does not."""
WITHOUT_INFLUENCE = {
    "learning/__init__.py",
    "learning/policy.py",  # plays policies; evaluation's
    "runs/__init__.py",
    "runs/command.py",
    "runs/console.py",
    "runs/folder.py",
    "runs/hardware.py",  # what it chooses is a setting
    "runs/loggers.py",
    "runs/record.py",
    "runs/starts.py",  # the same
    "runs/videos.py",
    "simulators/film.py",
    "simulators/rendering.py",
    "tasks/__init__.py",
    "tasks/code.py",
    "tasks/registry.py",
    "tasks/show.py",
}
OF_EVALUATION = (
    "evaluation/evaluate.py",
    "learning/agent.py",
    "learning/parallel.py",
    "learning/policy.py",
)
OF_FACTORS = ("evaluation/factors.py",)
PACKAGES = ("numpy", "rsl-rl-lib", "torch")
"""Packages whose versions decide results, besides those of the simulator."""
JUDGED = "description.py"
"""In the folder of an installed task: what only evaluation, tables and figures use."""
SETTINGS = "agent.json"
"""In the folder of an installed task: what the settings of a run hold anyway."""
OUTPUTS = ("results", "logs")
MOST_FILES = 5000
LONGEST_TEXT = 200


def training_code(task: str, simulator: str, installed: bool = True) -> Code:
    """Return what decides the result of a training besides its settings.

    Args:
        task: a task reference.
        simulator: one of `SIMULATORS`.
        installed: whether training's packages are those of this process.

    Raises:
        UserError: when there is no such task, or a file cannot be read.
    """
    return _code(_modules(FOLDERS, simulator) | _of_task(task, judged=False), simulator, installed)


def evaluation_code(task: str, simulator: str, installed: bool = True, *, factors: bool = False) -> Code:
    """Return what decides the result of an evaluation besides its settings and the checkpoints; as `training_code`.

    Args:
        task: a task reference.
        simulator: one of `SIMULATORS`.
        installed: whether the evaluation's packages are those of this process.
        factors: of the evaluation under factors.
    """
    names = (*OF_EVALUATION, *(OF_FACTORS if factors else ()))
    ours = {name: PACKAGE / name for name in names} | _modules(("simulators", "tasks"), simulator)
    return _code(ours | _of_task(task, judged=True), simulator, installed)


def check_task(run: Path, task: str) -> None:
    """Check that a task is the one that a run was trained with, as far as the run's folder says.

    Args:
        run: the run's folder.
        task: the task's reference.

    Raises:
        UserError: when the task has changed, and nobody has accepted that.
    """
    known = known_code(run)
    if not known:
        return
    now = Code(digests(_of_task(task, judged=False)), {})
    changes = [Code({k: v for k, v in code.files.items() if k.startswith("task/")}, {}).changes(now) for code in known]
    if all(changes):
        raise UserError(
            f"{run}: the task has changed since the run was trained: {some(changes[0])}. Restore it, train the run"
            f" again, or accept the change (manyseeds verify {quote(str(run))} --accept; with --repeat 20 only if 20"
            " iterations are still identical)"
        )


def _code(files: dict[str, Path], simulator: str, installed: bool) -> Code:
    if simulator not in SIMULATORS:
        raise UserError(f"unknown simulator '{simulator}'; allowed are {', '.join(SIMULATORS)}")
    packages = versions({*PACKAGES, *SIMULATORS[simulator].packages}) if installed else {}
    try:
        return Code(digests(files), packages)
    except OSError as error:
        raise UserError(f"{error.filename} cannot be read: {error.strerror}") from error


def _modules(folders: Iterable[str], simulator: str) -> dict[str, Path]:
    """Return the modules below folders of this package that decide results with a simulator, whatever the task."""
    paths = (path for folder in folders for path in sorted((PACKAGE / folder).rglob("*.py")))
    found = {path.relative_to(PACKAGE).as_posix(): path for path in paths}
    return {
        name: path
        for name, path in found.items()
        if name not in WITHOUT_INFLUENCE and _of_simulator(name, simulator) and _is_shared(name)
    }


def _of_simulator(name: str, simulator: str) -> bool:
    """Whether a module is of that simulator, or of all."""
    match = re.match(r"simulators/([^/.]+)", name)
    return match is None or match[1] not in SIMULATORS or match[1] == simulator


def _is_shared(name: str) -> bool:
    """Whether a module is not of one task."""
    return not re.match(r"tasks/[^/]+/", name)


def _of_task(reference: str, judged: bool) -> dict[str, Path]:
    """Return the files of a task by name; `judged` says whether with those that only evaluation uses."""
    if registry.is_file(reference):
        path = Path(reference)
        registry.check_file(reference)
        return _reached([path], path.resolve().parent)
    origin = registry.module_file(reference)
    if origin.parent in map(Path, sys.path):  # a module of no package
        return _reached([origin], origin.parent)
    left_out = {f"task/{SETTINGS}"} if judged else {f"task/{SETTINGS}", f"task/{JUDGED}"}
    files = _reached([path for _, path in _tree(origin.parent)], origin.parent.resolve())
    return {name: path for name, path in files.items() if name not in left_out}


def _tree(folder: Path) -> list[tuple[str, Path]]:
    """Return the files below a folder by their names in it, without hidden and compiled ones.

    Raises:
        UserError: when there are too many of them.
    """
    found = list(islice(tree(folder), MOST_FILES + 1))
    if len(found) > MOST_FILES:
        raise UserError(f"{folder} holds more than {MOST_FILES} files; put a task into a folder of its own")
    return [(path.relative_to(folder).as_posix(), path) for path in found]


def _reached(start: Iterable[Path], home: Path) -> dict[str, Path]:
    """Return files and what they reach, by their names seen from the task's folder.

    These are the modules beside them, or below the working directory, that they import; the files, folders and patterns
    of files that a text in them names, seen from their folder or one of the three above it; and the same of these
    modules, and of the XML files among them.

    Raises:
        UserError: when there are too many.
    """
    found, left = set[Path](), [path.resolve() for path in start]
    while left:
        path = left.pop()
        if path in found:
            continue
        found.add(path)
        if len(found) > MOST_FILES:
            raise UserError(f"the task in {home} names more than {MOST_FILES} files; put it into a folder of its own")
        if path.suffix == ".py":
            left += _of_python(path, home)
        elif path.suffix in XML:
            left += _of_xml(path)
    return {f"task/{Path(os.path.relpath(path, home)).as_posix()}": path for path in found}


def _of_python(path: Path, home: Path) -> Iterator[Path]:
    folders = (home, Path.cwd())
    for level, name in json.loads(remembered("references", path.read_bytes(), _references)):
        if level is None:
            for folder in path.parents[:4]:
                yield from _named(name, folder, with_folders=folder == path.parent)
            if re.fullmatch(r"[A-Za-z_][\w.]*", name):  # `Task.kernels` names a module
                yield from _module(name, folders, home)
        else:
            yield from _module(name, [path.parents[level - 1]] if 0 < level <= len(path.parents) else folders, home)


def _references(source: bytes) -> str:
    """Return what a module names, as JSON: [None, text], or [dots before it, module] for an import."""
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return "[]"
    found: dict[tuple[int | None, str], None] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {(0, alias.name): None for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names = (node.module or "", *(f"{node.module or ''}.{alias.name}".strip(".") for alias in node.names))
            found |= {(node.level, name): None for name in names}
        elif (text := _path_text(node)) and len(text) <= LONGEST_TEXT and text.isprintable():
            found[None, text] = None
    return json.dumps(list(found))


def _path_text(node: ast.AST) -> str:
    """Return a text, or what the texts of `folder / "a" / "b"` and `join(folder, "a", "b")` make; else ""."""
    if isinstance(node, ast.Constant):
        return node.value if isinstance(node.value, str) else ""
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div):
        return "/".join(filter(None, (_path_text(node.left), _path_text(node.right))))
    if isinstance(node, ast.Call):
        return "/".join(filter(None, map(_path_text, node.args)))
    return ""


def _module(name: str, folders: Iterable[Path], home: Path) -> Iterator[Path]:
    """Yield the file of a module in the first of the folders that has it, and those of the packages above it.

    Of this package, whose modules are counted apart, these are only tasks: all files in their folders.
    """
    parts = name.split(".")
    if parts[0] == PACKAGE.name:
        folder = PACKAGE.joinpath(*parts[1:3])
        if parts[1:2] == ["tasks"] and len(parts) > 2 and folder != home and folder.is_dir():
            yield from (path for place, path in _tree(folder) if place not in (SETTINGS, JUDGED))
        return
    for folder in folders:
        places = [folder.joinpath(*parts[:count]) for count in range(1, len(parts) + 1)]
        files = [file for place in places for file in (place.with_suffix(".py"), place / "__init__.py")]
        if name and (places[-1].with_suffix(".py").is_file() or (places[-1] / "__init__.py").is_file()):
            yield from (file.resolve() for file in files if file.is_file())
            return


def _of_xml(path: Path) -> Iterator[Path]:
    """Yield the files that the attributes of an MJCF name: includes, meshes, textures, height fields."""
    try:
        elements = list(ET.parse(path).iter())
    except (ET.ParseError, OSError, ValueError):
        return
    folders = {path.parent} | {
        path.parent / value
        for element in elements
        for key, value in element.attrib.items()
        if key in ("meshdir", "texturedir", "assetdir")
    }
    for element in elements:
        for key, value in element.attrib.items():
            if key.startswith("file"):
                for folder in folders:
                    yield from _named(value, folder)


def _named(text: str, folder: Path, with_folders: bool = True) -> Iterator[Path]:
    """Yield the files that a text names, seen from a folder: one, those of a folder, or those of a pattern."""
    if not text.strip("./ ") or not (with_folders or "." in text or "/" in text):
        return
    try:
        place = os.path.join(folder, text)
        if os.path.isfile(place):
            yield Path(place).resolve()
        elif not with_folders or os.path.isabs(text) or ".." in text:
            return
        elif os.path.isdir(place):
            if text.split("/")[0] not in OUTPUTS and not text.startswith("."):
                yield from (file.resolve() for _, file in _tree(Path(place)))
        elif any(mark in text for mark in "*?") and ("." in text or "/" in text):
            yield from (file.resolve() for file in folder.glob(text) if file.is_file())
    except (OSError, ValueError, NotImplementedError, IndexError):
        return
