"""Checks that passed, kept in the user's cache folder: the same check of the same code passes again.

A check takes seconds, nearly all of them for the import of PyTorch. It is known again by a digest of everything that
decides it. What another moment decides, free disk space and the machine's memory, is no part of it and is compared
every time. Failed checks are not kept.
"""

import hashlib
import importlib.util
import json
import os
import resource
import sys
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from manyseeds.config.experiment import Experiment
from manyseeds.core.caches import user_cache
from manyseeds.core.code import tree
from manyseeds.core.description import Description
from manyseeds.core.errors import StorageError
from manyseeds.core.files import sha256, write_json
from manyseeds.core.layout import PACKAGE
from manyseeds.core.text import plain
from manyseeds.learning import foreign
from manyseeds.tasks import registry
from manyseeds.workflow.room import Need, machines_mb

KEPT = 200
"""Checks in the cache; older ones are removed."""
_OF_NO_INFLUENCE = {"experiment", "seeds"}
"""Keys of the experiment that no check of a variant reads."""
_VARIABLES = (
    "CUDA",
    "KMP",
    "LD_",
    "MALLOC",
    "MANYSEEDS",
    "MKL",
    "MUJOCO",
    "NUMBA",
    "OMP",
    "OPENBLAS",
    "PYTHON",
    "TORCH_",
)
"""Beginnings of the names of environment variables that the trainer's packages read."""


@dataclass(frozen=True)
class Passed:
    """What a check that passed has found.

    Attributes:
        description: what the task says of itself.
        needs: what a run of each variant takes.
    """

    description: Description
    needs: dict[str, Need]

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        needs = {name: asdict(need) for name, need in self.needs.items()}
        return {"description": plain(self.description.to_dict()), "needs": needs}

    @classmethod
    def from_dict(cls, content: Any) -> "Passed":
        """Return what `to_dict` was made of.

        Raises:
            KeyError, TypeError, AttributeError: when it is anything else.
        """
        needs = {str(name): Need(int(n["memory_mb"]), float(n["disk_bytes"])) for name, n in content["needs"].items()}
        return cls(Description.from_dict(content["description"]), needs)


def key(experiment: Experiment, environment: Mapping[str, str]) -> str | None:
    """Return a digest of everything that decides whether an experiment passes.

    Args:
        experiment: the resolved experiment.
        environment: the environment variables with which the check starts; packages set some when they are imported.

    Returns:
        None where that cannot be known: the task is a file or another package's, or the agent names classes of others.
    """
    agents = [variant.agent for variant in experiment.variants]
    if not registry.is_built_in(experiment.task) or foreign.named(agents, experiment.task):
        return None
    fields = {name: value for name, value in experiment.to_dict().items() if name not in _OF_NO_INFLUENCE}
    try:
        decisive = [
            fields,
            {path.relative_to(PACKAGE).as_posix(): sha256(path) for path in tree(PACKAGE)},
            list(_rsl_rl()),
            [sys.version, sys.prefix, list(os.uname()), machines_mb()],
            [resource.getrlimit(limit) for limit in (resource.RLIMIT_AS, resource.RLIMIT_DATA)],
            {name: value for name, value in sorted(environment.items()) if name.startswith(_VARIABLES)},
            [list(_installed(place)) for place in sys.path],
        ]
    except OSError:
        return None
    return hashlib.sha256(json.dumps(decisive, sort_keys=True).encode()).hexdigest()


def recall(key: str | None) -> Passed | None:
    """Return what the check with this key found, when it passed before."""
    folder = _folder() if key else None
    if folder is None:
        return None
    try:
        return Passed.from_dict(json.loads((folder / f"{key}.json").read_text(encoding="utf-8")))
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def keep(key: str | None, passed: Passed) -> None:
    """Keep what a check that passed has found; nothing is kept where there is no key or no cache folder."""
    folder = _folder() if key else None
    if folder is None:
        return
    with suppress(StorageError, OSError):
        write_json(folder / f"{key}.json", passed.to_dict())
        checks = sorted(folder.glob("*.json"), key=lambda path: path.stat().st_mtime)
        for path in checks[:-KEPT]:
            path.unlink(missing_ok=True)


def _folder() -> Path | None:
    cache = user_cache()
    return cache / "manyseeds" / "checks" if cache else None


def _rsl_rl() -> Iterator[tuple[str, str]]:
    """Yield RSL-RL's files and their digests: people change it in place."""
    spec = importlib.util.find_spec("rsl_rl")
    for folder in spec.submodule_search_locations or () if spec else ():
        yield from ((str(path), sha256(path)) for path in tree(Path(folder)))


def _installed(place: str) -> Iterator[tuple[str, int]]:
    """Yield the packages in a folder of the import path, which name their versions, and when they were installed."""
    # The working directory, where results are written, is on the path of some invocations, but not on the check's.
    if os.path.isdir(place) and not os.path.samefile(place, "."):
        yield place, os.stat(place).st_mtime_ns
        entries = sorted(os.scandir(place), key=lambda entry: entry.name)
        yield from (
            (e.name, e.stat().st_mtime_ns) for e in entries if e.name.endswith((".dist-info", ".egg-info", ".pth"))
        )
