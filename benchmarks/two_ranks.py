"""Do one process and two processes that share the environments learn equally well? On a CPU over gloo.

    python benchmarks/two_ranks.py [--seeds 3] [--iterations 60] [--num_envs 128]

Trains the same agent with every seed in one process and in two (`--distributed --nproc_per_node 2`), one thread each,
and compares the reward for reaching the cube and the return of the last episodes over training. The two draw different
samples, so their curves differ; they should differ no more than seeds do.
"""

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from _timing import Table, machine

from manyseeds import statistics
from manyseeds.eventfiles.export import export
from manyseeds.eventfiles.table import read_scalars

AGENT = Path(__file__).resolve().parents[1] / "src/manyseeds/tasks/lift_object/agent.json"
TAGS = ("Episode_Reward/reaching_object", "Train/mean_reward")
LAST = 10
"""A seed's number is the mean over this many last iterations."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--iterations", type=int, default=60)
    parser.add_argument("--num_envs", type=int, default=128, help="environments of all processes in total")
    args = parser.parse_args()
    print(machine())
    with tempfile.TemporaryDirectory() as folder:
        curves = {
            ranks: [run(Path(folder) / f"{ranks}_{seed}", ranks, seed, args) for seed in range(1, args.seeds + 1)]
            for ranks in (1, 2)
        }
    for tag in TAGS:
        show(tag, {ranks: np.array([own[tag] for own in seeds]) for ranks, seeds in curves.items()})


def run(folder: Path, ranks: int, seed: int, args: argparse.Namespace) -> dict[str, np.ndarray]:
    """Train one run; return its curves by tag, (iterations,)."""
    options = {
        "num_envs": args.num_envs,
        "max_iterations": args.iterations,
        "state_interval": args.iterations,
        "seed": seed,
        "threads": 1,
        "agent_cfg_path": AGENT,
        "log_dir": folder,
    }
    command = [sys.executable, "-m", "manyseeds", "train", *(f"--{name}={value}" for name, value in options.items())]
    if ranks > 1:
        command += ["--distributed", f"--nproc_per_node={ranks}"]
    subprocess.run([*command, "lift_object"], check=True, stdout=subprocess.DEVNULL)
    export(folder, folder / "scalars.csv")
    columns = read_scalars(folder / "scalars.csv").columns
    return {tag: columns[tag] for tag in TAGS}


def show(tag: str, curves: dict[int, np.ndarray]) -> None:
    """Print the seeds' numbers, (seeds, iterations), over training; compare them at the end."""
    print(f"\n{tag}\n")
    table = Table("iteration", "one process, each seed", "two processes, each seed", "mean of one", "mean of two")
    iterations = curves[1].shape[1]
    for end in range(LAST, iterations + 1, LAST):
        blocks = {ranks: np.nanmean(values[:, end - LAST : end], axis=1) for ranks, values in curves.items()}
        seeds = (", ".join(f"{value:.3f}" for value in blocks[ranks]) for ranks in (1, 2))
        table.row(f"{end - LAST + 1} to {end}", *seeds, *(f"{blocks[ranks].mean():.3f}" for ranks in (1, 2)))
    at_the_end = {str(ranks): np.nanmean(values[:, -LAST:], axis=1) for ranks, values in curves.items()}
    [(a, b)] = statistics.pairs_of(at_the_end)
    pair = statistics.compare(at_the_end[a], at_the_end[b], names=(a, b))
    print(
        f"\nat the end one process minus two: {pair.difference:.3f}, Welch's 95 % interval over seeds"
        f" [{pair.low:.3f}, {pair.high:.3f}], p {pair.p:.2f}"
    )


if __name__ == "__main__":
    main()
