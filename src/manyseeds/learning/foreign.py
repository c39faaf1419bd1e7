"""What a file of a run may name to be run: classes of RSL-RL and of this package, and what the user allows.

A results folder, checkpoint or dump may come from someone else. Its files say which class the policy is and which file
the task is, and loading either runs it.
"""

import argparse
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from manyseeds.core.errors import UserError
from manyseeds.tasks import registry

OURS = frozenset({"manyseeds.learning.ppo:PPO", "rsl_rl.algorithms:PPO"})
_allowed: set[str] = set()


def add_flag(parser: argparse.ArgumentParser) -> None:
    """Add the flag by which a user allows more, for `allow`."""
    parser.add_argument(
        "--allow_code",
        nargs="+",
        default=[],
        metavar="CODE",
        help="classes (MODULE:CLASS) and task files that the run's files may name, and which are then run",
    )


def allow(names: Iterable[str]) -> None:
    """Allow classes (`module:Class`) and task files for the rest of this process."""
    _allowed.update(names)


def check(agent: Any, task: Any, source: str) -> None:
    """Check what a run's files name, before any of it is imported.

    Args:
        agent: the configuration of the agent.
        task: a task reference.
        source: the file that names them, for error messages.

    Raises:
        UserError: when they name a class or a task file that is not allowed.
    """
    for where, name in classes(agent):
        # A name without a module is looked up in RSL-RL.
        if (":" in name or "." in name) and name not in OURS and name not in _allowed:
            raise UserError(
                f"{source}: {where} is {name!r}, which is code of neither RSL-RL nor manyseeds; if you trust it, "
                f"--allow_code {name} uses it."
            )
    if isinstance(task, str) and registry.is_file(task) and not _is_allowed_file(task):
        raise UserError(f"{source}: the task is the file {task}; if you trust it, --allow_code {task} runs it.")


def named(agent: Any, task: str) -> list[str]:
    """Return the classes and the task file that an experiment names and `check` would refuse."""
    names = [name for _, name in classes(agent) if (":" in name or "." in name) and name not in OURS]
    return list(dict.fromkeys([*names, *([task] if registry.is_file(task) else [])]))


def _is_allowed_file(task: str) -> bool:
    return any(registry.is_file(name) and Path(name).resolve() == Path(task).resolve() for name in _allowed)


def classes(content: Any, where: str = "") -> Iterator[tuple[str, str]]:
    """Yield the place and the name of every class that a configuration names."""
    if isinstance(content, Mapping):
        for key, value in content.items():
            place = f"{where}.{key}" if where else str(key)
            if key == "class_name" and isinstance(value, str):
                yield place, value
            else:
                yield from classes(value, place)
    elif isinstance(content, list):
        for index, value in enumerate(content):
            yield from classes(value, f"{where}[{index}]")
