"""One training run from the first iteration, or from its last state, to the last."""

import sys
import time
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from rsl_rl.env import VecEnv

from manyseeds import provenance
from manyseeds.simulators import make_env
from manyseeds.training.checkpoint import checkpoint_path, save_checkpoint
from manyseeds.training.console import iteration_block
from manyseeds.training.events import EVENT_FILE, EventWriter
from manyseeds.training.folder import find_state, plain, sole_writer, write_params
from manyseeds.training.runner import DivergedError, Iteration, Runner
from manyseeds.training.state import read_states, write_sealed, write_state
from manyseeds.training.videos import TrainingVideos


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


def train(settings: Settings) -> None:
    """Train until `max_iterations` are done; continue exactly where an earlier process was killed.

    Raises:
        UserError: when the folder is in use or cannot be written, or a value does not fit the simulator.
        DivergedError: when something is not finite; the state before it is dumped to diverged_<iteration>.pt.
        StorageError: when a file cannot be written, as on a full disk.
        OSError: the same of the event file.
    """
    with sole_writer(settings.log_dir):
        env = make_training_env(settings)
        try:
            _train(settings, env)
        finally:
            env.close()


def make_training_env(settings: Settings) -> VecEnv:
    """Make the environments that a run trains in."""
    torch.set_num_threads(1)  # what the task computes beforehand must not depend on the environment variables either
    return make_env(
        settings.simulator,
        settings.task,
        num_envs=settings.num_envs,
        seed=settings.seed,
        device=settings.device,
        threads=settings.threads,
        env_spacing=settings.env_spacing,
        task_cfg=settings.task_cfg,
    )


def configuration(settings: Settings, env: VecEnv) -> dict[str, Any]:
    """Return everything that decides a run's results: runs that agree in it agree in every bit."""
    env_cfg = {key: value for key, value in env.cfg.items() if key != "threads"}
    return plain({**env_cfg, "seed": settings.seed, "device": settings.device, "agent": settings.agent})


def _train(settings: Settings, env: VecEnv) -> None:
    folder = settings.log_dir
    runner = Runner(env, settings.agent, seed=settings.seed, device=settings.device, threads=settings.threads)
    config = configuration(settings, env)
    versions = _versions()
    state = find_state(folder, config, settings.max_iterations, settings.save_interval)
    if state is None:
        write_params(folder, settings.agent, {**env.cfg, "device": settings.device, "threads": settings.threads})
        elapsed, events = 0.0, EventWriter(folder / EVENT_FILE)
        _save_state(settings, config, versions, runner, events, elapsed)
        print(f"[INFO] Logging to: {folder}", flush=True)
    else:
        runner.load_state_dict(state["runner"])
        elapsed = state["elapsed"]
        events = EventWriter(folder / EVENT_FILE, state["event_file_size"], state.get("event_clock", 0.0))
        _say_where(folder, runner.iteration, settings.max_iterations)
        for name, old in state["versions"].items():
            if (new := versions.get(name)) != old:
                print(f"[WARNING] So far this run had {name} {old}; with {new} its bits may differ.", flush=True)
    videos = TrainingVideos(settings, runner.alg) if settings.video_interval else None
    begin, saving = time.perf_counter(), 0.0
    while runner.iteration < settings.max_iterations:
        try:
            done = runner.iterate()
        except DivergedError as error:
            _dump(settings, runner, error)
            raise
        seconds = done.collection_time + done.learning_time
        elapsed += seconds
        events.write(done.number, done.scalars)
        _report(settings, runner, done, seconds, elapsed)
        if done.number % settings.save_interval == 0:
            _save_checkpoint(folder, runner)
        if videos and done.number % settings.video_interval == 0:
            videos.record(done.number)
        if done.number % settings.state_interval == 0 or done.number == settings.max_iterations:
            saving -= time.perf_counter()
            _save_state(settings, config, versions, runner, events, elapsed)
            saving += time.perf_counter()
    if not checkpoint_path(folder, runner.iteration).exists():
        _save_checkpoint(folder, runner)
    events.close()
    if saving:
        total = time.perf_counter() - begin
        print(f"[INFO] Saving states took {saving:.2f} of {total:.1f} s ({saving / total:.2%}).", flush=True)


def _save_state(
    settings: Settings,
    config: dict[str, Any],
    versions: dict[str, str],
    runner: Runner,
    events: EventWriter,
    elapsed: float,
) -> None:
    # The event file must be on disk as far as the state says before the state says so.
    size = events.sync()
    state = {
        "config": config,
        "versions": versions,
        "save_interval": settings.save_interval,
        "event_file_size": size,
        "event_clock": events.clock,
        "elapsed": elapsed,
        "runner": runner.state_dict(),
    }
    write_state(settings.log_dir, state)


def _save_checkpoint(folder: Path, runner: Runner) -> None:
    path = checkpoint_path(folder, runner.iteration)
    save_checkpoint(path, runner.alg, runner.iteration)
    print(f"[INFO] Saved checkpoint to: {path}", flush=True)


def _report(settings: Settings, runner: Runner, done: Iteration, seconds: float, elapsed: float) -> None:
    timesteps = done.number * runner.num_steps * settings.num_envs
    block = iteration_block(
        done.number,
        settings.max_iterations,
        done.scalars,
        timesteps=timesteps,
        iteration_time=seconds,
        elapsed=elapsed,
    )
    print(block, flush=True)


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


def _versions() -> dict[str, str]:
    """Return what the bits of a run may depend on besides its configuration, and what this process has of it."""
    code = provenance.code_version()
    changed = " with changes" if code["dirty"] else ""
    return {
        "manyseeds": f"{code['commit'] or code['version']}{changed}",
        **{package: version(package) for package in ("torch", "rsl-rl-lib", "mujoco")},
        "the processor": provenance.cpu_model(),
    }
