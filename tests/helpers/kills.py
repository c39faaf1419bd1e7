"""Kill a short training run again and again, at random moments and in writing; compare what it ends with."""

import argparse
import contextlib
import hashlib
import json
import math
import multiprocessing
import random
import shutil
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from multiprocessing.context import ForkServerContext, ForkServerProcess
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # as pytest does

from helpers.verbs import verb
from manyseeds.core.layout import EVENT_FILE

train = verb("train")


ITERATIONS = 12
_AGENT = {
    "num_steps_per_env": 8,
    "algorithm": {"num_learning_epochs": 2, "num_mini_batches": 2},
    "policy": {"actor_hidden_dims": [16], "critic_hidden_dims": [16], "actor_obs_normalization": True},
}
_PATIENCE_S = 900.0


@dataclass(frozen=True)
class Counts:
    """What a torture gave: kills, how many of them in the writing of a file, runs that ended equal or not."""

    kills: int
    kills_in_writing: int
    identical: int
    different: int


def torture(
    folder: Path,
    kills: int,
    seed: int = 0,
    iterations: int = ITERATIONS,
    simulator: str = "mujoco",
    seconds: float = math.inf,
) -> Counts:
    """Kill runs with SIGKILL until there were `kills`; every killed run is started again until it ends.

    Half of the kills come at a random time, half as soon as a partial file is seen. Every start has another
    number of threads.

    Args:
        folder: where the runs stand.
        kills: how many.
        seed: of the moments.
        iterations: length of a run.
        simulator: what the runs are trained in.
        seconds: after which no new run starts.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(
        ["manyseeds.runs.train", "manyseeds.learning.agent", f"manyseeds.simulators.{simulator}"]
    )
    moments = random.Random(seed)
    reference = folder / "reference"
    end = time.monotonic() + seconds
    _start(context, reference, 1, iterations, simulator).join(_PATIENCE_S)
    wanted = fingerprint(reference)
    if not wanted["checkpoints"]:
        raise RuntimeError(f"the undisturbed run failed: {(reference / 'log.txt').read_text()}")
    begin = time.monotonic()
    _start(context, folder / "timing", 1, iterations, simulator).join(_PATIENCE_S)
    duration = time.monotonic() - begin
    killed = in_writing = identical = different = 0
    while killed < kills and time.monotonic() < end:
        run = folder / f"run_{identical + different}"
        while killed < kills:
            process = _start(context, run, moments.randint(1, 3), iterations, simulator)
            if moments.random() < 0.5:
                process.join(moments.uniform(0, duration))
                writing = False
            else:
                writing = _wait_for_writing(process, run, moments.randint(1, 20))
            if not process.is_alive():
                break
            process.kill()
            process.join()
            killed += 1
            in_writing += writing
        _start(context, run, 2, iterations, simulator).join(_PATIENCE_S)
        same = fingerprint(run) == wanted
        identical += same
        different += not same
        if same:
            shutil.rmtree(run)
        print(f"{killed} kills: {identical} runs identical, {different} different", flush=True)
    return Counts(killed, in_writing, identical, different)


def fingerprint(folder: Path) -> dict[str, Any]:
    """Return what must be equal in equal runs: hashes of the checkpoints, scalars but for the wall clock's.

    Raises:
        ValueError: when the event file has a scalar twice, or our exporter reads something else than TensorBoard.
    """
    from tensorboard.backend.event_processing.event_file_loader import LegacyEventFileLoader

    from manyseeds.eventfiles.log import read_log

    files = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.glob("model_*.pt")}
    scalars: dict[tuple[int, str], float] = {}
    for event in LegacyEventFileLoader(str(folder / EVENT_FILE)).Load():
        for value in event.summary.value:
            if value.tag.endswith("/time"):  # its step is a clock time
                continue
            if (event.step, value.tag) in scalars:
                raise ValueError(f"{folder / EVENT_FILE} has {value.tag} of iteration {event.step} twice")
            scalars[event.step, value.tag] = value.simple_value
    log = read_log(folder / EVENT_FILE)
    tags = [log.tags[number] for number in log.tag]
    exported = dict(zip(zip(log.step.tolist(), tags, strict=True), log.value.tolist(), strict=True))
    if exported != scalars or any(file.rows_cut or file.damage for file in log.files):
        raise ValueError(f"{folder / EVENT_FILE} is not read alike by TensorBoard and by manyseeds.eventfiles")
    kept = {key: value for key, value in scalars.items() if not key[1].startswith("Perf/")}
    return {"checkpoints": files, "scalars": kept, "iterations": sorted({step for step, _ in scalars})}


def _start(
    context: ForkServerContext, folder: Path, threads: int, iterations: int, simulator: str
) -> ForkServerProcess:
    process = context.Process(target=_run, args=(folder, threads, iterations, simulator))
    process.start()
    return process


def _run(folder: Path, threads: int, iterations: int, simulator: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    agent = folder / "agent.json"
    agent.write_text(json.dumps(_AGENT), encoding="utf-8")
    options = {
        "num_envs": 8,
        "max_iterations": iterations,
        "save_interval": 2,
        "state_interval": 1,
        "threads": threads,
        "log_dir": folder,
        "agent_cfg_path": agent,
        "simulator": simulator,
    }
    arguments = [part for name, value in options.items() for part in (f"--{name}", str(value))]
    with (
        (folder / "log.txt").open("a") as log,
        contextlib.redirect_stdout(log),
        contextlib.redirect_stderr(log),
    ):
        sys.exit(train([*arguments, "--headless", "lift_object"]))


def _wait_for_writing(process: ForkServerProcess, folder: Path, count: int) -> bool:
    """Wait until a partial file was seen `count` times; return whether the process was still going then."""
    seen: set[str] = set()
    while process.is_alive():
        with contextlib.suppress(FileNotFoundError):
            seen |= {path.name for path in folder.iterdir() if path.name.startswith((".state", ".model"))}
        if len(seen) >= count:
            return True
        time.sleep(1e-4)
    return False


def main(argv: Sequence[str] | None = None) -> int:
    """Torture; return 0 when all runs ended identical, else 1."""
    parser = argparse.ArgumentParser(
        prog="python tests/helpers/kills.py",
        description=__doc__,
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument("--kills", type=int, default=100, help="how many times to kill")
    parser.add_argument("--seed", type=int, default=0, help="seed of the moments")
    parser.add_argument("--iterations", type=int, default=ITERATIONS, help="length of a run")
    args = parser.parse_args(argv)
    folder = Path(tempfile.mkdtemp(prefix="torture_"))
    start = time.monotonic()
    counts = torture(folder, args.kills, args.seed, args.iterations)
    print(
        f"{counts.kills} kills, {counts.kills_in_writing} of them while a file was being written, in "
        f"{counts.identical + counts.different} runs: {counts.identical} ended identical to an undisturbed "
        f"run, {counts.different} different ({time.monotonic() - start:.0f} s)"
    )
    if counts.different:
        print(f"the different runs are kept in {folder}")
        return 1
    shutil.rmtree(folder)
    return 0


if __name__ == "__main__":
    sys.exit(main())
