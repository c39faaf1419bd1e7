"""What a run leaves in its folder, and where it goes on."""

import os
import time
from pathlib import Path
from typing import Any

from manyseeds.config.settings import RunConfig
from manyseeds.core import record as provenance
from manyseeds.core.code import Code
from manyseeds.core.files import sha256
from manyseeds.core.layout import EVENT_FILE, PARAMS, RUN_RECORD, checkpoint_iterations, checkpoint_name
from manyseeds.core.text import now
from manyseeds.learning.checkpoint import save_checkpoint
from manyseeds.learning.distributed import Ranks, local_size
from manyseeds.learning.runner import Iteration, Runner
from manyseeds.runs.console import iteration_block
from manyseeds.runs.events import EventWriter, open_log
from manyseeds.runs.folder import find_state, set_aside, write_params
from manyseeds.runs.loggers import Loggers
from manyseeds.runs.state import write_state
from manyseeds.runs.videos import TrainingVideos
from manyseeds.simulators.base import TaskEnv
from manyseeds.tasks.code import training_code

CLOCKED_TAGS = ("Train/mean_reward", "Train/mean_episode_length")
"""Scalars that are logged a second time as <tag>/time, at the seconds of training instead of the iterations."""


class Record:
    """What a run leaves in its folder: params, scalars, checkpoints, videos, the state to continue from, run.json.

    Args:
        run: the run.
        agent: its hyper-parameters, complete.
        config: what decides its results, `configuration`.
        env: its environments.
        runner: trains it.
        ranks: the processes that train it.
        code: what else decides its results.
    """

    def __init__(
        self,
        run: RunConfig,
        agent: dict[str, Any],
        config: dict[str, Any],
        env: TaskEnv,
        runner: Runner,
        ranks: Ranks,
        code: Code,
    ) -> None:
        self._run = run.model_copy(update={"ranks": ranks.size})
        self._agent, self._config, self._runner, self._env = agent, config, runner, env
        self._folder = run.log_dir
        self._checkpoints = checkpoint_iterations(run.train.max_iterations, run.train.save_interval)
        self._journal = provenance.Journal(self._folder)
        self._code = code
        self._sums: dict[str, str] = {}
        self._params: dict[str, str] = {}
        self._elapsed, self._saving, self._begin = 0.0, 0.0, time.perf_counter()
        self._videos = TrainingVideos(run, runner.alg, env) if run.video else None
        self._events: EventWriter
        self._loggers: Loggers

    def begin(self, must_continue: bool) -> dict[str, Any] | None:
        """Return the runner's state to resume from, or None if the run starts.

        Args:
            must_continue: whether a start is an error.
        """
        train, folder = self._run.train, self._folder
        state, notes = find_state(
            folder,
            self._config,
            train.max_iterations,
            train.save_interval,
            code=self._code,
            changed_code=self._run.changed_code,
            must_continue=must_continue,
        )
        if state is None:
            self._write_params()
            self._events = open_log(self._run)
            self._loggers = Loggers(folder, train.logger)
            self._journal.start(*notes, code=self._code)
            return None
        self._elapsed, self._sums = state["elapsed"], state["checkpoints"]
        self._events = open_log(self._run, state["event_file_size"], state["event_clock"])
        if state["processor"] != (processor := provenance.cpu()):
            notes.append(
                f"[WARNING] So far this run had the processor {state['processor']}; with {processor} its bits may"
                " differ."
            )
            print(notes[-1], flush=True)
        began = Code.from_dict(state["code"])
        other = (began is None or began.changes(self._code)) and provenance.other_code(folder, self._code) != []
        if self._journal.fields["made_by"] is None:  # a journal that was lost
            self._journal.fields["made_by"] = state["code"]
        if state["runner"]["iteration"] < train.max_iterations:
            # The record of a shorter run holds no longer.
            (folder / RUN_RECORD).unlink(missing_ok=True)
            self._journal.resume(*notes, accepted=self._code if other else None)
        elif other:
            provenance.accept_code(folder, self._code, "accepted when it was finished")
            self._journal = provenance.Journal(folder)
        if not (folder / RUN_RECORD).exists():  # the record that is to come vouches for them
            self._write_params()
        goes_on = state["runner"]["iteration"] < train.max_iterations
        self._loggers = Loggers(folder, train.logger if goes_on else ())
        self._loggers.saved(state["event_file_size"])
        return state["runner"]

    def _write_params(self) -> None:
        env = {key: self._config.get(key, value) for key, value in self._env.cfg.items()}
        here = {"device": self._run.device, "threads": cpu_threads(self._run)}
        train, digest = self._run.train, self._run.init_digest
        init = {"init_from": train.init_from, "init_digest": digest} if digest else {}
        write_params(self._folder, self._agent, {**env, **here, **init})
        self._params = {name: sha256(self._folder / name) for name in PARAMS}

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
        if self._runner.iteration == self._run.train.max_iterations:
            self._save_checkpoint()  # before the state, which holds its checksum
        # The event file must be on disk as far as the state says before the state says so.
        size = self._events.sync()
        state = {
            "config": self._config,
            "code": self._code.to_dict(),
            "processor": provenance.cpu(),
            "checkpoints": self._sums,
            "save_interval": self._run.train.save_interval,
            "event_file_size": size,
            "event_file_sha256": self._events.sha256,
            "event_clock": self._events.clock,
            "elapsed": self._elapsed,
            "runner": runner_state,
        }
        write_state(self._folder, state)
        self._loggers.saved(size)
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
        self._loggers.end()

    def _write_record(self) -> None:
        if self._run.launched:  # an experiment's folder has the checkpoints of its config only
            set_aside(self._folder, self._checkpoints)
        outputs = [*(checkpoint_name(iteration) for iteration in self._checkpoints), EVENT_FILE, *PARAMS]
        provenance.write_run_record(
            self._folder,
            outputs,
            {**self._sums, **self._params, EVENT_FILE: self._events.sha256},
            **(self._run.launched.recorded() if self._run.launched else {}),
            **({"init_from": self._run.train.init_from} if self._run.init_digest else {}),
            seed=self._run.seed,
            config=self._run.identity(),
            threads=cpu_threads(self._run),
            **self._journal.end(training_code(self._run.task, str(self._run.simulator))),
            ended=now(),
        )

    def _save_checkpoint(self) -> None:
        path = self._folder / checkpoint_name(self._runner.iteration)
        save_checkpoint(path, self._runner.alg, self._runner.iteration)
        self._sums[path.name] = sha256(path)
        print(f"[INFO] Saved checkpoint to: {path}", flush=True)


def cpu_threads(run: RunConfig) -> int:
    """Return the CPU threads of each process of a run; "auto" shares the cores of this machine out."""
    threads = run.train.threads
    return threads if isinstance(threads, int) else max(1, len(os.sched_getaffinity(0)) // local_size())


def print_start(folder: Path, iteration: int, total: int) -> None:
    """Say after which iteration a run goes on."""
    if iteration == total:
        print(f"[INFO] {folder} is finished: all {total} iterations are done.", flush=True)
    else:
        print(f"[INFO] Continuing {folder} after iteration {iteration} of {total}.", flush=True)
