"""The command line of training, as the document has it."""

import argparse
import os
import sys
from collections.abc import Sequence
from contextlib import nullcontext
from datetime import datetime
from pathlib import Path
from typing import Any

from manyseeds.core.arguments import verb_parser
from manyseeds.core.errors import StorageError, UserError
from manyseeds.core.files import read_object

LOGS = Path("logs") / "rsl_rl" / "generic_experiment"


def parser() -> argparse.ArgumentParser:
    """Return the argument parser."""
    parser = verb_parser(
        "train",
        "Train a policy with RSL-RL's PPO. A --log_dir with an unfinished run continues it.",
        "--num_envs 512 --max_iterations 700 --seed 1 lift_object",
    )
    add = parser.add_argument
    add("task", help="task to train; must be the last argument")
    add("--env_spacing", type=float, default=5.0, help="spacing between parallel environments (m)")
    add("--num_envs", type=int, default=512, help="number of parallel environments")
    add(
        "--max_iterations",
        type=int,
        default=12000,
        help="training iterations of 24 steps in each environment",
    )
    add("--save_interval", type=int, default=500, help="save a checkpoint every that many iterations")
    add("--headless", action="store_true", help="run without a window; there is none anyway")
    add("--seed", type=int, default=42, help="random seed")
    add("--device", default="", help="cpu, cuda or cuda:N (what the simulator runs on)")
    add("--video", action="store_true", help="record training videos to <log_dir>/videos")
    add("--video_interval", type=int, default=500, help="iterations between videos")
    add("--video_length", type=int, default=250, help="environment steps of a video (50 are one second)")
    add("--agent_cfg_path", type=Path, help="JSON file of hyper-parameters (generic_policy.json)")
    add("--task_cfg_path", type=Path, help="JSON file of numbers of the task to change")
    add("--simulator", default="mujoco", help="what steps the physics")
    add("--log_dir", type=Path, help=f"folder of the run ({LOGS}/<timestamp>)")
    add(
        "--state_interval",
        type=int,
        default=10,
        help="save the state to continue from every that many iterations",
    )
    add("--threads", type=int, default=0, help="CPU threads (of each process), which do not change the results; 0: all")
    add(
        "--distributed",
        action="store_true",
        help="train in several processes that share the environments out: one for every GPU here, or those of torchrun",
    )
    add("--nproc_per_node", type=int, help="processes of --distributed on this machine (one for every GPU)")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Train; return 0 when done, 1 when the run failed, 2 on bad input."""
    argv = sys.argv[1:] if argv is None else list(argv)
    args = parser().parse_args(argv)
    try:
        _check_numbers(args)
        from manyseeds.learning.distributed import launched

        settings = _settings(args)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    if args.distributed and not launched():
        return _launch([*argv[:-1], "--log_dir", str(settings.log_dir), argv[-1]], _processes(args))
    return _train(settings, args.distributed)


def _launch(argv: Sequence[str], processes: int) -> int:
    from manyseeds.learning.distributed import RankError, launch

    try:
        launch(argv, processes)
    except RankError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    return 0


def _train(settings: Any, distributed: bool) -> int:
    from manyseeds.learning.distributed import ALONE, RankError, joined
    from manyseeds.learning.runner import DivergedError
    from manyseeds.runs.train import dump_path, train

    try:
        with joined(settings.device) if distributed else nullcontext(ALONE) as ranks:
            train(settings, ranks)
    except StorageError as error:
        print(f"error: {error}; the same command continues later.", file=sys.stderr)
        return 1
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except RankError as error:
        print(f"error: {error}; the same command continues.", file=sys.stderr)
        return 1
    except DivergedError as error:
        dump = dump_path(settings.log_dir, error.iteration)
        advice = f"; see it again with: python -m manyseeds replay {dump}" if dump.exists() else ""
        print(f"error: {error}; earlier checkpoints are kept{advice}", file=sys.stderr)
        return 1
    except OSError as error:
        place = error.filename or settings.log_dir
        print(
            f"error: {place} cannot be written: {error.strerror}; the same command continues later.",
            file=sys.stderr,
        )
        return 1
    except KeyboardInterrupt:
        print(f"interrupted; the same command with --log_dir {settings.log_dir} continues.", file=sys.stderr)
        return 130
    return 0


def _settings(args: argparse.Namespace) -> Any:
    from manyseeds.learning.agent import DEFAULT_AGENT, load_agent
    from manyseeds.learning.distributed import local_size
    from manyseeds.runs.train import Settings

    processes = _processes(args)
    if args.num_envs % processes:
        raise UserError(f"--num_envs is {args.num_envs}; {processes} processes need a multiple of {processes}.")
    agent_path = args.agent_cfg_path or DEFAULT_AGENT
    agent = load_agent(agent_path)
    samples, batches = args.num_envs // processes * agent["num_steps_per_env"], agent["algorithm"]["num_mini_batches"]
    if samples < batches:
        raise UserError(
            f"agent file {agent_path}: algorithm.num_mini_batches is {batches}; "
            f"it must be at most num_envs (of one process) times num_steps_per_env, {samples}."
        )
    return Settings(
        task=args.task,
        simulator=args.simulator,
        num_envs=args.num_envs,
        env_spacing=args.env_spacing,
        seed=args.seed,
        device=_device(args.device),
        agent=agent,
        task_cfg=read_object(args.task_cfg_path, f"task file {args.task_cfg_path}") if args.task_cfg_path else {},
        log_dir=args.log_dir or (_new_log_dir() if int(os.environ.get("RANK", "0")) == 0 else LOGS),
        max_iterations=args.max_iterations,
        save_interval=args.save_interval,
        state_interval=args.state_interval,
        threads=args.threads or max(1, len(os.sched_getaffinity(0)) // local_size()),
        video_interval=args.video_interval if args.video else 0,
        video_length=args.video_length,
    )


def _processes(args: argparse.Namespace) -> int:
    """Return how many processes train together."""
    from manyseeds.learning.distributed import default_count, launched

    if launched():
        size = int(os.environ["WORLD_SIZE"])
        if size > 1 and not args.distributed:
            raise UserError(f"torchrun started {size} processes; --distributed lets them train together.")
        return size
    if not args.distributed:
        return 1
    return args.nproc_per_node or default_count()


def _check_numbers(args: argparse.Namespace) -> None:
    if args.nproc_per_node is not None and (not args.distributed or args.nproc_per_node < 1):
        raise UserError(f"--nproc_per_node is {args.nproc_per_node}; it needs --distributed and must be at least 1.")
    for name in (
        "num_envs",
        "max_iterations",
        "save_interval",
        "state_interval",
        "video_interval",
        "video_length",
    ):
        if getattr(args, name) < 1:
            raise UserError(f"--{name} is {getattr(args, name)}; it must be at least 1.")
    for name in ("seed", "threads"):
        if getattr(args, name) < 0:
            raise UserError(f"--{name} is {getattr(args, name)}; it must be at least 0.")
    if args.seed >= 2**63:
        raise UserError(f"--seed is {args.seed}; it must be less than 2^63.")
    if not 0 < args.env_spacing < float("inf"):
        raise UserError(f"--env_spacing is {args.env_spacing}; it must be a finite number of metres greater than 0.")


def _device(name: str) -> str:
    """Check a torch device; without a name it is the CPU, where the simulator mujoco runs."""
    import torch

    if name in ("", "cpu"):
        return "cpu"
    kind, _, number = name.partition(":")
    if kind != "cuda" or (number and not number.isdecimal()):
        raise UserError(f"--device is '{name}'; it must be cpu, cuda or cuda:N.")
    if int(number or 0) >= torch.cuda.device_count():
        raise UserError(f"--device is '{name}', but torch sees {torch.cuda.device_count()} CUDA devices here.")
    return name


def _new_log_dir() -> Path:
    """Make a folder named by the time that no other run has."""
    stamp = datetime.now().strftime("%Y-%m-%d_%H-%M-%S")
    for suffix in ("", *(f"_{n}" for n in range(2, 1000))):
        folder = LOGS / f"{stamp}{suffix}"
        try:
            folder.mkdir(parents=True)
        except FileExistsError:
            continue
        except OSError as error:
            raise UserError(f"--log_dir {folder} cannot be made: {error.strerror}.") from error
        return folder
    raise UserError(f"--log_dir must be given: {LOGS} is full of runs of {stamp}.")
