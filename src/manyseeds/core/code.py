"""The code and data that decide a result: digests by content, versions of packages, and how two of them differ.

Python counts by its syntax tree without docstrings, XML by its canonical form without comments, everything else byte by
byte. An edit of a comment, a docstring or the layout changes no digest; any other edit does. A version number that
someone must remember to raise would not see an edit that nobody thought of.
"""

import ast
import hashlib
import importlib.metadata
import json
import os
import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from manyseeds.core.caches import user_cache
from manyseeds.core.errors import StorageError
from manyseeds.core.files import sha256, write_json

LENGTH = 16
"""Hexadecimal digits of a file's digest in a record: enough to see any edit, short enough to read."""
XML = (".mjcf", ".urdf", ".xml")
_KEPT = 4000
_known: dict[str, str] | None = None
_new: list[str] = []


@dataclass(frozen=True)
class Code:
    """What decides a result besides its settings.

    Attributes:
        files: digests of code and data by name, such as `task/panda.xml`.
        packages: versions by name; those that are not known here are left out.
    """

    files: Mapping[str, str]
    packages: Mapping[str, str]

    @cached_property
    def digest(self) -> str:
        """SHA-256 of all of it, hexadecimal."""
        return hashlib.sha256(json.dumps([self.files, self.packages], sort_keys=True).encode()).hexdigest()

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values, as records hold them."""
        return {"digest": self.digest, "files": dict(self.files), "packages": dict(self.packages)}

    @classmethod
    def from_dict(cls, content: Any) -> "Code | None":
        """Return what `to_dict` was made of; None where a record says nothing or something else."""
        try:
            files, packages = content["files"], content["packages"]
            return cls({str(k): str(v) for k, v in files.items()}, {str(k): str(v) for k, v in packages.items()})
        except (KeyError, TypeError, AttributeError):
            return None

    def changes(self, now: "Code") -> list[str]:
        """Say what is other now: `task/panda.xml`, `torch (2.11.0, now 2.12.0)`. Empty where nothing is.

        A package counts where both know its version: who plans a run need not have what trains it.
        """
        names = sorted(self.files.keys() | now.files.keys())
        changed = [name for name in names if self.files.get(name) != now.files.get(name)]
        for name in sorted(self.packages.keys() & now.packages.keys()):
            if self.packages[name] != now.packages[name]:
                changed.append(f"{name} ({self.packages[name]}, now {now.packages[name]})")
        return changed


def some(changes: list[str], most: int = 4) -> str:
    """Return the first few of a list as text."""
    return ", ".join(changes[:most]) + (f" and {len(changes) - most} more" if len(changes) > most else "")


def tree(folder: Path) -> Iterator[Path]:
    """Yield the files below a folder, without hidden and compiled ones."""
    for place, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith((".", "__pycache__")))
        yield from (Path(place, name) for name in sorted(names) if not name.startswith("."))


def digests(files: Mapping[str, Path]) -> dict[str, str]:
    """Return the digests of files by their names, in the order of the names.

    Raises:
        OSError: when a file cannot be read.
    """
    found = {name: _digest(files[name]) for name in sorted(files)}
    _remember()
    return found


def _remember() -> None:
    """Keep new digests for later processes: parsing takes a thousand times as long as reading."""
    cache = user_cache() if _new else None
    if cache is not None:
        _new.clear()
        with suppress(StorageError):
            write_json(_cache_file(cache), dict(list(_load().items())[-_KEPT:]))


def versions(packages: Iterable[str]) -> dict[str, str]:
    """Return the versions of those packages that are installed."""
    found = {}
    for name in sorted(packages):
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def python_text(source: bytes) -> str:
    """Return Python code without what cannot change a result, as text that is the same on every Python 3.11 and later.

    Raises:
        SyntaxError, ValueError, RecursionError, MemoryError: when it is not Python.
    """
    return "\n".join(map(_shown, _body(ast.parse(source))))


def remembered(kind: str, source: bytes, make: Callable[[bytes], str]) -> str:
    """Return what `make` makes of a file's content; later processes know it without making it again.

    Args:
        kind: what it is.
        source: the content.
        make: a function of the content alone.
    """
    key = hashlib.sha256(kind.encode() + b"\0" + source).hexdigest()
    known = _load()
    if key not in known:
        known[key] = make(source)
        _new.append(key)
    return known[key]


def _digest(path: Path) -> str:
    if path.suffix not in (".py", *XML):
        return sha256(path)[:LENGTH]
    return remembered(path.suffix, path.read_bytes(), lambda source: _of_meaning(path.suffix, source))


def _of_meaning(suffix: str, source: bytes) -> str:
    return hashlib.sha256(_meaning(suffix, source)).hexdigest()[:LENGTH]


def _meaning(suffix: str, source: bytes) -> bytes:
    """Return what of a file counts; all of it where it is not what its name says."""
    try:
        text = python_text(source) if suffix == ".py" else ET.canonicalize(source.decode(), strip_text=True)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return source
    return text.encode()


def _load() -> dict[str, str]:
    global _known
    if _known is None:
        _known = {}
        cache = user_cache()
        try:
            content = json.loads(_cache_file(cache).read_text(encoding="utf-8")) if cache else {}
            _known = {str(key): str(value) for key, value in content.items()}
        except (OSError, ValueError, AttributeError):
            _known = {}
    return _known


def _cache_file(cache: Path) -> Path:
    return cache / "manyseeds" / "code_digests.json"


def _body(node: ast.AST) -> list[ast.stmt]:
    """Return the statements of a module, class or function without its docstring."""
    body: list[ast.stmt] = getattr(node, "body", [])
    first = body[0] if body else None
    if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant) and isinstance(first.value.value, str):
        return body[1:]
    return body


def _shown(value: Any) -> str:
    if isinstance(value, ast.Constant):
        return f"{type(value.value).__name__}:{value.value!r}"
    if isinstance(value, ast.AST):
        documented = isinstance(value, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
        # Fields that are empty are left out: later Pythons have more of them.
        parts = (
            f"{name}={_shown(_body(value) if documented and name == 'body' else child)}"
            for name, child in ast.iter_fields(value)
            if child is not None and child != []
        )
        return f"{type(value).__name__}({','.join(parts)})"
    if isinstance(value, list):
        return f"[{','.join(map(_shown, value))}]"
    return repr(value)
