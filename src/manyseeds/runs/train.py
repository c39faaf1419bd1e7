"""One training run from the first iteration, or from its last state, to the last."""

import os
import sys
import time
from contextlib import nullcontext
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from manyseeds.config.settings import RunConfig
from manyseeds.core import record as provenance
from manyseeds.core.errors import UserError
from manyseeds.core.files import sha256
from manyseeds.core.layout import EVENT_FILE, PARAMS, RUN_RECORD, checkpoint_iterations, checkpoint_name, dump_name
from manyseeds.core.simulators import SIMULATORS
from manyseeds.core.text import now, plain
from manyseeds.learning.agent import resolve_agent
from manyseeds.learning.checkpoint import save_checkpoint
from manyseeds.learning.distributed import ALONE, Ranks, local_size
from manyseeds.learning.runner import DivergedError, Iteration, Runner
from manyseeds.runs.console import iteration_block
from manyseeds.runs.events import EventWriter, open_log
from manyseeds.runs.folder import find_state, set_aside, sole_writer, write_params
from manyseeds.runs.state import read_states, write_sealed, write_state
from manyseeds.runs.videos import TrainingVideos
from manyseeds.simulators import make_env
from manyseeds.simulators.base import TaskEnv

CLOCKED_TAGS = ("Train/mean_reward", "Train/mean_episode_length")
"""Scalars that are logged a second time as <tag>/time, at the seconds of training instead of the iterations."""


def train(run: RunConfig, ranks: Ranks = ALONE, must_continue: bool = False) -> None:
    """Train until `max_iterations` are done; continue exactly where an earlier process was killed.

    Args:
        run: the run; its `num_envs` are those of all ranks together.
        ranks: the processes that train it; only the first one writes files.
        must_continue: whether it is an error if the folder holds no state from which this run can go on.

    Raises:
        UserError: when the folder is in use or cannot be written, a value does not fit the simulator, or the run cannot
            begin or continue as it should.
        DivergedError: when something is not finite; the state before it is dumped to diverged_<iteration>.pt.
        StorageError: when a file cannot be written, as on a full disk.
        OSError: the same of the event file.
    """
    with sole_writer(run.log_dir) if ranks.first else nullcontext():
        env = make_training_env(run, ranks)
        try:
            _train(run, resolve_agent(run.agent, f"agent file {run.agent_file}"), env, ranks, must_continue)
        finally:
            env.close()


def cpu_threads(run: RunConfig) -> int:
    """Return the CPU threads of each process of a run; "auto" shares the cores of this machine out."""
    threads = run.train.threads
    return threads if isinstance(threads, int) else max(1, len(os.sched_getaffinity(0)) // local_size())


def make_training_env(run: RunConfig, ranks: Ranks = ALONE) -> TaskEnv:
    """Make the environments that a run trains in, or this rank's share of them."""
    torch.set_num_threads(1)  # what the task computes beforehand must not depend on the environment variables either
    return make_env(
        str(run.simulator),
        run.task,
        num_envs=ranks.share(run.train.num_envs),
        seed=run.seed + ranks.rank,
        device=run.device,
        threads=cpu_threads(run),
        env_spacing=run.train.env_spacing,
        task_cfg=run.task_cfg,
    )


def configuration(run: RunConfig, agent: dict[str, Any], env: TaskEnv, ranks: Ranks = ALONE) -> dict[str, Any]:
    """Return everything that decides a run's results: runs that agree in it agree in every bit.

    Args:
        run: the run.
        agent: its hyper-parameters, complete.
        env: its environments.
        ranks: the processes that train it.
    """
    env_cfg = {key: value for key, value in env.cfg.items() if key not in ("threads", "env_spacing")}
    ours = {"num_envs": run.train.num_envs, "seed": run.seed, "device": run.device, "agent": agent}
    init = {"init_digest": run.init_digest} if run.init_digest else {}
    return plain({**env_cfg, **ours, **init, **({} if ranks == ALONE else {"ranks": ranks.size})})


def _train(run: RunConfig, agent: dict[str, Any], env: TaskEnv, ranks: Ranks, must_continue: bool) -> None:
    runner = Runner(env, agent, seed=run.seed, device=run.device, threads=cpu_threads(run), ranks=ranks)
    record = _Record(run, agent, configuration(run, agent, env, ranks), env, runner, ranks) if ranks.first else None
    state = ranks.from_first(partial(record.begin, must_continue) if record else None)
    if state is None:
        if run.init_digest:
            _start_from(run, runner)
        state = runner.state_dict()
        if record:
            record.save_state(state)
            print(f"[INFO] Logging to: {run.log_dir}", flush=True)
            if run.init_digest:
                print(f"[INFO] Starting with the networks of: {run.train.init_from}", flush=True)
    else:
        runner.load_state_dict(state)
        if record:
            _print_start(run.log_dir, runner.iteration, run.train.max_iterations)
    while runner.iteration < run.train.max_iterations:
        try:
            done = runner.iterate()
        except DivergedError as error:
            if ranks == ALONE:
                _dump(run.log_dir, runner, error)
            raise
        if record:
            record.write(done)
        if done.number % run.train.state_interval == 0 or done.number == run.train.max_iterations:
            state = runner.state_dict()
            if record:
                record.save_state(state)
    if record:
        record.end()


def _start_from(run: RunConfig, runner: Runner) -> None:
    """Give a new run the networks of its checkpoint."""
    path = Path(str(run.train.init_from))
    try:
        digest = sha256(path)
    except OSError as error:
        raise UserError(f"the checkpoint to start from, {path}, cannot be read: {error.strerror}.") from error
    if digest != run.init_digest:
        raise UserError(f"the checkpoint to start from, {path}, is not the file that the run is to start from.")
    runner.start_from(path)


class _Record:
    """What a run leaves in its folder: params, scalars, checkpoints, videos, the state to continue from, run.json.

    Args:
        run: the run.
        agent: its hyper-parameters, complete.
        config: what decides its results, `configuration`.
        env: its environments.
        runner: trains it.
        ranks: the processes that train it.
    """

    def __init__(
        self,
        run: RunConfig,
        agent: dict[str, Any],
        config: dict[str, Any],
        env: TaskEnv,
        runner: Runner,
        ranks: Ranks,
    ) -> None:
        self._run = run.model_copy(update={"ranks": ranks.size})
        self._agent, self._config, self._runner, self._env = agent, config, runner, env
        self._folder = run.log_dir
        self._checkpoints = checkpoint_iterations(run.train.max_iterations, run.train.save_interval)
        self._journal = provenance.Journal(self._folder)
        self._versions = _versions(str(run.simulator))
        self._elapsed, self._saving, self._begin = 0.0, 0.0, time.perf_counter()
        self._videos = TrainingVideos(run, runner.alg, env) if run.video else None
        self._events: EventWriter

    def begin(self, must_continue: bool) -> dict[str, Any] | None:
        """Return the runner's state to resume from, or None if the run starts.

        Args:
            must_continue: whether a start is an error.
        """
        train, folder = self._run.train, self._folder
        state, notes = find_state(folder, self._config, train.max_iterations, train.save_interval, must_continue)
        if state is None:
            env = {key: self._config.get(key, value) for key, value in self._env.cfg.items()}
            init = {"init_from": train.init_from, "init_digest": self._run.init_digest} if self._run.init_digest else {}
            here = {"device": self._run.device, "threads": cpu_threads(self._run)}
            write_params(folder, self._agent, {**env, **here, **init})
            self._events = open_log(self._run)
            self._journal.start(*notes)
            return None
        self._elapsed = state["elapsed"]
        self._events = open_log(self._run, state["event_file_size"], state["event_clock"])
        changed = [
            f"[WARNING] So far this run had {name} {old}; with {new} its bits may differ."
            for name, old in state["versions"].items()
            if (new := self._versions.get(name)) != old
        ]
        for line in changed:
            print(line, flush=True)
        if state["runner"]["iteration"] < train.max_iterations:
            # The record of a shorter run holds no longer.
            (folder / RUN_RECORD).unlink(missing_ok=True)
            self._journal.resume(*notes, *changed)
        return state["runner"]

    def write(self, done: Iteration) -> None:
        """Write an iteration's scalars, print them, and leave a checkpoint and a video where they are due."""
        seconds = done.collection_time + done.learning_time
        self._elapsed += seconds
        self._events.write(done.number, done.scalars)
        # RSL-RL logs these two over time as well, at whole seconds.
        clocked = {f"{tag}/time": done.scalars[tag] for tag in CLOCKED_TAGS if tag in done.scalars}
        self._events.write(int(self._elapsed), clocked)
        block = iteration_block(
            done.number,
            self._run.train.max_iterations,
            done.scalars,
            timesteps=done.number * self._runner.num_steps * self._run.train.num_envs,
            iteration_time=seconds,
            elapsed=self._elapsed,
            order=self._env.task.console_tags,
        )
        print(block, flush=True)
        if done.number in self._checkpoints[:-1]:
            self._save_checkpoint()
        if self._videos and done.number % self._run.video_interval == 0:
            self._videos.record(done.number)

    def save_state(self, runner_state: dict[str, Any]) -> None:
        """Write the state to continue from."""
        start = time.perf_counter()
        # The event file must be on disk as far as the state says before the state says so.
        size = self._events.sync()
        state = {
            "config": self._config,
            "versions": self._versions,
            "save_interval": self._run.train.save_interval,
            "event_file_size": size,
            "event_clock": self._events.clock,
            "elapsed": self._elapsed,
            "runner": runner_state,
        }
        write_state(self._folder, state)
        self._saving += time.perf_counter() - start

    def end(self) -> None:
        """Leave the last checkpoint and the record of the run; print what saving states took."""
        if not (self._folder / checkpoint_name(self._runner.iteration)).exists():
            self._save_checkpoint()
        self._events.close()
        if not (self._folder / RUN_RECORD).exists():
            self._write_record()
        total = time.perf_counter() - self._begin
        print(
            f"[INFO] Saving states took {self._saving:.2f} of {total:.1f} s ({self._saving / total:.2%}).", flush=True
        )

    def _write_record(self) -> None:
        if self._run.launched:  # an experiment's folder has the checkpoints of its config only
            set_aside(self._folder, self._checkpoints)
        outputs = [*(checkpoint_name(iteration) for iteration in self._checkpoints), EVENT_FILE, *PARAMS]
        provenance.write_run_record(
            self._folder,
            outputs,
            **(self._run.launched.model_dump() if self._run.launched else {}),
            **({"init_from": self._run.train.init_from} if self._run.init_digest else {}),
            seed=self._run.seed,
            config=self._run.identity(),
            threads=cpu_threads(self._run),
            **self._journal.fields,
            ended=now(),
        )

    def _save_checkpoint(self) -> None:
        path = self._folder / checkpoint_name(self._runner.iteration)
        save_checkpoint(path, self._runner.alg, self._runner.iteration)
        print(f"[INFO] Saved checkpoint to: {path}", flush=True)


def _print_start(folder: Path, iteration: int, total: int) -> None:
    if iteration == total:
        print(f"[INFO] {folder} is finished: all {total} iterations are done.", flush=True)
    else:
        print(f"[INFO] Continuing {folder} after iteration {iteration} of {total}.", flush=True)


def _dump(folder: Path, runner: Runner, error: DivergedError) -> None:
    """Keep the last state, from which the same is computed again, and what there is at the failure."""
    last = next(state for _, state in read_states(folder) if isinstance(state, dict))
    content = last | {
        "failure": {
            "iteration": error.iteration,
            "term": error.term,
            "env_index": error.env_index,
            "env": runner.env.state_dict(),
            "algorithm": runner.alg.save(),
        }
    }
    path = folder / dump_name(error.iteration)
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
