"""One training run from the first iteration, or from its last state, to the last."""

import sys
import time
from contextlib import nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from manyseeds.core import record as provenance
from manyseeds.core.errors import UserError
from manyseeds.core.simulators import SIMULATORS
from manyseeds.learning.checkpoint import checkpoint_path, checkpoints, save_checkpoint
from manyseeds.learning.distributed import ALONE, Ranks
from manyseeds.learning.runner import DivergedError, Iteration, Runner
from manyseeds.runs.console import iteration_block
from manyseeds.runs.events import EVENT_FILE, EventWriter
from manyseeds.runs.folder import PARAMS, RUN_RECORD, find_state, plain, sole_writer, write_params
from manyseeds.runs.state import read_states, write_sealed, write_state
from manyseeds.runs.videos import TrainingVideos
from manyseeds.simulators import make_env
from manyseeds.simulators.base import TaskEnv


@dataclass(frozen=True)
class Settings:
    """What a run is: what decides its results, and what does not.

    Attributes:
        task: name of the task.
        simulator: name of the simulator.
        num_envs: environments stepped at once.
        env_spacing: metres between them.
        seed: of everything random.
        device: torch device.
        agent: the rsl_rl configuration, from `agent.load_agent`.
        task_cfg: numbers of the task to change, by name.
        log_dir: the run's folder.
        max_iterations: iterations of the run.
        save_interval: iterations between checkpoints.
        state_interval: iterations between states to continue from.
        threads: threads of physics and networks.
        video_interval: iterations between videos; 0 for none.
        video_length: environment steps of a video.
    """

    task: str
    simulator: str
    num_envs: int
    env_spacing: float
    seed: int
    device: str
    agent: dict[str, Any]
    task_cfg: dict[str, Any]
    log_dir: Path
    max_iterations: int
    save_interval: int
    state_interval: int
    threads: int
    video_interval: int = 0
    video_length: int = 250


def train(settings: Settings, ranks: Ranks = ALONE) -> None:
    """Train until `max_iterations` are done; continue exactly where an earlier process was killed.

    Args:
        settings: the run; its `num_envs` are those of all ranks together.
        ranks: the processes that train it; only the first one writes files.

    Raises:
        UserError: when the folder is in use or cannot be written, or a value does not fit the simulator.
        DivergedError: when something is not finite; the state before it is dumped to diverged_<iteration>.pt.
        StorageError: when a file cannot be written, as on a full disk.
        OSError: the same of the event file.
    """
    with sole_writer(settings.log_dir) if ranks.first else nullcontext():
        env = make_training_env(settings, ranks)
        try:
            _train(settings, env, ranks)
        finally:
            env.close()


def make_training_env(settings: Settings, ranks: Ranks = ALONE) -> TaskEnv:
    """Make the environments that a run trains in, or this rank's share of them."""
    torch.set_num_threads(1)  # what the task computes beforehand must not depend on the environment variables either
    return make_env(
        settings.simulator,
        settings.task,
        num_envs=ranks.share(settings.num_envs),
        seed=settings.seed + ranks.rank,
        device=settings.device,
        threads=settings.threads,
        env_spacing=settings.env_spacing,
        task_cfg=settings.task_cfg,
    )


def configuration(settings: Settings, env: TaskEnv, ranks: Ranks = ALONE) -> dict[str, Any]:
    """Return everything that decides a run's results: runs that agree in it agree in every bit."""
    env_cfg = {key: value for key, value in env.cfg.items() if key != "threads"}
    own = {"num_envs": settings.num_envs, "seed": settings.seed, "device": settings.device, "agent": settings.agent}
    return plain({**env_cfg, **own, **({} if ranks == ALONE else {"ranks": ranks.size})})


def _train(settings: Settings, env: TaskEnv, ranks: Ranks) -> None:
    runner = Runner(
        env, settings.agent, seed=settings.seed, device=settings.device, threads=settings.threads, ranks=ranks
    )
    record = _Record(settings, configuration(settings, env, ranks), env, runner, ranks) if ranks.first else None
    state = ranks.from_first(record.begin if record else None)
    if state is None:
        state = runner.state_dict()
        if record:
            record.save_state(state)
            print(f"[INFO] Logging to: {settings.log_dir}", flush=True)
    else:
        runner.load_state_dict(state)
        if record:
            _say_where(settings.log_dir, runner.iteration, settings.max_iterations)
    while runner.iteration < settings.max_iterations:
        try:
            done = runner.iterate()
        except DivergedError as error:
            if ranks == ALONE:
                _dump(settings, runner, error)
            raise
        if record:
            record.write(done)
        if done.number % settings.state_interval == 0 or done.number == settings.max_iterations:
            state = runner.state_dict()
            if record:
                record.save_state(state)
    if record:
        record.end()


class _Record:
    """What a run leaves in its folder: params, scalars, checkpoints, videos, the state to continue from, run.json."""

    def __init__(self, settings: Settings, config: dict[str, Any], env: TaskEnv, runner: Runner, ranks: Ranks) -> None:
        self._settings, self._config, self._runner, self._env = settings, config, runner, env
        self._story = _Story(settings, ranks)
        self._versions = _versions(settings.simulator)
        self._elapsed, self._saving, self._begin = 0.0, 0.0, time.perf_counter()
        self._videos = TrainingVideos(settings, runner.alg, env) if settings.video_interval else None
        self._events: EventWriter

    def begin(self) -> dict[str, Any] | None:
        """Return the runner's state to go on from, or None where the run starts."""
        settings, folder = self._settings, self._settings.log_dir
        state = find_state(folder, self._config, settings.max_iterations, settings.save_interval)
        if state is None:
            env = {key: self._config.get(key, value) for key, value in self._env.cfg.items()}
            write_params(folder, settings.agent, {**env, "device": settings.device, "threads": settings.threads})
            self._events = EventWriter(folder / EVENT_FILE)
            self._story.begin()
            return None
        self._elapsed = state["elapsed"]
        self._events = EventWriter(folder / EVENT_FILE, state["event_file_size"], state.get("event_clock", 0.0))
        changed = [
            f"[WARNING] So far this run had {name} {old}; with {new} its bits may differ."
            for name, old in state["versions"].items()
            if (new := self._versions.get(name)) != old
        ]
        for line in changed:
            print(line, flush=True)
        self._story.go_on(changed, finished=state["runner"]["iteration"] == settings.max_iterations)
        return state["runner"]

    def write(self, done: Iteration) -> None:
        """Write an iteration's scalars, say them, and leave a checkpoint and a video where they are due."""
        settings = self._settings
        seconds = done.collection_time + done.learning_time
        self._elapsed += seconds
        self._events.write(done.number, done.scalars)
        block = iteration_block(
            done.number,
            settings.max_iterations,
            done.scalars,
            timesteps=done.number * self._runner.num_steps * settings.num_envs,
            iteration_time=seconds,
            elapsed=self._elapsed,
        )
        print(block, flush=True)
        if done.number % settings.save_interval == 0:
            self._save_checkpoint()
        if self._videos and done.number % settings.video_interval == 0:
            self._videos.record(done.number)

    def save_state(self, runner_state: dict[str, Any]) -> None:
        """Write the state to continue from."""
        start = time.perf_counter()
        # The event file must be on disk as far as the state says before the state says so.
        size = self._events.sync()
        state = {
            "config": self._config,
            "versions": self._versions,
            "save_interval": self._settings.save_interval,
            "event_file_size": size,
            "event_clock": self._events.clock,
            "elapsed": self._elapsed,
            "runner": runner_state,
        }
        write_state(self._settings.log_dir, state)
        self._saving += time.perf_counter() - start

    def end(self) -> None:
        """Leave the last checkpoint; say what saving states cost."""
        if not checkpoint_path(self._settings.log_dir, self._runner.iteration).exists():
            self._save_checkpoint()
        self._events.close()
        self._story.end()
        total = time.perf_counter() - self._begin
        print(
            f"[INFO] Saving states took {self._saving:.2f} of {total:.1f} s ({self._saving / total:.2%}).", flush=True
        )

    def _save_checkpoint(self) -> None:
        path = checkpoint_path(self._settings.log_dir, self._runner.iteration)
        save_checkpoint(path, self._runner.alg, self._runner.iteration)
        print(f"[INFO] Saved checkpoint to: {path}", flush=True)


class _Story:
    """The run's record, run.json: written when it starts, and with the checksums of its files when it has ended.

    Not in the working folder of `manyseeds.launch.run`, which keeps a journal there and writes the record itself.
    """

    def __init__(self, settings: Settings, ranks: Ranks) -> None:
        self._folder = settings.log_dir
        self._told: dict[str, Any] | None = None
        self._elsewhere = (self._folder / "journal.json").exists()
        train = {key: getattr(settings, key) for key in ("num_envs", "max_iterations", "save_interval", "env_spacing")}
        self._run = {
            "seed": settings.seed,
            "config": {
                **{key: getattr(settings, key) for key in ("task", "task_cfg", "simulator", "device", "seed")},
                "trainer": "manyseeds",
                "train": train,
                "agent": plain(settings.agent),
                **({} if ranks == ALONE else {"ranks": ranks.size}),
            },
            "threads": settings.threads,
        }

    def begin(self) -> None:
        """Note that the run starts from the beginning."""
        self._tell(started=_now(), resumed=0, notes=[])

    def go_on(self, changed: list[str], finished: bool) -> None:
        """Note that the run goes on from a state; nothing where it was finished and its record says so."""
        try:
            old = provenance.read_record(self._folder / RUN_RECORD)
        except UserError:
            old = {}
        if not (finished and old.get("ended")):
            notes = [*old.get("notes", ()), *changed]
            self._tell(started=old.get("started"), resumed=old.get("resumed", 0) + 1, notes=notes)

    def end(self) -> None:
        """Note that the run has ended, and what its files hold."""
        if self._told is not None:
            outputs = [*(path.name for path in checkpoints(self._folder).values()), EVENT_FILE, *PARAMS]
            provenance.write_run_record(self._folder, outputs, **self._run, **self._told | {"ended": _now()})

    def _tell(self, **told: Any) -> None:
        if not self._elsewhere:
            self._told = {"started": told.pop("started"), "ended": None, **told}
            provenance.write_run_record(self._folder, (), **self._run, **self._told)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def _say_where(folder: Path, iteration: int, total: int) -> None:
    if iteration == total:
        print(f"[INFO] {folder} is finished: all {total} iterations are done.", flush=True)
    else:
        print(f"[INFO] Continuing {folder} after iteration {iteration} of {total}.", flush=True)


def dump_path(folder: Path, iteration: int) -> Path:
    """Return where the state before a divergence in `iteration` is kept."""
    return folder / f"diverged_{iteration}.pt"


def _dump(settings: Settings, runner: Runner, error: DivergedError) -> None:
    """Keep the last state, from which the same is computed again, and what there is at the failure."""
    last = next(state for _, state in read_states(settings.log_dir) if isinstance(state, dict))
    content = last | {
        "failure": {
            "iteration": error.iteration,
            "term": error.term,
            "env_index": error.env_index,
            "env": runner.env.state_dict(),
            "algorithm": runner.alg.save(),
        }
    }
    path = dump_path(settings.log_dir, error.iteration)
    write_sealed(path, content)
    print(f"[INFO] Dumped the state before it to: {path}", file=sys.stderr, flush=True)


def _versions(simulator: str) -> dict[str, str]:
    """Return what the bits of a run may depend on besides its configuration, and what this process has of it."""
    code = provenance.code_version()
    changed = " with changes" if code["dirty"] else ""
    return {
        "manyseeds": f"{code['commit'] or code['version']}{changed}",
        **{package: version(package) for package in ("torch", "rsl-rl-lib", *SIMULATORS[simulator].packages)},
        "the processor": provenance.cpu_model(),
    }
