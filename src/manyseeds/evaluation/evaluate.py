"""How often a policy brings the cube to its target: fixed episodes, the same for every checkpoint."""

import argparse
import csv
import os
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from manyseeds.core.arguments import verb_parser
from manyseeds.core.errors import UserError
from manyseeds.core.files import write_atomic

if TYPE_CHECKING:
    from torch import Tensor

    from manyseeds.simulators.base import LiftObjectEnv

COLUMNS = (
    "iteration", "episode", "object_x", "object_y", "target_x", "target_y", "target_z",
    "reached", "held", "dropped", "first_reached_s", "final_distance", "return",
)  # fmt: skip
BATCH = 1000
"""Episodes computed at once. Fixed, for the last bits of a network's output may depend on it."""


@dataclass(frozen=True)
class Episodes:
    """What happened in n episodes of one checkpoint; positions in m, in the robot's root frame.

    Attributes:
        iteration: completed training iterations of the checkpoint.
        object_xy: (n, 2) where the cube started.
        target: (n, 3) where it should go.
        reached: (n,) whether it was ever nearer to the target than the tolerance.
        held: (n,) whether it was so at the last step.
        dropped: (n,) whether it ever fell below the table.
        first_reached_s: (n,) s, NaN when never.
        final_distance: (n,) m.
        total_reward: (n,) sum of the rewards.
    """

    iteration: int
    object_xy: "Tensor"
    target: "Tensor"
    reached: "Tensor"
    held: "Tensor"
    dropped: "Tensor"
    first_reached_s: "Tensor"
    final_distance: "Tensor"
    total_reward: "Tensor"


def make_evaluation_env(env_params: dict[str, Any], *, num_envs: int, threads: int) -> "LiftObjectEnv":
    """Make environments in which no episode ends, with the task of a run.

    Args:
        env_params: content of the run's params/env.yaml.
        num_envs: episodes at once.
        threads: of the physics.
    """
    import torch

    from manyseeds.simulators import make_env

    torch.set_num_threads(1)  # results must not depend on the number of torch's threads
    return make_env(
        env_params["simulator"],
        env_params["task"],
        num_envs=num_envs,
        seed=0,
        device=env_params.get("device", "cpu"),
        threads=threads,
        task_cfg=env_params["task_cfg"],
        auto_reset=False,
    )


def evaluate_run(
    run_dir: Path,
    *,
    episodes: int,
    seed: int,
    tolerance: float,
    threads: int = 0,
    simulator: str | None = None,
    device: str | None = None,
) -> Iterator[Episodes]:
    """Evaluate all checkpoints of a run in the order of their iterations.

    The policy is deterministic and every episode lasts its full time. The results do not depend on `threads`.

    Args:
        run_dir: folder with model_<iteration>.pt and params/.
        episodes: how many; the first k are the same for every number of them.
        seed: of the episodes, the same for all runs that shall be compared.
        tolerance: distance in m below which the cube is at its target.
        threads: CPU threads; 0 means all.
        simulator: another one than the run was trained in.
        device: another one than it was trained on.

    Raises:
        UserError: when there is no checkpoint, or one or the params are damaged, or the simulator does not run on
            the device.
    """
    from manyseeds.learning.checkpoint import checkpoints
    from manyseeds.learning.policy import Policy, read_params
    from manyseeds.simulators import sample_episodes

    paths = checkpoints(run_dir)
    if not paths:
        raise UserError(f"{run_dir} holds no checkpoint model_<iteration>.pt.")
    params = read_params(run_dir)
    threads = threads or len(os.sched_getaffinity(0))
    elsewhere = {key: value for key, value in (("simulator", simulator), ("device", device)) if value}
    env = make_evaluation_env(params.env | elsewhere, num_envs=min(episodes, BATCH), threads=threads)
    try:
        policy = Policy(params.agent, env.get_observations(), env.num_actions, threads, env.device)
        policy.parallelize()
        starts = sample_episodes(params.env["task_cfg"], episodes, seed)
        for path in paths.values():
            iteration = policy.load(path)
            yield _evaluate(env, policy.model, iteration, *starts, tolerance)
    finally:
        env.close()


def _evaluate(
    env: "LiftObjectEnv", model: Any, iteration: int, object_xy: "Tensor", target: "Tensor", tolerance: float
) -> Episodes:
    import torch

    batches = []
    with torch.inference_mode():
        for first in range(0, len(object_xy), env.num_envs):
            # The last batch is filled up with the first episodes, whose second results are cut off again.
            rows = torch.arange(first, first + env.num_envs) % len(object_xy)
            batches.append(_play(env, model, object_xy[rows], target[rows], tolerance))
    columns = [torch.cat(parts)[: len(object_xy)] for parts in zip(*batches, strict=True)]
    return Episodes(iteration, object_xy, target, *columns)


def _play(
    env: "LiftObjectEnv", model: Any, object_xy: "Tensor", target: "Tensor", tolerance: float
) -> tuple["Tensor", ...]:
    """Play one batch of full episodes; return the columns after `target` of Episodes."""
    import torch

    env.reset_to(object_xy, target)
    obs = env.get_observations()
    first = torch.full((env.num_envs,), torch.nan, dtype=torch.float64)
    dropped = torch.zeros(env.num_envs, dtype=torch.bool)
    total = torch.zeros(env.num_envs, dtype=torch.float64)
    floor = env.task_cfg.object_dropped_height
    for step in range(1, env.max_episode_length + 1):
        obs, rewards, _, _ = env.step(model(obs))
        position = env.object_position()
        distance = torch.linalg.vector_norm(position - env.target_position(), dim=1)
        first[(distance < tolerance).cpu() & first.isnan()] = step * env.step_dt
        dropped |= (position[:, 2] < floor).cpu()
        total += rewards.cpu()
    env.check_physics()
    distance = distance.cpu()
    return ~first.isnan(), distance < tolerance, dropped, first, distance, total


def write_csv(path: Path, results: Sequence[Episodes]) -> None:
    """Write one row per checkpoint and episode, whole or not at all; see COLUMNS."""
    with write_atomic(path) as partial, partial.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(COLUMNS)
        for result in results:
            places = [[f"{x:.6f}" for x in row] for row in (*result.object_xy.T.tolist(), *result.target.T.tolist())]
            flags = [x.int().tolist() for x in (result.reached, result.held, result.dropped)]
            first = ["" if x != x else f"{x:.6g}" for x in result.first_reached_s.tolist()]
            ends = [[f"{x:.6f}" for x in column.tolist()] for column in (result.final_distance, result.total_reward)]
            n = len(first)
            writer.writerows(zip([result.iteration] * n, range(n), *places, *flags, first, *ends, strict=True))


def main(argv: Sequence[str] | None = None) -> int:
    """Evaluate a run; return 0, 1 when the simulator fails, 2 on bad input."""
    parser = verb_parser("evaluate", __doc__, "--run_dir results/lift_object/default/seed_1 --output episodes.csv")
    parser.add_argument("--run_dir", type=Path, required=True, help="folder with model_*.pt and params/")
    parser.add_argument(
        "--output", type=Path, required=True, help="CSV file to write, a row per checkpoint and episode"
    )
    parser.add_argument("--episodes", type=int, default=1000, help="episodes per checkpoint")
    parser.add_argument("--seed", type=int, default=0, help="seed of the episodes")
    parser.add_argument("--tolerance", type=float, default=0.05, help="distance (m) below which the target is reached")
    parser.add_argument("--threads", type=int, default=0, help="CPU threads, which do not change the results; 0: all")
    parser.add_argument("--simulator", help="evaluate in this simulator (the one that the run was trained in)")
    parser.add_argument("--device", help="cpu, cuda or cuda:N (what the run was trained on)")
    args = parser.parse_args(argv)
    try:
        for name, low in (("episodes", 1), ("seed", 0), ("threads", 0)):
            if getattr(args, name) < low:
                raise UserError(f"--{name} is {getattr(args, name)}; it must be at least {low}.")
        if not 0 < args.tolerance < float("inf"):
            raise UserError(f"--tolerance is {args.tolerance}; it must be a finite number of metres greater than 0.")
        return _run(args)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2


def _run(args: argparse.Namespace) -> int:
    from manyseeds.learning.checkpoint import checkpoints
    from manyseeds.simulators import NonFiniteError

    total = len(checkpoints(args.run_dir))
    results: list[Episodes] = []
    start = time.perf_counter()
    try:
        for result in evaluate_run(
            args.run_dir,
            episodes=args.episodes,
            seed=args.seed,
            tolerance=args.tolerance,
            threads=args.threads,
            simulator=args.simulator,
            device=args.device,
        ):
            results.append(result)
            shares = [100 * x.double().mean().item() for x in (result.reached, result.held)]
            print(
                f"[{len(results)}/{total}] model_{result.iteration}.pt: reached {shares[0]:.1f} %, held "
                f"{shares[1]:.1f} % of {args.episodes} episodes ({time.perf_counter() - start:.0f} s)",
                flush=True,
            )
    except NonFiniteError as error:
        print(
            f"error: {args.run_dir}: {error} in the evaluation after {len(results)} checkpoints.",
            file=sys.stderr,
        )
        return 1
    write_csv(args.output, results)
    return 0
