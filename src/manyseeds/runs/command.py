"""The command line of training, with the flags of Isaac Lab Arena's policy-training guide."""

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from datetime import datetime
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from manyseeds.config.errors import problems
from manyseeds.config.fields import FLAG
from manyseeds.config.settings import RunConfig, TrainSettings
from manyseeds.core.arguments import split_names, verb_parser
from manyseeds.core.errors import StorageError, UserError
from manyseeds.core.files import read_object
from manyseeds.core.layout import dump_name
from manyseeds.core.packages import missing
from manyseeds.runs.hardware import Hardware, choose, gpu_count
from manyseeds.runs.starts import LATEST, Start, from_checkpoint, from_networks, has_state
from manyseeds.tasks import registry

LOGS = Path("logs") / "rsl_rl" / "generic_experiment"


def parser(run: RunConfig | None = None) -> argparse.ArgumentParser:
    """Return the argument parser.

    Args:
        run: the run whose values are the defaults; without one they are the model's.
    """
    parser = verb_parser(
        "train",
        "Train a policy with RSL-RL's PPO. A --log_dir with an unfinished run continues it.",
        "--num_envs 512 --max_iterations 350 --seed 1 lift_object",
    )
    add = parser.add_argument
    optional: dict[str, Any] = {"nargs": "?", "default": run.task} if run else {}
    add("task", help="task to train; must be the last argument", **optional)
    of_run = {name: field for name, field in RunConfig.model_fields.items() if FLAG in field.metadata}
    for fields, values in ((TrainSettings.model_fields, run and run.train), (of_run, run)):
        for name, field in fields.items():
            default = getattr(values, name) if values else field.default
            if isinstance(default, bool):
                add(f"--{name}", action="store_true", default=default, help=field.description)
            else:
                kind = KINDS.get(name) or (str if default is None else type(default))
                add(f"--{name}", type=kind, default=default, help=field.description)
    add("--headless", action="store_true", help="run without a window; there is none anyway")
    add("--agent_cfg_path", type=Path, help="JSON file of hyper-parameters (generic_policy.json)")
    add("--task_cfg_path", type=Path, help="JSON file of numbers of the task to change")
    add(
        "--checkpoint",
        metavar="PATH",
        help="continue the run of this checkpoint, of the last one in this folder, or of the latest run (latest), where"
        " its state is; without a state, or with another --log_dir, the same as --init_from",
    )
    add("--log_dir", type=Path, default=run and run.log_dir, help=f"folder of the run ({LOGS}/<timestamp>)")
    add("--run", type=Path, metavar="FILE", help="JSON file of a run, as the workflow writes it; flags win over it")
    add(
        "--distributed",
        action="store_true",
        default=bool(run and run.ranks > 1),
        help="train in several processes that share the environments: one for every GPU here, or those of torchrun",
    )
    add(
        "--nproc_per_node",
        type=int,
        default=run.ranks if run and run.ranks > 1 else None,
        help="processes of --distributed on this machine (one for every GPU)",
    )
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Train; return 0 when done, 1 when the run failed."""
    argv = sys.argv[1:] if argv is None else list(argv)
    base = _read_run(argv)
    args = parser(base).parse_args(argv)
    start = _start(args, base)
    run, hardware = _run(args, base, start)
    processes = _processes(args, run.device)
    from manyseeds.learning.distributed import launched, rank

    if args.distributed and not launched():
        # Later flags win: every process must find the same folder, whatever the others have begun to write.
        found = [] if base else ["--log_dir", str(run.log_dir)]
        found += (
            ["--checkpoint", str(start.log_dir if start.must_continue else start.init_from)] if args.checkpoint else []
        )
        return _launch([*argv, *found], processes)
    if rank() == 0:
        together = f" in {processes} processes" if processes > 1 else ""
        print(f"[INFO] Training on {hardware.device} with {hardware.simulator}{together}: {hardware.why}.", flush=True)
    return _train(run, args.distributed, start.must_continue)


def _launch(argv: Sequence[str], processes: int) -> int:
    from manyseeds.learning.distributed import RankError, launch

    try:
        launch(argv, processes)
    except RankError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    return 0


def _train(run: RunConfig, distributed: bool, must_continue: bool) -> int:
    from manyseeds.learning.distributed import ALONE, RankError, joined
    from manyseeds.learning.runner import DivergedError
    from manyseeds.runs.train import train

    try:
        with joined(run.device) if distributed else nullcontext(ALONE) as ranks:
            train(run, ranks, must_continue)
    except StorageError as error:
        print(f"error: {error}; the same command continues later.", file=sys.stderr)
        return 1
    except RankError as error:
        print(f"error: {error}; the same command continues.", file=sys.stderr)
        return 1
    except DivergedError as error:
        dump = run.log_dir / dump_name(error.iteration)
        advice = f"; see it again with: manyseeds replay {dump}" if dump.exists() else ""
        print(f"error: {error}; earlier checkpoints are kept{advice}", file=sys.stderr)
        return 1
    except BrokenPipeError:
        raise
    except OSError as error:
        place = error.filename or run.log_dir
        print(
            f"error: {place} cannot be written: {error.strerror}; the same command continues later.",
            file=sys.stderr,
        )
        return 1
    except KeyboardInterrupt:
        print(f"interrupted; the same command with --log_dir {run.log_dir} continues.", file=sys.stderr)
        return 130
    return 0


def _read_run(argv: Sequence[str]) -> RunConfig | None:
    """Return what the file says that `--run` names; None without the flag."""
    only = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    only.add_argument("--run", type=Path)
    path = only.parse_known_args(argv)[0].run
    if path is None:
        return None
    content = read_object(path, f"run file {path}")
    try:
        return RunConfig.model_validate_json(json.dumps(content))
    except ValidationError as error:
        found = problems(RunConfig, content)
        raise UserError("\n".join(f"run file {path}: {problem}" for problem in found or [str(error)])) from error


def _start(args: argparse.Namespace, base: RunConfig | None) -> Start:
    """Return how the run begins, as the flags or the file of `--run` say."""
    from manyseeds.learning.distributed import launched

    if args.checkpoint is None:
        if base and args.init_from == base.train.init_from:
            return Start(args.log_dir, base.train.init_from, base.init_digest)
        return from_networks(args.init_from, args.log_dir)
    if args.init_from:
        raise UserError("--checkpoint and --init_from are both given; one of them says how the run begins.")
    if args.checkpoint == LATEST and launched():
        raise UserError("--checkpoint is latest, of which torchrun's processes may find different ones; give its path.")
    return from_checkpoint(args.checkpoint, args.log_dir, LOGS)


def _run(args: argparse.Namespace, base: RunConfig | None, start: Start) -> tuple[RunConfig, Hardware]:
    """Return the run of `--run` with the values that the flags change, and where it trains."""
    from manyseeds.learning import warm_start
    from manyseeds.learning.agent import DEFAULT_AGENT, load_agent, resolve_agent, too_few_samples, without_mirror
    from manyseeds.learning.distributed import rank

    fields = {
        name: getattr(args, name)
        for name, field in RunConfig.model_fields.items()
        if name == "task" or FLAG in field.metadata
    }
    fields["train"] = {name: getattr(args, name) for name in TrainSettings.model_fields}
    if args.agent_cfg_path or base is None:
        path = args.agent_cfg_path or DEFAULT_AGENT
        load_agent(path)
        fields |= {"agent": read_object(path, f"agent file {path}"), "agent_file": str(path)}
    if args.task_cfg_path:
        fields["task_cfg"] = read_object(args.task_cfg_path, f"task file {args.task_cfg_path}")
    complete = base.model_dump() | fields if base else fields
    _check(RunConfig, {key: value for key, value in complete.items() if key != "train"})
    _check(TrainSettings, complete["train"])
    if problem := missing(complete["train"]["logger"]):
        raise UserError(f"--logger is {','.join(complete['train']['logger'])}, but {problem}.")
    if complete["video"] and (problem := missing(["imageio_ffmpeg"])):
        raise UserError(f"--video writes MP4, but {problem}.")
    registry.check_file(complete["task"])
    hardware = choose(args.device, args.simulator, start.log_dir)
    processes = _processes(args, hardware.device)
    run = RunConfig.model_validate(complete)
    if run.train.num_envs % processes:
        raise UserError(f"--num_envs is {run.train.num_envs}; {processes} processes need a multiple of {processes}.")
    agent = resolve_agent(run.agent, f"agent file {run.agent_file}")
    problem = too_few_samples(agent, run.train.num_envs // processes)
    if agent["algorithm"].get("mirror_augmentation"):
        problem = problem or without_mirror(agent, registry.load(run.task))
    if problem:
        raise UserError(f"agent file {run.agent_file}: {problem}")
    if start.init_from and not has_state(start.log_dir):
        task = registry.load(run.task)
        warm_start.check(start.init_from, agent, task.observation_width, task.action_width)
    made = run.model_copy(
        update={
            "device": hardware.device,
            "simulator": hardware.simulator,
            "train": run.train.model_copy(update={"init_from": start.init_from}),
            "init_digest": start.init_digest,
            "log_dir": start.log_dir or (_new_log_dir() if rank() == 0 else LOGS),
        }
    )
    return made, hardware


def _check(model: type[RunConfig] | type[TrainSettings], values: dict[str, Any]) -> None:
    """Raise UserError for values that are not allowed, by the names of their flags."""
    if found := problems(model, values, name=lambda path: f"--{path[0]}"):
        raise UserError("\n".join(f"{problem}." for problem in found))


def _processes(args: argparse.Namespace, device: str) -> int:
    """Return how many processes train together.

    Args:
        args: the command line.
        device: on which kind of device each of them trains.
    """
    from manyseeds.learning.distributed import launched, local_size, world_size

    wanted = args.nproc_per_node
    if wanted is not None and (not args.distributed or wanted < 1):
        raise UserError(f"--nproc_per_node is {wanted}; it needs --distributed and must be at least 1.")
    if launched():
        size = world_size()
        if size > 1 and not args.distributed:
            raise UserError(f"torchrun started {size} processes; --distributed lets them train together.")
        here, who = local_size(), "torchrun started"
    elif not args.distributed:
        return 1
    else:
        here, who = wanted or (gpu_count() if device != "cpu" else 0), "--nproc_per_node asks for"
        size = here
    if not here:
        raise UserError(
            "--distributed finds no GPU to train on; give the number of processes on the CPU: --nproc_per_node 2."
        )
    if device.startswith("cuda:"):
        raise UserError(f"--device is {device}, but --distributed gives every process a GPU of its own; give cuda.")
    if device == "cuda" and here > gpu_count():
        raise UserError(f"{who} {here} processes, but PyTorch sees {gpu_count()} GPUs here, one for each process.")
    return size


def _threads(text: str) -> int | str:
    """Return a number of threads; 0 stands for auto."""
    if text == "auto":
        return text
    return int(text) or "auto"


KINDS: dict[str, Callable[[str], Any]] = {"threads": _threads, "logger": split_names}
"""What reads a flag's text, where its field's default does not tell."""


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
