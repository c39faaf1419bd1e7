"""The packages of an image: `requirements` prints what to install, `check` imports them and compares with the lock.

It needs only the standard library, and pyproject.toml and requirements.lock in its own folder; the project need not be
installed. A group is an extra of pyproject.toml or a requirements file; the project's own dependencies are always
added.
"""

import argparse
import importlib
import importlib.metadata
import os
import re
import sys
import tomllib
from pathlib import Path

HERE = Path(__file__).resolve().parent


def requirements(groups: list[str]) -> list[str]:
    """Return the requirement lines of the project's dependencies and of these groups."""
    project = tomllib.loads((HERE / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    lines = list(project["dependencies"])
    for group in groups:
        if group in project["optional-dependencies"]:
            lines += project["optional-dependencies"][group]
        else:
            text = (HERE / group).read_text(encoding="utf-8")
            lines += [line for line in text.splitlines() if line and not line.startswith("#")]
    return lines


def problems(groups: list[str]) -> list[str]:
    """Return one sentence per package that is missing, has another version than the lock, or cannot be imported."""
    locked = dict(re.findall(r"^([\w.-]+)==([^\s;]+)", (HERE / "requirements.lock").read_text(encoding="utf-8"), re.M))
    modules: dict[str, list[str]] = {}
    for module, distributions in importlib.metadata.packages_distributions().items():
        for distribution in distributions:
            modules.setdefault(_normalized(distribution), []).append(module)
    found = []
    for line in requirements(groups):
        name = _normalized(re.match(r"[\w.-]+", line).group())
        try:
            version = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            found.append(f"{name} is not installed")
            continue
        # CPU builds have versions such as 2.13.0+cpu.
        if version.split("+")[0] != locked[name]:
            found.append(f"{name} is {version}, the lock says {locked[name]}")
        for module in modules.get(name, []):
            if not module.isidentifier() or module.startswith("_"):
                continue
            try:
                path = getattr(importlib.import_module(module), "__file__", None)
            except Exception as error:  # a broken package can raise anything
                found.append(f"{name}: import {module}: {error!r}")
            else:
                if path and not Path(path).is_relative_to(sys.prefix):
                    found.append(f"{name}: {module} is {path}, outside of {sys.prefix}")
    return found


def _normalized(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def main() -> int:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("command", choices=["requirements", "check"])
    parser.add_argument("groups", nargs="*", help="($MANYSEEDS_EXTRAS, separated by commas)")
    arguments = parser.parse_args()
    groups = arguments.groups or [group for group in os.environ.get("MANYSEEDS_EXTRAS", "").split(",") if group]
    if arguments.command == "requirements":
        print("\n".join(requirements(groups)))
        return 0
    found = problems(groups)
    print("\n".join(found) or "every package imports and has the locked version")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
