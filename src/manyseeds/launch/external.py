"""Starting another trainer, and finding what it left.

A run works in `<run>/work/run`, alone: the trainer is started there, so that a relative log folder is its own and two
seeds that start in the same second cannot take each other's. It cannot go on from where it was killed, so a start that
finds an unfinished folder moves it aside and begins again; a finished one is not repeated.
"""

import itertools
import json
import os
import re
import shutil
import subprocess
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from manyseeds.config import Experiment
from manyseeds.config.external import Definition, fill, render, split
from manyseeds.config.variants import flatten
from manyseeds.core.errors import UserError
from manyseeds.core.files import write_atomic
from manyseeds.core.record import image_digest

FINISHED = "finished.json"
AT_REST = "at-rest"
"""Instead of `tfevents` in the names of event files that shall not be a second run to TensorBoard."""
# Lines of a trainer that failed which are told.
LAST_LINES = 10

Start = Callable[[Sequence[str], Path, Mapping[str, str]], None]
"""Runs a command in a folder with additional environment variables; raises CalledProcessError."""


@dataclass(frozen=True)
class Attempt:
    """A run of another trainer.

    Attributes:
        definition: the trainer.
        experiment: the resolved experiment.
        variant: name of the variant.
        seed: the run's seed.
        threads: CPU threads to use.
        work: the run's working folder.
        image: the container image to run it in; "" for none.
    """

    definition: Definition
    experiment: Experiment
    variant: str
    seed: int
    threads: int
    work: Path
    image: str

    @property
    def folder(self) -> Path:
        """Where the trainer runs."""
        return self.work / "run"

    @property
    def values(self) -> dict[str, Any]:
        """What the placeholders of the templates stand for."""
        train = self.experiment.variant(self.variant).train
        return {
            "seed": self.seed,
            "num_envs": train.num_envs,
            "max_iterations": train.max_iterations,
            "save_interval": train.save_interval,
            "env_spacing": train.env_spacing,
            "device": self.experiment.device,
            "log_dir": self.folder.resolve(),
            "task": self.experiment.task,
            "threads": self.threads,
            "ranks": self.experiment.ranks,
            "variant": self.variant,
        }

    def command(self) -> list[str]:
        """Return the trainer's command line, without the container around it."""
        chosen = self.experiment.variant(self.variant)
        return render(
            self.definition,
            self.values,
            agent_file=str(self.folder.resolve() / "agent.json") if chosen.agent_file else None,
            agent_overrides={} if chosen.agent_file else flatten(chosen.agent),
            task_overrides=flatten(chosen.task_cfg),
        )

    def finished(self) -> dict[str, Any] | None:
        """Return the account of a former start that trained to the end with the same settings."""
        try:
            account: dict[str, Any] = json.loads((self.folder / FINISHED).read_text(encoding="utf-8"))
            return account if account["settings"] == self.experiment.settings(self.variant, self.seed) else None
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def make_way(self) -> str | None:
        """Move aside what a former start left; return a sentence on it, None when there was nothing."""
        if not self.folder.exists():
            return None
        done = (self.folder / FINISHED).is_file()
        aside = next(path for n in itertools.count(1) if not (path := self.work / f"superseded_{n}").exists())
        for events in self.folder.rglob("*tfevents*"):
            _put_to_rest(events)
        os.replace(self.folder, aside)
        why = "other settings" if done else f"{self.definition.name} cannot continue a run that was interrupted"
        return f"[INFO] Starting over: {why}. The older files are in {aside}."

    def train(self, start: Start) -> dict[str, Any]:
        """Start the trainer and wait for its end.

        Args:
            start: runs a command.

        Returns:
            The account of it: `settings`, `command` (words), `container`, `container_digest`, `packages`.

        Raises:
            UserError: when its program is not there.
            subprocess.CalledProcessError: when it fails.
        """
        self.folder.mkdir(parents=True)
        chosen = self.experiment.variant(self.variant)
        if chosen.agent_file:
            (self.folder / "agent.json").write_text(json.dumps(chosen.agent, indent=2) + "\n", encoding="utf-8")
        for name, target in self.definition.links.items():
            (self.folder / name).symlink_to(target if self.image else Path(target).expanduser().absolute())
        command = self.command()
        environment = {name: fill(text, self.values) for name, text in self.definition.environment.items()}
        if not self.image:
            environment["PATH"] = search_path(self.definition)
            find_program(self.definition)
        packages = self._packages(environment)
        start(self._contained(command), self.folder, environment)
        account = {
            "settings": self.experiment.settings(self.variant, self.seed),
            "command": command,
            "container": self.image or None,
            "container_digest": image_digest(self.image),
            "packages": packages,
        }
        # Before its products are looked for: where the definition looks in the wrong place, nothing is trained twice.
        with write_atomic(self.folder / FINISHED) as partial:
            partial.write_text(json.dumps(account, indent=2) + "\n", encoding="utf-8")
        return account

    def products(self) -> dict[str, Path]:
        """Return what the trainer left: by its name in the run's folder, where it is.

        Raises:
            UserError: when it left no single log folder, no event file, or not the last checkpoint; says what was
                looked for and what was found.
        """
        run = f"{self.variant}/seed_{self.seed}: {self.definition.name} ended with success but left"
        logs = self._logs(run)
        events = [path for mark in ("tfevents", AT_REST) for path in sorted(logs.glob(f"*{mark}*")) if path.is_file()]
        if not events:
            raise UserError(f"{run} no event file (a name with 'tfevents') in {logs}; {_listing(logs)}")
        last = self.experiment.checkpoints(self.variant)[0]
        found = _numbered(self.definition, logs)
        if last not in found:
            train = self.experiment.variant(self.variant).train
            raise UserError(
                f"{run} no {last} in {logs}, the checkpoint of iteration {train.max_iterations} when the first is"
                f" numbered {self.definition.first_iteration} (trainer.checkpoint, trainer.first_iteration); found:"
                f" {', '.join(found) or 'no checkpoint'}. Without {self.folder} the next start trains again"
            )
        empty = [name for name, path in found.items() if not path.stat().st_size]
        if empty:
            raise UserError(f"{run} an empty {empty[0]} in {logs}")
        params = {f"params/{path.name}": path for path in sorted(logs.glob("params/*.yaml"))}
        names = ["", *(f".{number}" for number in range(1, len(events)))]
        return (
            found | {f"events.out.tfevents.manyseeds{n}": path for n, path in zip(names, events, strict=True)} | params
        )

    def put_to_rest(self) -> None:
        """Rename the event files that the run's folder has now, so that they are not a second run to TensorBoard."""
        for events in self.folder.rglob("*tfevents*"):
            _put_to_rest(events)

    def _logs(self, run: str) -> Path:
        pattern = fill(self.definition.logs, self.values)
        folders = [self.folder] if pattern == "." else [path for path in self.folder.glob(pattern) if path.is_dir()]
        if len(folders) > 1:  # a trainer may make more folders; those of another kind hold no event file
            folders = [path for path in folders if any(path.glob("*tfevents*")) or any(path.glob(f"*{AT_REST}*"))]
        if len(folders) == 1:
            return folders[0]
        there = _listing(self.folder) if not folders else f"there are {', '.join(sorted(map(str, folders)))}"
        how_many = "no" if not folders else "more than one"
        raise UserError(f"{run} {how_many} log folder {pattern} in {self.folder}; {there}")

    def _contained(self, command: list[str]) -> list[str]:
        """Put the container around a command, as Snakemake does: the working directory is home and mounted."""
        if not self.image:
            return command
        program = "apptainer" if shutil.which("apptainer") else "singularity"
        return [program, "exec", "--home", str(Path.cwd()), "--pwd", str(self.folder.resolve()), self.image, *command]

    def _packages(self, environment: Mapping[str, str]) -> dict[str, str]:
        """Ask the trainer's environment for its packages; none where it does not say."""
        if not self.definition.versions:
            return {}
        command = [fill(word, self.values) for word in split(self.definition.versions)]
        variables = os.environ | environment
        if not self.image:
            # The Python beside the trainer's program, not the one that runs this.
            variables["PATH"] = f"{Path(find_program(self.definition)).parent}{os.pathsep}{variables['PATH']}"
            command[0] = shutil.which(command[0], path=variables["PATH"]) or command[0]
        # Ours are not the trainer's.
        variables.pop("PYTHONPATH", None)
        try:
            output = subprocess.run(
                self._contained(command),
                cwd=self.folder,
                env=variables,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=300,
                check=True,
            ).stdout
        except (OSError, subprocess.SubprocessError):
            return {}
        pairs = [line.strip().split("==", 1) for line in output.splitlines() if "==" in line]
        return dict(pairs)


def search_path(definition: Definition) -> str:
    """Return the PATH on which a trainer's programs are looked for."""
    own = [str(Path(definition.path).expanduser().absolute())] if definition.path else []
    return os.pathsep.join([*own, os.environ.get("PATH", os.defpath)])


def find_program(definition: Definition) -> str:
    """Return the path of the program that a trainer's command begins with.

    Raises:
        UserError: when it is not there.
    """
    program = split(definition.command)[0]
    found = shutil.which(program, path=search_path(definition))
    if found is None:
        where = f"in {definition.path} or on PATH" if definition.path else "on PATH"
        raise UserError(
            f"trainer {definition.name}: its program {program} is not found {where}; trainer.path names the folder"
            " where it is, and --use-singularity runs it in trainer.container"
        )
    return str(Path(found).absolute())


def events_in_progress(work: Path) -> Path | None:
    """Return the event file that another trainer is writing below a run's working folder, if there is one yet."""
    found = [path for path in (work / "run").rglob("*tfevents*") if path.is_file()]
    return max(found, key=lambda path: path.stat().st_mtime, default=None)


def _numbered(definition: Definition, logs: Path) -> dict[str, Path]:
    """Return the checkpoints in a log folder by name, in the order of their iterations."""
    before, after = definition.checkpoint.split("{iteration}")
    pattern = re.compile(f"{re.escape(before)}([0-9]+){re.escape(after)}")
    found = [(int(match[1]), path) for path in logs.iterdir() if (match := pattern.fullmatch(path.name))]
    return {path.name: path for _, path in sorted(found)}


def _put_to_rest(events: Path) -> None:
    os.replace(events, events.with_name(events.name.replace("tfevents", AT_REST)))


def _listing(folder: Path) -> str:
    names = sorted(f"{path.name}/" if path.is_dir() else path.name for path in folder.iterdir())
    return f"{folder.name}/ holds {_some(names)}" if names else f"{folder.name}/ is empty"


def _some(names: Iterable[str], limit: int = 10) -> str:
    names = list(names)
    return ", ".join(names[:limit]) + (f" and {len(names) - limit} more" if len(names) > limit else "")
