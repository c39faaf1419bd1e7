"""How well a policy does its task: fixed episodes, the same for every checkpoint; a row for each episode."""

import argparse
import csv
import os
import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

from manyseeds.core.arguments import at_least, verb_parser
from manyseeds.core.code import Code
from manyseeds.core.description import Description
from manyseeds.core.errors import UserError
from manyseeds.core.files import parse_json, read_object, write_atomic
from manyseeds.core.layout import CONFIG, EPISODES, PARAMS
from manyseeds.core.manifest import write_manifest
from manyseeds.core.record import recorded_checkpoints
from manyseeds.learning import foreign
from manyseeds.tasks.code import check_task, evaluation_code

if TYPE_CHECKING:
    from torch import Tensor

    from manyseeds.config.settings import EvaluateSettings
    from manyseeds.simulators.base import TaskEnv
    from manyseeds.tasks.base import Starts, State, Trace

BATCH = 1000
"""Episodes computed at once. Fixed, for the last bits of a network's output may depend on it."""


_FACTORS = 2**32
"""Added to the seed of the episodes for what they draw besides their starts, which has to be other numbers."""


@dataclass(frozen=True)
class Episodes:
    """What happened in n episodes of one checkpoint.

    Attributes:
        iteration: completed training iterations of the checkpoint.
        description: names the columns.
        starts: where the episodes started, (n,) by column.
        outcomes: how they went, (n,) by column; NaN where a measure has no value.
        total_reward: (n,) sum of the rewards.
    """

    iteration: int
    description: Description
    starts: "Mapping[str, Tensor]"
    outcomes: "Mapping[str, Tensor]"
    total_reward: "Tensor"


def evaluation_settings(folder: Path) -> "EvaluateSettings":
    """Return how the experiment of a run evaluates, so that episodes have the numbers of episodes.csv.

    Args:
        folder: the run's folder. Outside an experiment, the defaults hold.

    Raises:
        UserError: when the experiment's config.json is damaged.
    """
    from manyseeds.config.settings import EvaluateSettings

    path = folder.resolve().parent.parent / CONFIG
    if not path.is_file():
        return EvaluateSettings()
    given = read_object(path, str(path)).get("evaluate", {})
    try:
        return EvaluateSettings(**{name: given[name] for name in ("episodes", "seed", "overrides") if name in given})
    except (TypeError, ValueError) as error:
        raise UserError(f"{path}: 'evaluate' is not what an experiment writes there.") from error


def make_evaluation_env(
    env_params: dict[str, Any],
    *,
    num_envs: int,
    threads: int,
    overrides: Mapping[str, Any] | None = None,
    run_dir: Path,
) -> "TaskEnv":
    """Make environments in which no episode ends, with the task of a run.

    Args:
        env_params: content of the run's params/env.yaml.
        num_envs: episodes at once.
        threads: of the physics.
        overrides: numbers of the task that the evaluation changes, by name.
        run_dir: the run's folder.

    Raises:
        UserError: when the task has changed since, or a number is not allowed.
    """
    import torch

    from manyseeds.simulators import make_env

    torch.set_num_threads(1)  # results must not depend on the number of torch's threads
    check_task(run_dir, env_params["task"])
    return make_env(
        env_params["simulator"],
        env_params["task"],
        num_envs=num_envs,
        seed=0,
        device=env_params.get("device", "cpu"),
        threads=threads,
        task_cfg={**env_params["task_cfg"], **(overrides or {})},
        auto_reset=False,
    )


def evaluation_starts(env: "TaskEnv", episodes: int, seed: int) -> "Starts":
    """Return where the fixed evaluation episodes of a task start, on the CPU.

    Raises:
        UserError: when the task's start leaves out a column of its description.
    """
    import torch

    from manyseeds.tasks.base import draw_factors

    starts = env.task.start(env.task_cfg, episodes, torch.Generator().manual_seed(seed))
    factors = draw_factors(env.task, env.task_cfg, episodes, torch.Generator().manual_seed(seed + _FACTORS))
    starts = replace(starts, factors=factors)
    _check_names(env, "start", starts.columns, [start.name for start in env.task.description.starts])
    return starts


def _check_names(env: "TaskEnv", what: str, given: Mapping[str, Any], wanted: Sequence[str]) -> None:
    if missing := [name for name in wanted if name not in given]:
        raise UserError(
            f"task {env.task.name}: {what} gives {', '.join(given) or 'no column'}; "
            f"its description has {', '.join(missing)}, too."
        )


def evaluate_run(
    run_dir: Path,
    *,
    episodes: int,
    seed: int,
    overrides: Mapping[str, Any] | None = None,
    threads: int = 0,
    simulator: str | None = None,
    device: str | None = None,
    only: int | None = None,
    earlier: tuple[int, int] | None = None,
) -> Iterator[Episodes]:
    """Evaluate all checkpoints of a run in the order of their iterations, or one of them.

    The policy is deterministic and every episode lasts its full time. The results do not depend on `threads`.

    Args:
        run_dir: folder with model_<iteration>.pt and params/.
        episodes: how many.
        seed: of the episodes, the same for all runs that are to be compared.
        overrides: numbers of the task that the evaluation changes, by name.
        threads: CPU threads; 0 means all.
        simulator: another one than the run was trained in.
        device: another one than it was trained on.
        only: the iteration of the one checkpoint to evaluate.
        earlier: checkpoints before the first number, an iteration, play only the second number of these episodes.

    Raises:
        UserError: when there is no such checkpoint, one or the params are damaged, the task's file has changed, or the
            simulator does not run on the device.
    """
    from manyseeds.learning.policy import Policy, read_params

    paths = recorded_checkpoints(run_dir)
    if only is not None:
        if only not in paths:
            raise UserError(f"{run_dir} has no checkpoint of iteration {only}.")
        paths = {only: paths[only]}
    params = read_params(run_dir)
    threads = threads or len(os.sched_getaffinity(0))
    elsewhere = {key: value for key, value in (("simulator", simulator), ("device", device)) if value}
    limit, few = earlier or (0, episodes)

    def played(iteration: int) -> int:
        return few if iteration < limit else episodes

    # As many environments as episodes: those of the earlier checkpoints are others.
    for number, iterations in groupby(paths, played):
        env = make_evaluation_env(
            params.env | elsewhere,
            num_envs=min(number, BATCH),
            threads=threads,
            overrides=overrides,
            run_dir=run_dir,
        )
        try:
            policy = Policy(params.agent, env.get_observations(), env.num_actions, threads, env.device)
            policy.parallelize()
            starts = evaluation_starts(env, episodes, seed)[:number]
            for iteration in iterations:
                yield evaluate_policy(env, policy.model, policy.load(paths[iteration]), starts)
        finally:
            env.close()


def evaluate_policy(env: "TaskEnv", model: Any, iteration: int, starts: "Starts") -> Episodes:
    """Play episodes with a model and judge them.

    Raises:
        UserError: when the task's judge leaves out a column of its description.
    """
    import torch

    description = env.task.description
    names = [outcome.name for outcome in description.outcomes]
    outcomes, rewards = [], []
    with torch.inference_mode():
        for first in range(0, len(starts), env.num_envs):
            # The last batch is filled up with the first episodes, whose second results are cut off again.
            rows = torch.arange(first, first + env.num_envs) % len(starts)
            trace, total = play(env, model, starts[rows], first)
            judged = env.task.judge(env.task_cfg, trace)
            _check_names(env, "judge", judged, names)
            outcomes.append([judged[name] for name in names])
            rewards.append(total)
    columns = [torch.cat(parts)[: len(starts)] for parts in zip(*outcomes, strict=True)]
    total_reward = torch.cat(rewards)[: len(starts)]
    return Episodes(iteration, description, starts.columns, dict(zip(names, columns, strict=True)), total_reward)


def play(env: "TaskEnv", model: Any, starts: "Starts", seed: int = 0) -> tuple["Trace", "Tensor"]:
    """Play one batch of full episodes; return their trace and the sum of their rewards, (n,) float64.

    Args:
        env: the environments.
        model: the policy.
        starts: where the episodes start.
        seed: of noise and pushes.
    """
    import torch

    env.reset_to(starts, seed)
    obs = env.get_observations()
    recording = Recording(env)
    total = torch.zeros(env.num_envs, dtype=torch.float64)
    for step in range(env.max_episode_length):
        obs, rewards, _, _ = env.step(model(obs))
        recording.keep(step, env.state())
        total += rewards.cpu()
    env.check_physics()
    return recording.trace(env.max_episode_length, env.state().command.cpu().clone()), total


class Recording:
    """Keeps the states of full episodes while they are played, for the task's judge.

    Args:
        env: the environments, whose episodes have just started.
    """

    def __init__(self, env: "TaskEnv") -> None:
        import torch

        state, steps = env.state(), env.max_episode_length
        self._step_dt = env.step_dt
        self._qpos, self._qvel = (torch.empty(steps, *part.shape) for part in (state.qpos, state.qvel))
        self._sites = {name: torch.empty(steps, env.num_envs, 3) for name in env.task.sites}
        self._rotations = {name: torch.empty(steps, env.num_envs, 4) for name in env.task.sites}

    def keep(self, step: int, state: "State") -> None:
        """Keep the state after a step, counted from 0."""
        self._qpos[step], self._qvel[step] = state.qpos, state.qvel
        for name, sites in self._sites.items():
            sites[step], self._rotations[name][step] = state.sites[name], state.rotations[name]

    def trace(self, steps: int, command: "Tensor") -> "Trace":
        """Return so many steps from the start on, and what they were asked for, (n, c)."""
        from manyseeds.tasks.base import Trace

        return Trace(
            self._qpos[:steps],
            self._qvel[:steps],
            {name: sites[:steps] for name, sites in self._sites.items()},
            {name: rotations[:steps] for name, rotations in self._rotations.items()},
            command,
            self._step_dt,
        )


def write_csv(path: Path, results: Sequence[Episodes]) -> None:
    """Write one row per checkpoint and episode, whole or not at all, with `Description.columns`."""
    with write_atomic(path) as partial, partial.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        for index, result in enumerate(results):
            if not index:
                writer.writerow(result.description.columns)
            n = len(result.total_reward)
            columns = [
                _written(result.starts[start.name], ".0f" if start.names else ".6f")
                for start in result.description.starts
            ]
            for outcome in result.description.outcomes:
                spec = "d" if outcome.kind == "share" else outcome.format
                columns.append(_written(result.outcomes[outcome.name], spec))
            columns.append(_written(result.total_reward, ".6f"))
            writer.writerows(zip([result.iteration] * n, range(n), *columns, strict=True))


def _written(column: "Tensor", spec: str) -> list[str]:
    """Return numbers as text, empty where one is NaN."""
    return ["" if x != x else format(x, spec) for x in column.tolist()]


def evaluation_parser(verb: str, description: str | None, example: str) -> argparse.ArgumentParser:
    """Make the parser of a verb that plays episodes with the checkpoints of a run."""
    parser = verb_parser(verb, description, f"--run_dir results/lift_object/default/seed_1 {example}")
    parser.add_argument("--run_dir", type=Path, required=True, help="folder with model_*.pt and params/")
    parser.add_argument("--output", type=Path, required=True, help="CSV file to write")
    parser.add_argument("--episodes", type=int, default=1000, help="episodes per checkpoint")
    parser.add_argument("--seed", type=int, default=0, help="seed of the episodes")
    parser.add_argument(
        "--overrides",
        default="{}",
        help="numbers of the task that the evaluation changes, as JSON: '{\"NAME\": VALUE}'",
    )
    parser.add_argument(
        "--threads", type=at_least(0), default=0, help="CPU threads, which do not change the results; 0: all"
    )
    parser.add_argument("--simulator", help="evaluate in this simulator (the one that the run was trained in)")
    parser.add_argument("--device", help="cpu, cuda or cuda:N (what the run was trained on)")
    foreign.add_flag(parser)
    return parser


def read_flags(parser: argparse.ArgumentParser, argv: Sequence[str] | None) -> argparse.Namespace:
    """Return the flags of `evaluation_parser`, checked; `how` holds those that `evaluate_run` takes.

    Raises:
        UserError: for a number that is too small, or overrides that are no JSON object.
    """
    args = parser.parse_args(argv)
    foreign.allow(args.allow_code)
    for name, low in (("episodes", 1), ("seed", 0), ("threads", 0)):
        if getattr(args, name) < low:
            raise UserError(f"--{name} is {getattr(args, name)}; it must be at least {low}.")
    args.overrides = json_object("--overrides", args.overrides, "numbers of the task")
    names = ("episodes", "seed", "overrides", "threads", "simulator", "device")
    args.how = {name: getattr(args, name) for name in names}
    return args


def json_object(flag: str, text: str, what: str) -> dict[str, Any]:
    """Return the JSON object that a flag holds.

    Raises:
        UserError: when it is anything else.
    """
    try:
        content = parse_json(text)
    except ValueError as error:
        raise UserError(f"{flag} is not valid JSON: {error}.") from error
    if not isinstance(content, dict):
        raise UserError(f"{flag} is {text}; it must be a JSON object of {what}.")
    return content


def main(argv: Sequence[str] | None = None) -> int:
    """Evaluate a run; return 0, or 1 when the simulator fails."""
    from manyseeds.simulators import NonFiniteError

    parser = evaluation_parser("evaluate", __doc__, "--output episodes.csv")
    parser.add_argument(
        "--earlier_episodes", type=int, metavar="N", help="checkpoints --before play the first N of the episodes only"
    )
    parser.add_argument("--before", type=int, metavar="ITERATION", help="which ones --earlier_episodes is for")
    args = read_flags(parser, argv)
    args.how |= {"earlier": _earlier(args)}
    checkpoints = recorded_checkpoints(args.run_dir).values()
    total = len(checkpoints)
    results: list[Episodes] = []
    code = code_of(args)
    start = time.perf_counter()
    try:
        for result in evaluate_run(args.run_dir, **args.how):
            results.append(result)
            print(
                f"[{len(results)}/{total}] model_{result.iteration}.pt: {shares_in_words(result)} ({seconds(start)})",
                flush=True,
            )
    except NonFiniteError as error:
        print(
            f"error: {args.run_dir}: {error} in the evaluation after {len(results)} checkpoints.",
            file=sys.stderr,
        )
        return 1
    write_csv(args.output, results)
    name = "" if args.output.name == EPISODES else args.output.stem
    record(args, "evaluate", name, checkpoints, code)
    return 0


def _earlier(args: argparse.Namespace) -> tuple[int, int] | None:
    """Return what `evaluate_run` takes as `earlier`.

    Raises:
        UserError: when there are more of these episodes than of all, or one of the two flags is missing.
    """
    few, limit = args.earlier_episodes, args.before
    if few is None and limit is None:
        return None
    if few is None or limit is None:
        raise UserError("--earlier_episodes and --before belong together; give both or none.")
    if not 1 <= few <= args.episodes:
        raise UserError(f"--earlier_episodes is {few}; it must be at least 1 and at most --episodes, {args.episodes}.")
    return limit, few


def record(
    args: argparse.Namespace, verb: str, name: str, checkpoints: Iterable[Path], code: Code, **settings: Any
) -> None:
    """Write the manifest of an evaluation: its settings, its code, what it read and what it made.

    Args:
        args: from `read_flags`.
        verb: of the command line.
        name: of the manifest; the verb's name where it is "".
        checkpoints: what was evaluated.
        code: the code that evaluated it.
        **settings: further settings.
    """
    settings = {name: args.how[name] for name in ("episodes", "seed", "overrides")} | settings
    if args.how.get("earlier"):
        settings |= {"earlier_episodes": args.earlier_episodes, "before": args.before}
    read = [*checkpoints, *(args.run_dir / name for name in PARAMS)]
    made_by = code.to_dict()
    write_manifest(args.output.parent, verb, [args.output], read, name, settings=settings, made_by=made_by)


def code_of(args: argparse.Namespace, *, factors: bool = False) -> Code:
    """Return the code that evaluates, as it is before any of it is used."""
    from manyseeds.learning.policy import read_params

    env = read_params(args.run_dir).env
    return evaluation_code(env["task"], args.simulator or env["simulator"], factors=factors)


def shares_in_words(result: Episodes) -> str:
    """Return the rates of the shares, for the console."""
    rates = {o.name: 100 * result.outcomes[o.name].double().mean().item() for o in result.description.shares}
    said = ", ".join(f"{name} {rate:.1f} %" for name, rate in rates.items())
    return f"{said} of {len(result.total_reward)} episodes"


def seconds(start: float) -> str:
    """Return the time since a reading of `time.perf_counter`, for the console."""
    return f"{time.perf_counter() - start:.0f} s"
