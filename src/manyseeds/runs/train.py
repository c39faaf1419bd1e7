"""One training run from the first iteration, or from its last state, to the last."""

import sys
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from typing import Any

import torch

from manyseeds.config.settings import RunConfig
from manyseeds.core.code import Code
from manyseeds.core.errors import UserError
from manyseeds.core.files import sha256
from manyseeds.core.layout import dump_name
from manyseeds.core.text import plain
from manyseeds.learning.agent import resolve_agent
from manyseeds.learning.distributed import ALONE, Ranks
from manyseeds.learning.runner import DivergedError, Runner
from manyseeds.runs.folder import sole_writer
from manyseeds.runs.record import Record, cpu_threads, print_start
from manyseeds.runs.state import read_states, write_sealed
from manyseeds.simulators import make_env
from manyseeds.simulators.base import TaskEnv
from manyseeds.tasks.code import training_code


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
    # Before anything of it is used: an edit while this process starts is one of a run that is going on.
    code = training_code(run.task, str(run.simulator)) if ranks.first else None
    with sole_writer(run.log_dir) if ranks.first else nullcontext():
        env = make_training_env(run, ranks)
        try:
            _train(run, resolve_agent(run.agent, f"agent file {run.agent_file}"), env, ranks, code, must_continue)
        finally:
            env.close()


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


def _train(
    run: RunConfig, agent: dict[str, Any], env: TaskEnv, ranks: Ranks, code: Code | None, must_continue: bool
) -> None:
    runner = Runner(env, agent, seed=run.seed, device=run.device, threads=cpu_threads(run), ranks=ranks)
    record = Record(run, agent, configuration(run, agent, env, ranks), env, runner, ranks, code) if code else None
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
            print_start(run.log_dir, runner.iteration, run.train.max_iterations)
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
