"""One run of the workflow: train a variant with a seed, then put its files where the later stages look.

Training happens in `<run>/work`, which no rule declares, so that a killed run can go on: there stand the
training state, the checkpoints and the event file. When training has ended, the declared files are linked
into the run's folder and `run.json` says what made them. The state stays, to make a run longer later. Another trainer
than ours is started by `manyseeds.launch.external`.
"""

import fcntl
import json
import os
import re
import shutil
import subprocess
import sys
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from manyseeds import gpus
from manyseeds.config import Experiment, read_resolved
from manyseeds.core import record as provenance
from manyseeds.core.arguments import verb_parser
from manyseeds.core.errors import UserError
from manyseeds.core.files import write_atomic
from manyseeds.launch.external import LAST_LINES, Attempt

EVENTS = "events.out.tfevents.manyseeds"
# Under this name TensorBoard does not take the working folder of a finished run for a second run.
EVENTS_AT_REST = "finished.events"
PREVIOUS_STATE = "state.previous.pt"
PARAMS = ("params/agent.yaml", "params/env.yaml")
# Lines of training's output that concern whoever started the workflow; the record of the run keeps the first two.
STARTING_OVER = "[INFO] Starting over"
TOLD = (STARTING_OVER, "[WARNING] ", "[INFO] Continuing")


def train_run(
    experiment: Experiment, folder: Path, variant: str, seed: int, threads: int, log: Path, image: str = ""
) -> None:
    """Train one run, or continue it, and collect its files.

    Args:
        experiment: the resolved experiment.
        folder: the run's folder.
        variant: name of the variant.
        seed: the run's seed.
        threads: CPU threads to use.
        log: where the console output goes; appended to.
        image: the container image to start another trainer in; "" for none. Ours runs where this runs.

    Raises:
        UserError: when training ended without leaving a declared file.
        subprocess.CalledProcessError: when training fails; `output` is its last line, or lines of another trainer.
        OSError: when the folder or the log cannot be written.
    """
    settings = experiment.settings(variant, seed)
    work = folder / "work"
    work.mkdir(parents=True, exist_ok=True)
    run = f"{experiment.experiment}/{variant}/seed_{seed}"
    with _sole_worker(work) as lock, _lease(experiment, run) as lease:
        _remove_partials(folder)
        journal = _open_journal(work)

        def tell(line: str) -> None:
            print(f"{variant}/seed_{seed}: {line}", file=sys.stderr, flush=True)
            _note(work, journal, line)

        made_by: dict[str, Any] = {}
        if experiment.foreign:
            attempt = Attempt(experiment.foreign, experiment, variant, seed, threads, work, image)
            made_by = _train_elsewhere(attempt, log, lock, lease, tell)
            outputs = collect_foreign(attempt, folder)
        else:
            _wake(work)
            for name, content in (("agent.json", settings["agent"]), ("task.json", settings["task_cfg"])):
                _write_json(work / name, content)
            for line in _run(command(experiment, variant, seed, threads, work), log, lock, lease):
                if line.startswith(TOLD):
                    tell(line)
            outputs = collect(experiment, folder, variant)
        provenance.write_run_record(
            folder,
            outputs,
            experiment=experiment.experiment,
            variant=variant,
            seed=seed,
            config=settings,
            threads=threads,
            gpus=[str(device) for device in lease.devices or gpus.allotted()],
            slurm_job=os.environ.get("SLURM_JOB_ID"),
            started=journal["started"],
            ended=_now(),
            resumed=journal["resumed"],
            notes=journal["notes"],
            command=made_by.pop("command", None) or command(experiment, variant, seed, threads, work),
            **made_by,
        )


def command(experiment: Experiment, variant: str, seed: int, threads: int, work: Path) -> list[str]:
    """Return the command line that trains a run in its working folder."""
    train = experiment.variant(variant).train
    options = {
        "env_spacing": train.env_spacing,
        "num_envs": train.num_envs,
        "max_iterations": train.max_iterations,
        "save_interval": train.save_interval,
        "state_interval": train.state_interval,
        "seed": seed,
        "device": experiment.device,
        "simulator": experiment.simulator,
        "agent_cfg_path": work / "agent.json",
        "task_cfg_path": work / "task.json",
        "log_dir": work,
        "threads": threads,
    }
    flags = [part for name, value in options.items() for part in (f"--{name}", str(value))]
    if experiment.ranks > 1:
        flags += ["--distributed", "--nproc_per_node", str(experiment.ranks)]
    return [sys.executable, "-m", "manyseeds", "train", *flags, "--headless", experiment.task]


def collect(experiment: Experiment, folder: Path, variant: str) -> list[str]:
    """Link the files of a finished run from its working folder into its own; put the event file to rest.

    Hard links, because Snakemake deletes outputs before it repeats a rule, and a longer run needs them.

    Returns:
        The names of the files, relative to the run's folder.

    Raises:
        UserError: when training ended without one of them.
    """
    work = folder / "work"
    outputs = [f"model_{step}.pt" for step in experiment.variant(variant).checkpoints] + [EVENTS, *PARAMS]
    for name in outputs:
        if not (work / name).is_file():
            raise UserError(f"{folder}: training ended without leaving {name} in {work.name}/")
    for stray in folder.glob("model_*.pt"):
        if stray.name not in outputs:
            stray.unlink()
    for name in outputs:
        _link(work / name, folder / name)
    os.replace(work / EVENTS, work / EVENTS_AT_REST)
    (work / PREVIOUS_STATE).unlink(missing_ok=True)
    return outputs


def collect_foreign(attempt: Attempt, folder: Path) -> list[str]:
    """Link what another trainer left into the run's folder; put its event files to rest.

    Returns:
        The names of the files, relative to the run's folder.

    Raises:
        UserError: when something is missing.
    """
    products = attempt.products()
    strays = [attempt.definition.checkpoint.replace("{iteration}", "*"), f"{EVENTS}*", "params/*.yaml"]
    for stray in (path for pattern in strays for path in folder.glob(pattern)):
        if str(stray.relative_to(folder)) not in products:
            stray.unlink()
    for name, source in products.items():
        _link(source, folder / name)
    attempt.put_to_rest()
    return list(products)


def remove_state(folder: Path) -> None:
    """Remove what a finished run would need to be continued; superseded runs stay."""
    if not (folder / "run.json").is_file():
        return
    for path in (folder / "work").glob("*"):
        if path.name.startswith("superseded"):
            continue
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)
    with suppress(OSError):
        (folder / "work").rmdir()


def _train_elsewhere(
    attempt: Attempt, log: Path, lock: int, lease: gpus.Lease, tell: Callable[[str], None]
) -> dict[str, Any]:
    """Train with another trainer, unless that is done; return what the record of the run says of it."""

    def start(arguments: Sequence[str], folder: Path, environment: Mapping[str, str]) -> None:
        for _ in _run(arguments, log, lock, lease, folder, environment, LAST_LINES):
            pass

    account = attempt.finished()
    if account is None:
        if sentence := attempt.make_way():
            tell(sentence)
        account = attempt.train(start)
    return {name: account[name] for name in ("command", "container", "container_digest", "packages")}


def _open_journal(work: Path) -> dict[str, Any]:
    """Note in `work/journal.json` that the run is started once more; a journal cut short begins anew."""
    path = work / "journal.json"
    try:
        journal = json.loads(path.read_text(encoding="utf-8"))
        journal = {
            "started": journal["started"],
            "resumed": journal["resumed"] + 1,
            "notes": list(journal.get("notes", ())),
        }
    except (OSError, ValueError, KeyError, TypeError):
        journal = {"started": _now(), "resumed": 0, "notes": []}
    _write_json(path, journal)
    return journal


def _remove_partials(folder: Path) -> None:
    """Remove what a killed process was writing."""
    for pattern in (".run.*.json", ".*.link", "params/.*.link", "work/.*.json", f"work/.{Path(EVENTS).stem}.*"):
        for partial in folder.glob(pattern):
            partial.unlink()


def _note(work: Path, journal: dict[str, Any], line: str) -> None:
    """Keep a line of training's output in the journal; when training starts over, the journal does too."""
    if line.startswith(STARTING_OVER):
        journal.update(started=_now(), resumed=0, notes=[])
    if line.startswith(TOLD[:2]):
        journal["notes"].append(line)
        _write_json(work / "journal.json", journal)


def _wake(work: Path) -> None:
    """Give the event file of a finished run the name that the trainer appends to."""
    if (work / EVENTS_AT_REST).is_file() and not (work / EVENTS).exists():
        # A copy: the file at rest is also the declared output, which must not grow while training.
        with write_atomic(work / EVENTS) as partial:
            shutil.copyfile(work / EVENTS_AT_REST, partial)
        (work / EVENTS_AT_REST).unlink()


def _lease(experiment: Experiment, run: str) -> AbstractContextManager[gpus.Lease]:
    """Return the context in which a run has its GPUs; it has none where it trains on the CPU."""
    if not experiment.leases_gpus:
        return nullcontext(gpus.Lease())
    devices = gpus.allowed(experiment.gpus)
    return gpus.lease(devices, experiment.gpus_per_run, experiment.jobs_per_gpu, run)


def _run(
    arguments: Sequence[str],
    log: Path,
    lock: int,
    lease: gpus.Lease,
    folder: Path | None = None,
    environment: Mapping[str, str] | None = None,
    last_lines: int = 1,
) -> Iterator[str]:
    """Run a command, append its output to a log and yield it by line.

    Raises:
        subprocess.CalledProcessError: when it fails; `output` is its last lines.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    last: deque[str] = deque(maxlen=last_lines)
    with (
        log.open("a", encoding="utf-8", buffering=1) as stream,
        # The child holds both locks too: if this process is killed, no other starts before the child is gone.
        subprocess.Popen(
            arguments,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            cwd=folder,
            env=os.environ | (environment or {}) | lease.environment | {"PYTHONUNBUFFERED": "1"},
            pass_fds=(lock, *lease.descriptors),
        ) as process,
    ):
        assert process.stdout is not None
        for line in process.stdout:
            stream.write(line)
            if line.strip():
                last.append(line.strip())
            yield line.rstrip()
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, arguments, output="\n".join(last))


@contextmanager
def _sole_worker(work: Path) -> Iterator[int]:
    """Hold the run's lock, which dies with its holders; wait while another process has it.

    That is one whose Snakemake was killed and which trains on.
    """
    with (work / "lock").open("w") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print(f"{work.parent}: waiting for another process that trains this run", file=sys.stderr, flush=True)
            fcntl.flock(stream, fcntl.LOCK_EX)
        yield stream.fileno()


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


def _write_json(path: Path, content: Any) -> None:
    with write_atomic(path) as partial:
        partial.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def _failure(code: int, last: str, log: Path) -> str:
    ended = f"was killed by signal {-code}" if code < 0 else f"ended with exit code {code}"
    if "\n" in last:
        lines = "".join(f"\n  {line}" for line in last.splitlines())
        return f"training {ended} (log: {log}); its last lines:{lines}"
    last = re.sub(r"^error: ", "", last)
    return f"training {ended}{': ' if last else ''}{last} (log: {log})"


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; return training's exit code, or 2 on bad input."""
    parser = verb_parser(
        "launch", __doc__.split("\n", 1)[0], "--config results/lift_object/config.json --variant default --seed 1"
    )
    parser.add_argument("--config", type=Path, required=True, help="config.json of the experiment's folder")
    parser.add_argument("--variant", default="default", help="which variant (default)")
    parser.add_argument("--seed", type=int, required=True, help="which seed")
    parser.add_argument("--threads", type=int, default=0, help="CPU threads; 0: all")
    parser.add_argument(
        "--image",
        default=os.environ.get("MANYSEEDS_TRAINER_IMAGE", ""),
        help="container image to start another trainer than ours in ($MANYSEEDS_TRAINER_IMAGE)",
    )
    parser.add_argument("--log", type=Path, help="where the console output goes (train.log in the run's folder)")
    arguments = parser.parse_args(argv)
    folder = arguments.config.parent / arguments.variant / f"seed_{arguments.seed}"
    log = arguments.log or folder / "train.log"
    try:
        experiment = read_resolved(arguments.config)
        train_run(experiment, folder, arguments.variant, arguments.seed, arguments.threads, log, arguments.image)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except OSError as error:
        place = error.filename or log
        print(f"error: {place} cannot be written: {error.strerror}; starting again continues.", file=sys.stderr)
        return 1
    except subprocess.CalledProcessError as error:
        run = f"{arguments.variant}/seed_{arguments.seed}"
        print(f"error: {run}: {_failure(error.returncode, error.output, log)}", file=sys.stderr)
        return error.returncode if error.returncode > 0 else 128 - error.returncode
    return 0
