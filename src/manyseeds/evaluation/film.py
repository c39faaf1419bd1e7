"""Films of a policy: the same episodes that evaluation starts with, side by side, as MP4 and GIF."""

import argparse
import math
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from manyseeds.core.errors import UserError
from manyseeds.core.files import write_atomic

if TYPE_CHECKING:
    from rsl_rl.env import VecEnv

FPS = 25
_STRIDE = 2  # environment steps per frame: 50 Hz


def draw_without_window() -> None:
    """Choose a renderer that needs no display; only before MuJoCo is imported does it count."""
    if sys.platform == "linux" and not os.environ.get("DISPLAY"):
        os.environ.setdefault("MUJOCO_GL", "egl")


def film(
    env: "VecEnv",
    policy: Callable[[Any], Any],
    *,
    steps: int,
    width: int = 320,
    height: int = 240,
    shown: int | None = None,
) -> list[np.ndarray]:
    """Let a policy act and draw environments in a grid.

    Args:
        env: environments, at the start of what shall be seen.
        policy: observations -> actions (num_envs, num_actions).
        steps: environment steps of 0.02 s.
        width: pixels of one environment's picture.
        height: pixels of one environment's picture.
        shown: how many environments are drawn; all without it.

    Returns:
        A picture (rows * height, columns * width, 3) uint8 for the start and every second step after it.

    Raises:
        UserError: when this machine cannot draw.
    """
    import torch

    def picture() -> np.ndarray:
        try:
            return _grid([env.render(index, width, height) for index in range(shown or env.num_envs)])
        except Exception as error:  # the renderer's errors differ by platform
            raise UserError(f"no picture can be drawn here, MuJoCo's renderer says: {error}.") from error

    frames = [picture()]
    with torch.inference_mode():
        obs = env.get_observations()
        for step in range(1, steps + 1):
            obs = env.step(policy(obs))[0]
            if step % _STRIDE == 0:
                frames.append(picture())
    return frames


def write_video(path: Path, frames: Sequence[np.ndarray]) -> None:
    """Write pictures as an MP4 or GIF, by the path's ending.

    Raises:
        UserError: for another ending.
    """
    if path.suffix == ".mp4":
        _write_mp4(path, frames)
    elif path.suffix == ".gif":
        _write_gif(path, frames)
    else:
        raise UserError(f"{path}: a video's name must end in .mp4 or .gif.")


def _write_mp4(path: Path, frames: Sequence[np.ndarray]) -> None:
    from imageio_ffmpeg import write_frames

    height, width = frames[0].shape[:2]
    # One thread and no encoder version in the file: the same pictures give the same bytes.
    options = ["-threads", "1", "-fflags", "+bitexact", "-flags:v", "+bitexact", "-movflags", "+faststart"]
    with write_atomic(path) as partial:
        writer = write_frames(str(partial), (width, height), fps=FPS, macro_block_size=2, output_params=options)
        writer.send(None)
        for frame in frames:
            writer.send(np.ascontiguousarray(frame))
        writer.close()


def _write_gif(path: Path, frames: Sequence[np.ndarray]) -> None:
    from PIL import Image

    images = [Image.fromarray(frame) for frame in frames]
    # One palette for all pictures, so that still parts stay equal and cost nothing.
    # Maximum coverage, for median cut would give the small cube the table's color.
    palette = images[len(images) // 2].quantize(256, Image.Quantize.MAXCOVERAGE)
    quantized = [image.quantize(palette=palette, dither=Image.Dither.NONE) for image in images]
    with write_atomic(path) as partial:
        quantized[0].save(
            partial, save_all=True, append_images=quantized[1:], duration=1000 // FPS, loop=0, optimize=True
        )


def _grid(pictures: list[np.ndarray]) -> np.ndarray:
    columns = math.ceil(math.sqrt(len(pictures)))
    rows = math.ceil(len(pictures) / columns)
    blank = np.zeros_like(pictures[0])
    cells = pictures + [blank] * (rows * columns - len(pictures))
    return np.vstack([np.hstack(cells[row * columns : (row + 1) * columns]) for row in range(rows)])


def film_checkpoint(
    checkpoint: Path, *, run_dir: Path, episodes: int, seed: int, seconds: float, width: int, height: int
) -> list[np.ndarray]:
    """Film a checkpoint's deterministic policy on the first evaluation episodes.

    Args:
        checkpoint: the model file.
        run_dir: folder of the run, for its params.
        episodes: how many, side by side.
        seed: the evaluation's seed.
        seconds: how long; an episode has 5.
        width: pixels of one episode.
        height: pixels of one episode.
    """
    from manyseeds.evaluation.evaluate import make_evaluation_env
    from manyseeds.learning.policy import Policy, read_params
    from manyseeds.simulators import sample_episodes

    params = read_params(run_dir)
    env = make_evaluation_env(params.env, num_envs=episodes, threads=1)
    try:
        policy = Policy(params.agent, env.get_observations(), env.num_actions, device=env.device)
        policy.load(checkpoint)
        env.reset_to(*sample_episodes(params.env["task_cfg"], episodes, seed))
        return film(env, policy.model, steps=round(seconds / env.step_dt), width=width, height=height)
    finally:
        env.close()


def main(argv: Sequence[str] | None = None) -> int:
    """Film a checkpoint; return 0, or 2 on bad input."""
    parser = argparse.ArgumentParser(
        prog="manyseeds film",
        description=__doc__,
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument("checkpoint", type=Path, help="model_<iteration>.pt of a run")
    parser.add_argument("--output", type=Path, nargs="+", required=True, help="files to write, .mp4 or .gif")
    parser.add_argument("--run_dir", type=Path, help="folder of the run with params/ (the checkpoint's)")
    parser.add_argument("--episodes", type=int, default=4, help="episodes side by side")
    parser.add_argument("--seed", type=int, default=0, help="seed of the evaluation")
    parser.add_argument("--seconds", type=float, default=5.0, help="length")
    parser.add_argument("--width", type=int, default=320, help="pixels of one episode, even")
    parser.add_argument("--height", type=int, default=240, help="pixels of one episode, even")
    args = parser.parse_args(argv)
    try:
        for name, low in (("episodes", 1), ("seed", 0), ("seconds", 0), ("width", 16), ("height", 16)):
            if not getattr(args, name) >= low:
                raise UserError(f"--{name} is {getattr(args, name)}; it must be at least {low}.")
        for path in args.output:
            if path.suffix not in (".mp4", ".gif"):
                raise UserError(f"--output is {path}; a video's name must end in .mp4 or .gif.")
        draw_without_window()
        frames = film_checkpoint(
            args.checkpoint,
            run_dir=args.run_dir or args.checkpoint.parent,
            episodes=args.episodes,
            seed=args.seed,
            seconds=args.seconds,
            width=args.width // 2 * 2,
            height=args.height // 2 * 2,
        )
        for path in args.output:
            write_video(path, frames)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0
