"""Samples per second of whole training iterations, on one core and on all; an estimate for more cores.

    python benchmarks/training_iteration.py [--iterations 8] [--run RUN_DIR] [--estimate 32]

512 environments x 24 steps, with agent.json's hidden layers and with those of Isaac Lab Arena's policy-training guide.
With --run, training starts from that run's last checkpoint, with its own layers; cubes are held then, which costs the
most physics.

The runners on one core and on all cores do the same, bit for bit, and take turns. The estimate fits seconds = serial +
parallel / cores to both, separately for collection and learning. It is not a measurement: it ignores memory, caches and
clock rates, and it is useless if other programs were running.
"""

import argparse
import copy
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from _timing import Table, Time, cores, machine, median, task_overrides, thread_counts

from manyseeds.learning.agent import load_agent, resolve_agent
from manyseeds.learning.checkpoint import checkpoints, load_checkpoint
from manyseeds.learning.policy import read_params
from manyseeds.learning.runner import Runner
from manyseeds.simulators import make_env

AGENT = Path(__file__).resolve().parents[1] / "src/manyseeds/tasks/lift_object/agent.json"
NUM_ENVS = 512


@dataclass(frozen=True)
class Iterations:
    """Medians over iterations, and the share of episodes that succeeded in the last one in which some ended."""

    collection: Time
    learning: Time
    success: str


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--iterations", type=int, default=8, help="measured after the warm-up")
    parser.add_argument("--warm_up", type=int, default=3, help="iterations before; 12 fill every episode")
    parser.add_argument("--run", type=Path, help="folder of a run whose last checkpoint to start from")
    parser.add_argument("--estimate", type=int, default=32, help="cores to reckon for")
    args = parser.parse_args()
    print(machine(), "\n")
    table = Table(
        "hidden layers", "cores", "samples/s", "collection, s", "learning, s", "samples per CPU s", "collection, CPU s",
        "learning, CPU s", "success in training",
    )  # fmt: skip
    for agent in agents(args.run):
        hidden = agent["actor"]["hidden_dims"]
        runners = {threads: new_runner(agent, args.run, threads) for threads in thread_counts()}
        seconds = measure(runners, args.warm_up, args.iterations)
        samples = NUM_ENVS * agent["num_steps_per_env"]
        for threads, done in seconds.items():
            cells = [f"{samples / (done.collection.wall + done.learning.wall):,.0f}"]
            cells += [f"{done.collection.wall:.3f}", f"{done.learning.wall:.3f}"]
            cells += [f"{samples / (done.collection.cpu + done.learning.cpu):,.0f}"]
            table.row(hidden, threads, *cells, f"{done.collection.cpu:.3f}", f"{done.learning.cpu:.3f}", done.success)
        if len(seconds) > 1 and args.estimate > cores():
            parts = [reckon(seconds, part, args.estimate) for part in ("collection", "learning")]
            cells = [f"{samples / sum(parts):,.0f}", *(f"{part:.3f}" for part in parts)]
            table.row(hidden, f"{args.estimate} (reckoned)", *cells, "", "", "", "")
    return 0


def agents(run_dir: Path | None) -> list[dict[str, Any]]:
    if run_dir:
        return [resolve_agent(yaml.safe_load((run_dir / "params" / "agent.yaml").read_text()))]
    found = []
    for hidden in ([256, 128, 64], [256, 256, 256]):
        agent = load_agent(AGENT)
        for model in ("actor", "critic"):
            agent[model]["hidden_dims"] = hidden
        found.append(copy.deepcopy(agent))
    return found


def new_runner(agent: dict[str, Any], run_dir: Path | None, threads: int) -> Runner:
    task_cfg = read_params(run_dir).env["task_cfg"] if run_dir else task_overrides()
    env = make_env("mujoco", "lift_object", num_envs=NUM_ENVS, seed=0, threads=threads, task_cfg=task_cfg)
    runner = Runner(env, agent, seed=0, device="cpu", threads=threads)
    if run_dir:
        iteration, path = list(checkpoints(run_dir).items())[-1]
        runner.alg.load(load_checkpoint(path), None, True)
        runner.iteration = iteration  # the schedules follow it
    return runner


def measure(runners: dict[int, Runner], warm_up: int, iterations: int) -> dict[int, Iterations]:
    """Let the runners iterate in turn; return what they took by threads."""
    clocks = {threads: learning_clock(runner) for threads, runner in runners.items()}
    for runner in runners.values():
        for _ in range(warm_up):
            runner.iterate()
    rows: dict[int, list[tuple[Time, Time]]] = {threads: [] for threads in runners}
    success = dict.fromkeys(runners, "")
    for _ in range(iterations):
        for threads, runner in runners.items():
            clocks[threads].clear()
            cpu = time.process_time()
            done = runner.iterate()
            cpu, learning = time.process_time() - cpu, sum(clocks[threads])
            rows[threads].append((Time(done.collection_time, cpu - learning), Time(done.learning_time, learning)))
            if (rate := done.scalars.get("Metrics/success_rate")) is not None:
                success[threads] = f"{rate:.0%}"
    return {
        threads: Iterations(*(median(part) for part in zip(*row, strict=True)), success[threads])
        for threads, row in rows.items()
    }


def learning_clock(runner: Runner) -> list[float]:
    """Return the list to which each call of the algorithm's learning parts adds its CPU seconds."""
    spent: list[float] = []

    def timed(original: Callable) -> Callable:
        def run(*args: Any) -> Any:
            start = time.process_time()
            result = original(*args)
            spent.append(time.process_time() - start)
            return result

        return run

    runner.alg.compute_returns = timed(runner.alg.compute_returns)
    runner.alg.update = timed(runner.alg.update)
    return spent


def reckon(seconds: dict[int, Iterations], part: str, wanted: int) -> float:
    """Return seconds on `wanted` cores from those on 1 and on n, by Amdahl's law."""
    n = max(seconds)
    one, all_ = getattr(seconds[1], part).wall, getattr(seconds[n], part).wall
    parallel = min(max(0.0, (one - all_) / (1 - 1 / n)), one)
    return one - parallel + parallel / wanted


if __name__ == "__main__":
    sys.exit(main())
