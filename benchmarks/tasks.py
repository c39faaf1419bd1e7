"""How fast each task steps, beside pure C physics, and how fast it trained.

    python benchmarks/tasks.py RUN_DIR...

One row per run: its task with its last policy, 512 environments, one thread. "step" and "rollout" are those of
vector_step.py; a task whose episodes have models of their own (`Task.adapt`) has no such rollout. Samples per second
are the median over the run's iterations, with what else the machine did then.
"""

import argparse
import csv
import statistics
import sys
from pathlib import Path

import torch
from _timing import Table, machine
from vector_step import STEPS, Work, compare, trained_policy

from manyseeds.core.layout import SCALARS
from manyseeds.learning.policy import read_params
from manyseeds.simulators.base import Options
from manyseeds.simulators.mujoco import MujocoEnv
from manyseeds.tasks import registry
from manyseeds.tasks.base import configure

NUM_ENVS = 512
WARM_UP = 100


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", type=Path, nargs="+", help="folders of runs with a checkpoint")
    parser.add_argument("--repeats", type=int, default=5, help="rounds")
    args = parser.parse_args()
    torch.set_num_threads(1)
    print(machine(), "\n")
    table = Table(
        "task", "step, env steps/s", "rollout", "step/rollout, CPU", "physics steps per step", "training, samples/s"
    )
    with torch.inference_mode():
        for run in args.runs:
            params = read_params(run).env
            task = registry.load(params["task"])
            env = MujocoEnv(task, configure(task, params["task_cfg"]), Options(NUM_ENVS, seed=0, threads=1))
            cells = compare(env, _work(env, run), 1, args.repeats)
            table.row(env.task.name, cells[0], cells[2], cells[4], env.task_cfg.decimation, _samples_per_second(run))
    return 0


def _work(env: MujocoEnv, run: Path) -> Work:
    """Let the policy act for a while, and record the steps after it; episodes end evenly over time."""
    policy = trained_policy(env, run)
    env.episode_length_buf = torch.zeros_like(env.episode_length_buf)
    for step in range(WARM_UP):
        env.step(policy(step))
    noise = torch.Generator().manual_seed(1)
    env.episode_length_buf = torch.randint(env.max_episode_length, (NUM_ENVS,), generator=noise)
    state, actions = env.state_dict(), []
    for step in range(STEPS):
        actions.append(policy(step).clone())
        env.step(actions[-1])
    return Work(state, torch.stack(actions), float("nan"), float("nan"))


def _samples_per_second(run: Path) -> str:
    with (run / SCALARS).open(encoding="utf-8") as stream:
        speeds = [float(row["Perf/total_fps"]) for row in csv.DictReader(stream)]
    return f"{statistics.median(speeds):,.0f}"


if __name__ == "__main__":
    sys.exit(main())
