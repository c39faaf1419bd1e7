"""Films of a policy: the episodes that evaluation starts with, as MP4 or GIF, or moments of them as a strip (PNG)."""

import argparse
import math
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from manyseeds.core.arguments import verb_parser
from manyseeds.core.errors import UserError
from manyseeds.core.files import write_atomic
from manyseeds.core.layout import FILM, PARAMS
from manyseeds.core.manifest import write_manifest
from manyseeds.core.packages import missing
from manyseeds.core.record import check_left, recorded_checkpoints
from manyseeds.evaluation.evaluate import evaluation_settings
from manyseeds.learning import foreign
from manyseeds.simulators.film import film, frame_rate, write_video

if TYPE_CHECKING:
    from manyseeds.config.settings import EvaluateSettings


def film_checkpoint(
    checkpoint: Path,
    settings: "EvaluateSettings",
    *,
    run_dir: Path,
    episodes: int,
    seconds: float | None,
    width: int,
    height: int,
) -> tuple[list[np.ndarray], float]:
    """Film a checkpoint's deterministic policy on the first evaluation episodes.

    Args:
        checkpoint: the model file.
        settings: the evaluation.
        run_dir: folder of the run, for its params.
        episodes: how many, side by side.
        seconds: how long at most; None for a whole episode.
        width: pixels of one episode.
        height: pixels of one episode.

    Returns:
        The pictures, and how many of them a second has.
    """
    from manyseeds.evaluation.evaluate import evaluation_starts, make_evaluation_env
    from manyseeds.learning.policy import Policy, read_params

    check_left(checkpoint)
    params = read_params(run_dir)
    env = make_evaluation_env(params.env, num_envs=episodes, threads=1, overrides=settings.overrides, run_dir=run_dir)
    try:
        policy = Policy(params.agent, env.get_observations(), env.num_actions, device=env.device)
        policy.load(checkpoint)
        env.reset_to(evaluation_starts(env, episodes, settings.seed))
        steps = min(env.max_episode_length, math.inf if seconds is None else round(seconds / env.step_dt))
        return film(env, policy.model, steps=steps, width=width, height=height), frame_rate(env.step_dt)
    finally:
        env.close()


def main(argv: Sequence[str] | None = None) -> int:
    """Film a checkpoint; return 0."""
    parser = verb_parser(
        "film", __doc__, "results/lift_object/default/seed_1/model_350.pt --output policy.mp4 policy.gif"
    )
    parser.add_argument(
        "checkpoint", type=Path, help="model_<iteration>.pt of a run, or the run's folder for its last one"
    )
    parser.add_argument(
        "--output",
        type=Path,
        nargs="+",
        required=True,
        help="files to write: .mp4, .gif, or .png for a strip of moments",
    )
    parser.add_argument("--run_dir", type=Path, help="folder of the run with params/ (the checkpoint's)")
    parser.add_argument("--episodes", type=int, default=4, help="episodes side by side")
    parser.add_argument("--seed", type=int, help="seed of other episodes (those of the run's evaluation)")
    parser.add_argument("--seconds", type=float, help="length at most (a whole episode)")
    parser.add_argument("--width", type=int, default=320, help="pixels of one episode, even")
    parser.add_argument("--height", type=int, default=240, help="pixels of one episode, even")
    parser.add_argument(
        "--stand_in", type=Path, metavar="GIF", help="film nothing: write this picture, for a machine without OpenGL"
    )
    foreign.add_flag(parser)
    args = parser.parse_args(argv)
    foreign.allow(args.allow_code)
    for name, low in (("episodes", 1), ("seed", 0), ("seconds", 0), ("width", 16), ("height", 16)):
        value = getattr(args, name)
        if value is not None and not value >= low:
            raise UserError(f"--{name} is {value}; it must be at least {low}.")
    for path in args.output:
        if path.suffix not in (".mp4", ".gif", ".png"):
            raise UserError(f"--output is {path}; a film's name must end in .mp4, .gif or .png.")
        if path.suffix == ".mp4" and args.stand_in is None and (problem := missing(["imageio_ffmpeg"])):
            raise UserError(f"--output is {path}, but {problem}; a .gif needs nothing.")
    if args.checkpoint.is_dir():
        args.checkpoint = list(recorded_checkpoints(args.checkpoint).values())[-1]
    if not args.checkpoint.is_file():
        raise UserError(f"{args.checkpoint} is not a file; give the model_<iteration>.pt of a run.")
    _write(args)
    return 0


def _write(args: argparse.Namespace) -> None:
    """Write the film, or what stands in for it, and say in a manifest of what it was made."""
    run_dir = args.run_dir or args.checkpoint.parent
    settings = evaluation_settings(run_dir)
    if args.seed is not None:
        settings = settings.model_copy(update={"seed": args.seed})
    if args.stand_in is None:
        frames, fps = film_checkpoint(
            args.checkpoint,
            settings,
            run_dir=run_dir,
            episodes=args.episodes,
            seconds=args.seconds,
            width=args.width // 2 * 2,
            height=args.height // 2 * 2,
        )
    for path in args.output:
        if args.stand_in is None:
            write_video(path, frames, fps)
        else:
            _copy(args.stand_in, path)
    read = [args.checkpoint, *(run_dir / name for name in PARAMS)]
    how = {"seed": settings.seed, "overrides": settings.overrides, "stand_in": args.stand_in is not None}
    for path in args.output:
        write_manifest(path.parent, "film", [path], read, "" if path.name == FILM else path.name, **how)


def _copy(picture: Path, path: Path) -> None:
    if picture.suffix != path.suffix or not picture.is_file():
        raise UserError(f"--stand_in is {picture}; it must be a {path.suffix} file, as {path} is.")
    with write_atomic(path) as partial:
        shutil.copyfile(picture, partial)
