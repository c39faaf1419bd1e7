"""Start one run of an experiment: ours or an external trainer's.

The launcher locks the run's folder, waits for GPUs and keeps the console output. Our training works in the run's folder
and writes run.json when it has ended, so that a killed run resumes where it was; `manyseeds.launch.external` does the
same for a trainer that cannot continue.
"""

import argparse
import os
import re
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path

from manyseeds import gpus
from manyseeds.config import Experiment, RunConfig, read_resolved
from manyseeds.config.external import ENVIRONMENT_VARIABLE, External
from manyseeds.config.settings import Launched
from manyseeds.core import race
from manyseeds.core.arguments import at_least, verb_parser
from manyseeds.core.files import open_unlinked, refuse_links, write_json
from manyseeds.core.layout import (
    JOURNAL,
    LOCK,
    LOGGERS_LOCK,
    PREVIOUS_STATE,
    RUN_CONFIG,
    RUN_RECORD,
    STATES,
    run_folder,
)
from manyseeds.core.ledger import plan_digest, plan_of
from manyseeds.core.locks import LOCKED_VARIABLE, locked
from manyseeds.launch import external
from manyseeds.launch.output import Output
from manyseeds.launch.pace import Pace

LEFT_BEHIND = "[WARNING] Training has ended, but a process that it started in the background goes on."
# Lines of training's output that are forwarded to the user.
FORWARDED = ("[INFO] Starting over", "[WARNING] ", "[INFO] Continuing")


@dataclass(frozen=True)
class Job:
    """A run that has its folder and its GPUs.

    Attributes:
        name: <variant>/seed_<seed>.
        run: what the run is.
        log: where the console output goes; appended to.
        lock: descriptor of the folder's lock.
        lease: its GPUs.
    """

    name: str
    run: RunConfig
    log: Path
    lock: int
    lease: gpus.Lease

    def show(self, line: str) -> None:
        """Show a line to whoever started the workflow."""
        print(f"{self.name}: {line}", file=sys.stderr, flush=True)

    def start(
        self,
        arguments: Sequence[str],
        folder: Path | None = None,
        environment: Mapping[str, str] | None = None,
        last_lines: int = 1,
        idle: Callable[[], None] = lambda: None,
    ) -> Iterator[str]:
        """Run a command, append its output to the log and yield it by line, until the command has ended.

        Args:
            arguments: the command.
            folder: where it runs.
            environment: environment variables besides those of this process.
            last_lines: lines that the error keeps.
            idle: called about every second while the command writes nothing.

        Raises:
            subprocess.CalledProcessError: when it fails; `output` is its last lines.
        """
        self.log.parent.mkdir(parents=True, exist_ok=True)
        last: deque[str] = deque(maxlen=last_lines)
        inherited = {name: text for name, text in os.environ.items() if name != ENVIRONMENT_VARIABLE}
        held = {LOCKED_VARIABLE: str(self.run.log_dir.resolve()), "PYTHONUNBUFFERED": "1"}
        with (
            open_unlinked(self.log, "a", encoding="utf-8", buffering=1) as stream,
            # The child holds both locks too: if this process is killed, no other starts before the child is gone.
            subprocess.Popen(
                arguments,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                cwd=folder,
                env=inherited | dict(environment or {}) | self.lease.environment | held,
                pass_fds=(self.lock, *self.lease.descriptors),
            ) as process,
        ):
            output = Output(process, idle)
            for line in output:
                stream.write(f"{line}\n")
                if line.strip():
                    last.append(line.strip())
                yield line.rstrip()
            if output.left_behind:
                self.show(LEFT_BEHIND)
                stream.write(f"{LEFT_BEHIND}\n")
        if process.returncode:
            raise subprocess.CalledProcessError(process.returncode, arguments, output="\n".join(last))


def train_run(
    experiment: Experiment,
    folder: Path,
    variant: str,
    seed: int,
    threads: int,
    log: Path,
    image: str = "",
    until: int | None = None,
) -> None:
    """Train one run, or continue it.

    Args:
        experiment: the resolved experiment.
        folder: the run's folder.
        variant: name of the variant.
        seed: the run's seed.
        threads: CPU threads to use; 0 for all.
        log: where the console output goes; appended to.
        image: the container image to start an external trainer in; "" for none. Ours runs where this runs.
        until: iterations after which it ends; None: all, or as many as the race of the experiment lets it have.

    Raises:
        UserError: when training ended without leaving what it should, or the race is not decided.
        subprocess.CalledProcessError: when training fails; `output` is its last line, or lines of an external trainer.
        OSError: when the folder or the log cannot be written.
    """
    name = run_folder(variant, seed)
    stop = None
    if experiment.race and until is None:
        stop = race.stopped(folder.parent.parent, experiment.race.rungs).get(variant)
    folder.mkdir(parents=True, exist_ok=True)
    refuse_links(folder)

    def wait() -> None:
        print(f"{folder}: waiting for another process that trains this run", file=sys.stderr, flush=True)

    title = f"{experiment.experiment}/{name}"
    with locked(folder / LOCK, wait) as lock, lease(experiment, title, experiment.gpus_per_run) as leased:
        run = run_of(experiment, folder, variant, seed, threads, leased)
        if end := stop.iteration if stop else until:
            run = _shorter(run, end, stop)
        job = Job(name, run, log, lock, leased)
        if isinstance(experiment.trainer, External):
            trainer = experiment.trainer.revealed(os.environ.get(ENVIRONMENT_VARIABLE, ""))
            external.train(external.Attempt(trainer, run, image), job)
        else:
            _train(job)


def run_of(
    experiment: Experiment, folder: Path, variant: str, seed: int, threads: int, leased: gpus.Lease
) -> RunConfig:
    """Return what a run is, with its folder, its threads (0 for all) and what its record says of the launcher."""
    run = experiment.run(variant, seed)
    launched = Launched(
        experiment=experiment.experiment,
        variant=variant,
        gpus=[str(device) for device in leased.devices or gpus.allotted()],
        slurm_job=os.environ.get("SLURM_JOB_ID"),
        command=["python", *_arguments(folder)],  # without the interpreter's path, which is of this machine
        plan=plan_digest(plan_of(experiment.to_dict())),
    )
    train = run.train.model_copy(update={"threads": threads or "auto"})
    return run.model_copy(update={"log_dir": folder, "train": train, "launched": launched})


def _shorter(run: RunConfig, iterations: int, stop: race.Stop | None) -> RunConfig:
    """Return a run that ends at a rung of the race, with the reason if it is its last one."""
    train = run.train.model_copy(update={"max_iterations": iterations})
    launched = run.launched and run.launched.model_copy(update={"race": stop and stop.words()})
    return run.model_copy(update={"train": train, "launched": launched})


def _arguments(folder: Path) -> list[str]:
    """Return the arguments with which Python trains a run in its folder."""
    return ["-m", "manyseeds", "train", "--run", str(folder / RUN_CONFIG)]


def remove_state(folder: Path) -> None:
    """Remove what a finished run would need to be continued; superseded runs and unfinished ones stay.

    Raises:
        BlockingIOError: when another process works on the run; then nothing is removed.
    """
    if not (folder / RUN_RECORD).is_file():
        return
    with locked(folder / LOCK), locked(folder / LOGGERS_LOCK):
        for name in (*STATES, JOURNAL, RUN_CONFIG):
            (folder / name).unlink(missing_ok=True)
        external.remove_work(folder)
        for name in (LOCK, LOGGERS_LOCK):
            (folder / name).unlink(missing_ok=True)


def _train(job: Job) -> None:
    """Train with our trainer, which writes the record of the run."""
    folder = job.run.log_dir
    for partial in folder.glob(f".{Path(RUN_CONFIG).stem}.*"):  # of a killed process
        partial.unlink()
    write_json(folder / RUN_CONFIG, job.run.model_dump(mode="json"))
    pace = Pace(time.monotonic())
    for line in job.start([sys.executable, *_arguments(folder)]):
        if line.startswith(FORWARDED):
            job.show(line)
        elif progress := pace.heard(line, time.monotonic()):
            job.show(progress)
    # A finished run needs one whole state to be made longer.
    (folder / PREVIOUS_STATE).unlink(missing_ok=True)


def lease(experiment: Experiment, run: str, count: int) -> AbstractContextManager[gpus.Lease]:
    """Return the context in which a run has so many GPUs; on a CPU there is no lease."""
    if not experiment.leases_gpus:
        return nullcontext(gpus.Lease())
    devices = gpus.allowed(experiment.gpus)
    return gpus.lease(devices, count, experiment.jobs_per_gpu, run)


def _failure(what: str, code: int, last: str, log: Path) -> str:
    """Return how a command failed, with its last lines and the place of its log."""
    ended = f"was killed by signal {-code}" if code < 0 else f"ended with exit code {code}"
    if "\n" in last:
        lines = "".join(f"\n  {line}" for line in last.splitlines())
        return f"{what} {ended} (log: {log}); its last lines:{lines}"
    last = re.sub(r"^error: ", "", last)
    return f"{what} {ended}{': ' if last else ''}{last} (log: {log})"


def work_on_run(
    parser: argparse.ArgumentParser, argv: Sequence[str] | None, step: str, what: str, work: Callable[..., None]
) -> int:
    """Read the arguments of a verb that starts a program for one run, start it, and say how it failed.

    Args:
        parser: the verb's.
        argv: its arguments.
        step: what its log is called.
        what: what is started, for messages.
        work: takes the experiment, the run's folder, the variant, the seed, the threads, the log and the image; and by
            keyword the arguments that the verb itself added to the parser.

    Returns:
        The exit code of what was started.
    """
    parser.add_argument("--config", type=Path, required=True, help="config.json of the experiment's folder")
    parser.add_argument("--variant", default="default", help="which variant (default)")
    parser.add_argument("--seed", type=int, required=True, help="which seed")
    parser.add_argument("--threads", type=at_least(0), default=0, help="CPU threads; 0: all")
    parser.add_argument(
        "--image",
        default=os.environ.get("MANYSEEDS_TRAINER_IMAGE", ""),
        help="container image to start an external trainer's command in ($MANYSEEDS_TRAINER_IMAGE)",
    )
    parser.add_argument("--log", type=Path, help=f"where the console output goes ({step}.log in the run's folder)")
    arguments = parser.parse_args(argv)
    name = run_folder(arguments.variant, arguments.seed)
    folder = arguments.config.parent / name
    log = arguments.log or folder / f"{step}.log"
    try:
        experiment = read_resolved(arguments.config)
        shared = ("config", "variant", "seed", "threads", "image", "log")
        own = {key: value for key, value in vars(arguments).items() if key not in shared}
        work(experiment, folder, arguments.variant, arguments.seed, arguments.threads, log, arguments.image, **own)
    except OSError as error:
        place = error.filename or log
        print(f"error: {place} cannot be written: {error.strerror}; starting again continues.", file=sys.stderr)
        return 1
    except subprocess.CalledProcessError as error:
        print(f"error: {name}: {_failure(what, error.returncode, error.output, log)}", file=sys.stderr)
        return error.returncode if error.returncode > 0 else 128 - error.returncode
    return 0


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; return training's exit code."""
    parser = verb_parser(
        "launch", __doc__.split("\n", 1)[0], "--config results/lift_object/config.json --variant default --seed 1"
    )
    return work_on_run(parser, argv, "train", "training", train_run)
