"""The PPO update of manyseeds and of RSL-RL: seconds, and the difference of their parameters afterwards.

    python benchmarks/ppo_update.py [--repeats 5]

One update learns from 512 environments x 24 steps in 5 epochs of 4 mini-batches. Both start from the same parameters,
the same rollout and the same random state, so they use the same mini-batches in the same order. They take turns. The
difference is the largest over all parameters; the next column is the largest change by RSL-RL's update.
"""

import argparse
import copy
import sys
from contextlib import redirect_stdout
from io import StringIO
from typing import Any

import torch
from _timing import Measurements, Table, Time, machine, measure, thread_counts
from rsl_rl import algorithms

from manyseeds.learning.parallel import thread_map
from manyseeds.learning.ppo import PPO
from manyseeds.simulators import make_env

STEPS, ENVS = 24, 512


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=5, help="updates of each, taken in turn")
    args = parser.parse_args()
    print(machine(), "\n")
    table = Table(
        "hidden layers", "precision", "threads", "rsl_rl, s", "manyseeds, s", "ratio", "rsl_rl, CPU s",
        "manyseeds, CPU s", "ratio, CPU", "largest difference", "largest change",
    )  # fmt: skip
    for hidden in ([256, 128, 64], [256, 256, 256]):
        for mixed in (False, True):
            stock, ours = collected(hidden, mixed)
            start = copy.deepcopy(stock.save())
            for threads in thread_counts():
                row = compare(stock, ours, start, threads, args.repeats)
                table.row(hidden, "bf16" if mixed else "fp32", threads, *row)
    return 0


def compare(stock: Any, ours: Any, start: dict[str, Any], threads: int, repeats: int) -> list[str]:
    ours.map = thread_map(threads)
    before = None

    def update(algorithm: Any, torch_threads: int) -> Time:
        nonlocal before
        algorithm.load(copy.deepcopy(start), None, True)
        algorithm.learning_rate = 1e-3
        algorithm.storage.step = STEPS
        before = parameters(algorithm).clone()
        torch.manual_seed(0)
        torch.set_num_threads(torch_threads)
        return measure(algorithm.update)

    # RSL-RL uses torch's threads; manyseeds uses a pool of threads, with one torch thread.
    contestants = {"rsl_rl": lambda: update(stock, threads), "manyseeds": lambda: update(ours, 1)}
    for run in contestants.values():
        run()
    times = Measurements(contestants, repeats)
    theirs, mine, ratio = times.best("rsl_rl"), times.best("manyseeds"), times.ratio("rsl_rl", "manyseeds")
    difference = (parameters(stock) - parameters(ours)).abs().max().item()
    change = (parameters(stock) - before).abs().max().item()
    return [
        f"{theirs.wall:.3f}", f"{mine.wall:.3f}", f"{ratio.wall:.2f} x",
        f"{theirs.cpu:.3f}", f"{mine.cpu:.3f}", f"{ratio.cpu:.2f} x",
        f"{difference:.1e}", f"{change:.1e}",
    ]  # fmt: skip


def collected(hidden: list[int], mixed: bool) -> tuple[Any, Any]:
    """Return both algorithms with the same parameters and the same rollout in their storage."""
    env = make_env("mujoco", "lift_object", num_envs=ENVS, seed=0)
    env.episode_length_buf = torch.randint_like(env.episode_length_buf, env.max_episode_length)
    obs = env.get_observations()
    stock, ours = (build(cls, env, obs, hidden, mixed) for cls in (algorithms.PPO, PPO))
    with torch.inference_mode():
        for _ in range(STEPS):
            actions = stock.act(obs)
            ours.act(obs)
            ours.storage.actions[ours.storage.step] = actions
            obs, rewards, dones, extras = env.step(actions)
            stock.process_env_step(obs, rewards, dones, extras)
            ours.process_env_step(obs, rewards, dones, extras)
        stock.compute_returns(obs)
        ours.compute_returns(obs)
    return stock, ours


def build(cls: type, env: Any, obs: Any, hidden: list[int], mixed: bool) -> Any:
    torch.manual_seed(0)
    model = {"class_name": "MLPModel", "hidden_dims": hidden, "activation": "elu", "obs_normalization": True}
    noise = {"class_name": "GaussianDistribution", "init_std": 1.0, "std_type": "scalar"}
    algorithm = {"class_name": cls, "gamma": 0.98, "entropy_coef": 0.004, "use_mixed_precision": mixed}
    algorithm |= {"num_learning_epochs": 5, "num_mini_batches": 4, "schedule": "adaptive", "desired_kl": 0.01}
    cfg = {
        "num_steps_per_env": STEPS,
        "obs_groups": {"actor": ["policy"], "critic": ["policy"]},
        "multi_gpu": None,
        "actor": model | {"distribution_cfg": noise},
        "critic": dict(model),
        "algorithm": algorithm,
    }
    with redirect_stdout(StringIO()):
        built = cls.construct_algorithm(obs, env, cfg, "cpu")
    built.train_mode()
    return built


def parameters(algorithm: Any) -> torch.Tensor:
    return torch.cat([p.detach().flatten() for p in algorithm.optimizer.param_groups[0]["params"]])


if __name__ == "__main__":
    sys.exit(main())
