"""Import tensordict and RSL-RL without what no process of this package uses, which is half of their import's time.

tensordict marks four of its functions for PyTorch's compiler, which imports all of the compiler for that; RSL-RL's
loggers import Weights & Biases and Neptune where they are installed. Nothing here compiles a model or uses those
loggers.
"""

import importlib
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

MARKS = ("allow_in_graph", "assume_constant_result")
"""The decorators of `torch.compiler` that import the compiler; without them the compiler traces such a function."""
LOGGERS = ("neptune", "wandb")


def install() -> None:
    """Let the packages be imported so in the rest of this process, which must be a program of this package."""
    if not any(isinstance(finder, _Finder) for finder in sys.meta_path):
        sys.meta_path.insert(0, _Finder())


@contextmanager
def _without_marks() -> Iterator[None]:
    compiler = importlib.import_module("torch.compiler")
    kept = {name: getattr(compiler, name) for name in MARKS}
    try:
        for name in MARKS:
            setattr(compiler, name, lambda function: function)
        yield
    finally:
        for name, mark in kept.items():
            setattr(compiler, name, mark)


@contextmanager
def _without_loggers() -> Iterator[None]:
    absent = [name for name in LOGGERS if name not in sys.modules]
    try:
        for name in absent:
            sys.modules[name] = None  # type: ignore[assignment] # an import of it raises ModuleNotFoundError
        yield
    finally:
        for name in absent:
            del sys.modules[name]


_CONTEXTS: dict[str, Callable[[], AbstractContextManager[None]]] = {
    "tensordict": _without_marks,
    "rsl_rl.utils": _without_loggers,
}


class _Finder(MetaPathFinder):
    """Finds the packages as the other finders do, and runs them within their context."""

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if name not in _CONTEXTS:
            return None
        others = (finder for finder in sys.meta_path if finder is not self)
        spec = next(filter(None, (finder.find_spec(name, path, target) for finder in others)), None)
        if spec is not None and spec.loader is not None:
            loader: Any = spec.loader
            execute, context = loader.exec_module, _CONTEXTS[name]

            def execute_within(module: ModuleType) -> None:
                with context():
                    execute(module)

            loader.exec_module = execute_within
        return spec
