"""Films of environments side by side, as MP4 and GIF."""

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
