"""Starting an external trainer, and finding what it left.

Each run has its own folder `<run>/work/run`, in which the trainer starts, so that two seeds that start in the same
second never share a relative log folder. An external trainer cannot resume: a start that finds an unfinished folder
moves it aside and begins again. A finished run is not repeated.
"""

import itertools
import os
import re
import shutil
import subprocess
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from manyseeds.config import RunConfig
from manyseeds.config.external import External, render
from manyseeds.config.templates import fill, split
from manyseeds.core import python_path
from manyseeds.core.code import Code, some
from manyseeds.core.errors import UserError
from manyseeds.core.files import expanded, parse_json, partials, write_atomic, write_json
from manyseeds.core.layout import (
    ANEW,
    CODE_DIFF,
    EVENT_FILE,
    EXTERNAL_WORK,
    JOURNAL,
    RUN_RECORD,
    SUPERSEDED,
)
from manyseeds.core.record import Journal, accept_code, image_digest, other_code, write_run_record
from manyseeds.core.text import flatten, now
from manyseeds.eventfiles.log import RENAMED_TAGS, read_log
from manyseeds.launch.inputs import inputs_code, repositories

ATTEMPT = "attempt.json"
"""The account of a start, written before the trainer starts."""
FINISHED = "finished.json"
"""The same when the trainer has ended."""
HIDDEN_EVENTS = "at-rest"
"""Instead of `tfevents` in the names of event files that TensorBoard must not show as a second run."""
# Lines of a trainer that failed which are shown.
LAST_LINES = 10
# Tags that a message lists.
MOST_TAGS = 60
COLLECTED = "collected"
"""Below the run's folder: what `collect` names."""
HANGS_AFTER_S = 300.0
"""A trainer that writes nothing for so long after its last checkpoint is said to hang."""
LOOK_EVERY_S = 15.0


class Job(Protocol):
    """What the launcher does for a trainer; see `manyseeds.launch.run.Job`."""

    def show(self, line: str) -> None:
        """Show a line to whoever started the workflow."""

    def start(
        self,
        arguments: Sequence[str],
        folder: Path | None = None,
        environment: Mapping[str, str] | None = None,
        last_lines: int = 1,
        idle: Callable[[], None] = lambda: None,
    ) -> Iterator[str]:
        """Run a command and yield its output by line; raises CalledProcessError."""


@dataclass(frozen=True)
class Attempt:
    """A run of an external trainer.

    Attributes:
        trainer: the trainer.
        run: what the run is; its threads and folder are the job's.
        image: the container image to run it in; "" for none.
    """

    trainer: External
    run: RunConfig
    image: str

    @property
    def work(self) -> Path:
        """The run's working folder."""
        return self.run.log_dir / EXTERNAL_WORK

    @property
    def folder(self) -> Path:
        """Where the trainer runs."""
        return self.work / "run"

    @property
    def name(self) -> str:
        """<variant>/seed_<seed>."""
        assert self.run.launched is not None
        return f"{self.run.launched.variant}/seed_{self.run.seed}"

    @property
    def values(self) -> dict[str, Any]:
        """The values of the placeholders of the templates."""
        return {
            **self.run.train.model_dump(exclude={"init_from", "logger"}),
            "seed": self.run.seed,
            "device": self.run.device,
            "log_dir": self.folder.resolve(),
            "task": self.run.task,
            "ranks": self.run.ranks,
            "variant": self.name.rpartition("/")[0],
            "folder": self.trainer.place,
        }

    def fill(self, text: str) -> str:
        """Put the values of placeholders into a text."""
        return fill(text, self.trainer.mapped(self.values))

    def command(self) -> list[str]:
        """Return the trainer's command line, without the container around it."""
        return render(
            self.trainer,
            self.values,
            agent_file=str(self.folder.resolve() / "agent.json") if self.run.agent_file else None,
            agent_overrides={} if self.run.agent_file else flatten(self.run.agent),
            task_overrides=flatten(self.run.task_cfg),
            init_from=str(Path(self.run.train.init_from).resolve()) if self.run.train.init_from else None,
            loggers=self.run.train.logger,
        )

    def finished(self) -> dict[str, Any] | None:
        """Return the account of a former start that trained to the end with the same settings."""
        account = self._account(FINISHED)
        if account is None and self.trainer.accept_crash and (account := self._account(ATTEMPT)) is not None:
            return self._accept(account, "an earlier start")
        return account

    def _account(self, name: str) -> dict[str, Any] | None:
        try:
            account: dict[str, Any] = parse_json((self.folder / name).read_text(encoding="utf-8"))
            return account if account["settings"] == self.run.identity() else None
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def _accept(self, account: dict[str, Any], how: str) -> dict[str, Any] | None:
        """Take a start that did not end well as finished; None when its last checkpoint is not there."""
        checkpoint = self.last_checkpoint()
        if checkpoint is None:
            return None
        note = (
            f"[INFO] {self.trainer.name} left {checkpoint.name} and then failed ({how}); trainer.accept_crash is set."
        )
        account |= {"note": note}
        write_json(self.folder / FINISHED, account)
        return account

    def last_checkpoint(self) -> Path | None:
        """Return the checkpoint of the last iteration, if it is there and not empty."""
        [name] = self.trainer.checkpoints(self.run.train.max_iterations, self.run.train.save_interval)
        try:
            path = self._logs(self.name) / name
            return path if path.stat().st_size else None
        except (UserError, OSError):
            return None

    def move_aside(self, reason: str = "") -> str | None:
        """Move aside what a former start left; return a sentence on it, None when there was nothing.

        Args:
            reason: why, where it is neither other settings nor an interruption.
        """
        if not self.folder.exists():
            return None
        done = (self.folder / FINISHED).is_file()
        aside = next(path for n in itertools.count(1) if not (path := self.work / f"{SUPERSEDED}_{n}").exists())
        self.hide_events()
        os.replace(self.folder, aside)
        why = "other settings" if done else f"{self.trainer.name} cannot continue a run that was interrupted"
        return f"[INFO] Starting over: {reason or why}. The older files are in {aside}."

    def train(self, job: Job) -> dict[str, Any]:
        """Start the trainer and wait for its end.

        Args:
            job: runs commands.

        Returns:
            The account of it: `settings`, `command` (words), `container`, `container_digest`, `packages`.

        Raises:
            UserError: when its program is not there.
            subprocess.CalledProcessError: when it fails.
        """
        self.prepare(self.folder)
        command, environment = self.command(), self.environment()
        account = {
            "settings": self.run.identity(),
            "command": command,
            "container": self.image or None,
            "container_digest": image_digest(self.image),
            "packages": self._packages(environment),
        }
        write_json(self.folder / ATTEMPT, account)
        try:
            for _ in self.start(job, command, self.folder, environment, self._watch(job)):
                pass
        except subprocess.CalledProcessError as error:
            how = f"signal {-error.returncode}" if error.returncode < 0 else f"exit code {error.returncode}"
            accepted = self._accept(account, how) if self.trainer.accept_crash else None
            if accepted is None:
                if (checkpoint := self.last_checkpoint()) is not None:
                    job.show(
                        f"[WARNING] {self.trainer.name} failed after its last checkpoint, {checkpoint}. If nothing is"
                        " missing, set trainer.accept_crash: true and start again: the run is then taken as it is,"
                        " without training again."
                    )
                raise
            job.show(accepted["note"])
            return accepted
        # Before its products are looked for: where the definition looks in the wrong place, nothing is trained twice.
        write_json(self.folder / FINISHED, account)
        return account

    def prepare(self, folder: Path) -> None:
        """Make a folder for one of the trainer's commands, with the links and the file of hyper-parameters in it."""
        folder.mkdir(parents=True)
        if self.run.agent_file:
            write_json(folder / "agent.json", self.run.agent)
        for name, target in self.trainer.links.items():
            (folder / name).symlink_to(target if self.image else expanded(target).absolute())

    def environment(self) -> dict[str, str]:
        """Return the environment variables that the trainer's commands get besides those of this process."""
        # Jobs have the path of this package before the user's own.
        environment = {"PYTHONPATH": python_path.without_package()}
        environment |= {name: self.fill(text) for name, text in self.trainer.environment.items()}
        return environment if self.image else environment | {"PATH": search_path(self.trainer)}

    def start(
        self,
        job: Job,
        command: Sequence[str],
        folder: Path,
        environment: Mapping[str, str],
        idle: Callable[[], None] = lambda: None,
    ) -> Iterator[str]:
        """Start one of the trainer's commands in a folder and yield its output by line.

        Raises:
            UserError: when its program is not there.
            subprocess.CalledProcessError: when it fails.
        """
        program = command[0] if self.image else find_program(self.trainer, command[0])
        words = self._contained([program, *command[1:]], folder)
        try:
            yield from job.start(words, folder, environment, LAST_LINES, idle)
        except OSError as error:
            if error.filename != words[0]:
                raise
            raise UserError(
                f"trainer {self.trainer.name}: its program {words[0]} cannot be started: {error.strerror}"
            ) from error

    def _watch(self, job: Job) -> Callable[[], None]:
        """Return what is done while the trainer writes nothing: say once that it seems to hang at its end."""
        said, looked = False, 0.0

        def look() -> None:
            nonlocal said, looked
            if said or time.monotonic() - looked < LOOK_EVERY_S:
                return
            looked = time.monotonic()
            checkpoint = self.last_checkpoint()
            if checkpoint is not None and (age := time.time() - checkpoint.stat().st_mtime) > HANGS_AFTER_S:
                said = True
                job.show(
                    f"[WARNING] {self.trainer.name} wrote its last checkpoint, {checkpoint}, {age / 60:.0f} minutes ago"
                    " and has not ended. If it hangs, end it; with trainer.accept_crash: true the run is then taken as"
                    " it is."
                )

        return look

    def products(self) -> dict[str, Path]:
        """Return what the trainer left: by its name in the run's folder, where it is.

        Raises:
            UserError: when it left no single log folder, no event file, or not the last checkpoint; says what was
                looked for and what was found.
        """
        run = f"{self.name}: {self.trainer.name} ended with success but left"
        logs = self._logs(run)
        events = [
            path for mark in ("tfevents", HIDDEN_EVENTS) for path in sorted(logs.glob(f"*{mark}*")) if path.is_file()
        ]
        if not events:
            raise UserError(f"{run} no event file (a name with 'tfevents') in {logs}; {_listing(logs)}")
        train = self.run.train
        [last] = self.trainer.checkpoints(train.max_iterations, train.save_interval)
        found = {path.name: path for path in numbered(self.trainer, logs).values()}
        if last not in found:
            raise UserError(
                f"{run} no {last} in {logs}, the checkpoint of iteration {train.max_iterations} when the first is"
                f" numbered {self.trainer.first_iteration} (trainer.checkpoint, trainer.first_iteration); found:"
                f" {', '.join(found) or 'no checkpoint'}. Without {self.folder} the next start trains again"
            )
        empty = [name for name, path in found.items() if not path.stat().st_size]
        if empty:
            raise UserError(f"{run} an empty {empty[0]} in {logs}")
        params = {f"params/{path.name}": path for path in sorted(logs.glob("params/*.yaml"))}
        params |= {f"{COLLECTED}/{name}": path for name, path in self._others(logs)}
        names = ["", *(f".{number}" for number in range(1, len(events)))]
        return found | {f"{EVENT_FILE}{n}": path for n, path in zip(names, events, strict=True)} | params

    def collect(self) -> list[str]:
        """Link what the trainer left into the run's folder; hide its event files from TensorBoard.

        Returns:
            The names of the files, relative to the run's folder.

        Raises:
            UserError: when something is missing.
        """
        folder, products = self.run.log_dir, self.products()
        strays = [self.trainer.checkpoint.replace("{iteration}", "*"), f"{EVENT_FILE}*", "params/*.yaml"]
        for stray in (path for pattern in (*strays, f"{COLLECTED}/**/*") for path in folder.glob(pattern)):
            if stray.is_file() and str(stray.relative_to(folder)) not in products:
                stray.unlink()
        for name, source in products.items():
            _link(source, folder / name)
        self.hide_events()
        return list(products)

    def _others(self, logs: Path) -> Iterator[tuple[str, Path]]:
        """Yield the files that `collect` names, with their names in the log folder."""
        for pattern in self.trainer.collect:
            for found in sorted(logs.glob(pattern)):
                for path in [found] if found.is_file() else sorted(found.rglob("*")):
                    if path.is_file() and HIDDEN_EVENTS not in path.name:
                        yield path.relative_to(logs).as_posix(), path

    def notes(self) -> list[str]:
        """Return what the definition names and the trainer did not leave."""
        logs, name, scalars = self._logs(self.name), self.trainer.name, self.trainer.scalars
        notes = [
            f"[WARNING] {name} left nothing that matches {pattern} (trainer.collect); {_listing(logs)}."
            for pattern in self.trainer.collect
            if not any(logs.glob(pattern))
        ]
        try:
            tags = read_log(self.run.log_dir, iterations_of=scalars.reward, allow_corrupt=True).tags
        except UserError:  # the export says what is wrong with it
            return notes
        named = {"reward": scalars.reward, "success": scalars.success}
        return notes + [
            f"[WARNING] {name} logged nothing under {tag} (trainer.scalars.{key}); it logged {_some(tags, MOST_TAGS)}."
            for key, tag in named.items()
            if tag and RENAMED_TAGS.get(tag, tag) not in tags
        ]

    def hide_events(self) -> None:
        """Rename the event files in the trainer's folder: they are not a second run to TensorBoard."""
        for events in self.folder.rglob("*tfevents*"):
            os.replace(events, events.with_name(events.name.replace("tfevents", HIDDEN_EVENTS)))

    def _logs(self, run: str) -> Path:
        pattern = self.fill(self.trainer.logs)
        folders = [self.folder] if pattern == "." else [path for path in self.folder.glob(pattern) if path.is_dir()]
        if len(folders) > 1:  # a trainer may make more folders; those of another kind hold no event file
            folders = [path for path in folders if any(path.glob("*tfevents*")) or any(path.glob(f"*{HIDDEN_EVENTS}*"))]
        if len(folders) == 1:
            return folders[0]
        there = _listing(self.folder) if not folders else f"there are {', '.join(sorted(map(str, folders)))}"
        how_many = "no" if not folders else "more than one"
        raise UserError(f"{run} {how_many} log folder {pattern} in {self.folder}; {there}")

    def _contained(self, command: list[str], folder: Path) -> list[str]:
        """Put the container around a command, as Snakemake does: the working directory is home and mounted."""
        if not self.image:
            return command
        program = "apptainer" if shutil.which("apptainer") else "singularity"
        return [program, "exec", "--home", str(Path.cwd()), "--pwd", str(folder.resolve()), self.image, *command]

    def _packages(self, environment: Mapping[str, str]) -> dict[str, str]:
        """Ask the trainer's environment for its packages; the result is empty if it does not list them."""
        if not self.trainer.versions:
            return {}
        command = [self.fill(word) for word in split(self.trainer.versions)]
        variables = os.environ | environment
        if not self.image:
            # The Python next to the trainer's program, not the one that runs this.
            program = find_program(self.trainer, split(self.trainer.command)[0])
            variables["PATH"] = f"{Path(program).parent}{os.pathsep}{variables['PATH']}"
            command[0] = shutil.which(command[0], path=variables["PATH"]) or command[0]
        try:
            output = subprocess.run(
                self._contained(command, self.folder),
                cwd=self.folder,
                env=variables,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                errors="replace",
                timeout=300,
                check=True,
            ).stdout
        except (OSError, subprocess.SubprocessError):
            return {}
        pairs = [line.strip().split("==", 1) for line in output.splitlines() if "==" in line]
        return dict(pairs)


def train(attempt: Attempt, job: Job) -> None:
    """Train, unless that is done; collect what the trainer left and write the record of the run.

    Raises:
        UserError: when something is missing.
        subprocess.CalledProcessError: when training fails.
    """
    folder, run = attempt.run.log_dir, attempt.run
    for pattern in (
        *map(partials, (RUN_RECORD, JOURNAL, CODE_DIFF, ANEW)),
        ".*.link",
        "params/.*.link",
        f"{COLLECTED}/**/.*.link",
    ):
        for partial in folder.glob(pattern):  # of a killed process
            partial.unlink()
    account = attempt.finished()
    code = inputs_code(attempt.trainer)
    anew = _why_anew(folder, run, code) if account else ""
    journal = Journal(folder)
    if account is None or anew:
        sentence = attempt.move_aside(anew)
        (folder / ANEW).unlink(missing_ok=True)
        if sentence:
            job.show(sentence)
        (folder / RUN_RECORD).unlink(missing_ok=True)
        journal.start(*([sentence] if sentence else []), code=code, repositories=repositories(attempt.trainer))
        account = attempt.train(job)
    assert run.launched is not None
    made_by = {name: account[name] for name in ("command", "container", "container_digest", "packages")}
    ended = journal.end(inputs_code(attempt.trainer))
    if "note" in account:
        ended["notes"] = [*ended["notes"], account["note"]]
    outputs = attempt.collect()
    for note in attempt.notes():
        job.show(note)
        ended["notes"] = [*ended["notes"], note]
    write_run_record(
        folder,
        outputs,
        **run.launched.model_dump() | made_by,
        seed=run.seed,
        config=run.identity(),
        threads=run.train.threads,
        **ended,
        ended=now(),
    )


def _why_anew(folder: Path, run: RunConfig, code: Code) -> str:
    """Return why a finished run must be trained again; "" where it must not.

    Raises:
        UserError: when the trainer's inputs have changed, and nobody said what to do.
    """
    if (folder / ANEW).is_file():
        return (folder / ANEW).read_text(encoding="utf-8")
    changes = other_code(folder, code)
    if not changes:
        return ""
    if run.changed_code == "stop":
        raise UserError(
            f"{folder} was made by other inputs of its trainer: {some(changes)}. Restore them, or set changed_code to"
            " redo (train again, the older files are kept) or accept (keep the run, and note it)"
        )
    if run.changed_code == "accept":
        accept_code(folder, code, "accepted when it was finished")
        return ""
    return f"trainer.inputs have changed: {some(changes)}"


def remove_work(folder: Path) -> None:
    """Remove the folder in which an external trainer ran; superseded runs in it stay."""
    for path in (folder / EXTERNAL_WORK).glob("*"):
        if path.name.startswith(SUPERSEDED):
            continue
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)
    with suppress(OSError):
        (folder / EXTERNAL_WORK).rmdir()


def search_path(trainer: External) -> str:
    """Return the PATH on which a trainer's programs are looked for."""
    own = [str(expanded(trainer.path).absolute())] if trainer.path else []
    return os.pathsep.join([*own, os.environ.get("PATH", os.defpath)])


def find_programs(trainer: External) -> None:
    """Check that the programs that a trainer's commands begin with are there.

    Raises:
        UserError: when one is not there or cannot be started.
    """
    commands = [trainer.command, *([trainer.evaluate.command] if trainer.evaluate else [])]
    for command in commands:
        find_program(trainer, split(command)[0])


def find_program(trainer: External, program: str) -> str:
    """Return the path of a program of a trainer, a relative one from the working directory.

    Raises:
        UserError: when it is not there or cannot be started.
    """
    place = str(expanded(program)) if program.startswith("~") else program  # a Path would drop the ./ of ./train.sh
    found = shutil.which(place, path=search_path(trainer))
    if found is None:
        if Path(place).is_file():
            raise UserError(
                f"trainer {trainer.name}: its program {program} is not executable; chmod +x {place} makes it so"
            )
        where = f"in {trainer.path} or on PATH" if trainer.path else "on PATH"
        raise UserError(
            f"trainer {trainer.name}: its program {program} is not found {where}; trainer.path names the folder"
            " where it is, and --use-singularity runs it in trainer.container"
        )
    path = Path(found).absolute()
    if problem := _unstartable(path):
        raise UserError(f"trainer {trainer.name}: its program {program} cannot be started: {problem}")
    return str(path)


def _unstartable(program: Path) -> str | None:
    """Say why the kernel cannot start a file that is executable, or return None."""
    try:
        with program.open("rb") as stream:
            first = stream.read(256).split(b"\n")[0]
    except OSError:  # a program that may be run and not read
        return None
    if first.startswith(b"\x7fELF"):
        return None
    if not first.startswith(b"#!"):
        return (
            "it is neither a program nor a script that begins with #!; write its interpreter before it, as in bash FILE"
        )
    if first.endswith(b"\r"):
        return f"its lines end as on Windows; sed -i 's/\\r$//' {program} corrects that"
    interpreter = os.fsdecode((first[2:].split() or [b""])[0])
    if not Path(interpreter).is_file():
        return f"its interpreter {interpreter or '(none)'}, which its first line names, does not exist"
    return None


def events_in_progress(work: Path) -> Path | None:
    """Return the event file that another trainer is writing below a run's working folder, if there is one yet."""
    found = [path for path in (work / "run").rglob("*tfevents*") if path.is_file()]
    return max(found, key=lambda path: path.stat().st_mtime, default=None)


def numbered(trainer: External, folder: Path) -> dict[int, Path]:
    """Return the checkpoints in a folder by the number in their name, in that order."""
    before, after = trainer.checkpoint.split("{iteration}")
    pattern = re.compile(f"{re.escape(before)}([0-9]+){re.escape(after)}")
    found = [(int(match[1]), path) for path in folder.iterdir() if (match := pattern.fullmatch(path.name))]
    return dict(sorted(found))


def _link(source: Path, target: Path) -> None:
    """Make `target` the same file as `source`, or a copy where the file system knows no hard links."""
    if target.exists() and target.samefile(source):
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_name(f".{target.name}.link")
    partial.unlink(missing_ok=True)
    try:
        os.link(source, partial)
    except OSError:
        with write_atomic(target) as copy:
            shutil.copyfile(source, copy)
    else:
        os.replace(partial, target)


def _listing(folder: Path) -> str:
    names = sorted(f"{path.name}/" if path.is_dir() else path.name for path in folder.iterdir())
    return f"{folder.name}/ holds {_some(names)}" if names else f"{folder.name}/ is empty"


def _some(names: Iterable[str], limit: int = 10) -> str:
    names = list(names)
    return ", ".join(names[:limit]) + (f" and {len(names) - limit} more" if len(names) > limit else "")
