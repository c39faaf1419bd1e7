"""Films of environments: pictures in a grid, as MP4, GIF or, for paper, a strip of moments."""

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from manyseeds.core.errors import UserError
from manyseeds.core.files import write_atomic

if TYPE_CHECKING:
    from manyseeds.simulators.base import TaskEnv

FPS = 25
"""Pictures a second that films aim at."""
MOMENTS = 6
"""Pictures of a strip."""


def stride(step_dt: float) -> int:
    """Return how many environment steps of `step_dt` seconds lie between two pictures."""
    return max(1, round(1 / (FPS * step_dt)))


def frame_rate(step_dt: float) -> float:
    """Return the pictures a second with which a film of such steps plays at the speed of life."""
    return 1 / (stride(step_dt) * step_dt)


def film(
    env: "TaskEnv",
    policy: Callable[[Any], Any],
    *,
    steps: int,
    width: int = 320,
    height: int = 240,
    shown: int | None = None,
) -> list[np.ndarray]:
    """Let a policy act and draw environments in a grid.

    Args:
        env: environments, at the start of what the film should show.
        policy: observations -> actions (num_envs, num_actions).
        steps: environment steps.
        width: pixels of one environment's picture.
        height: pixels of one environment's picture.
        shown: how many environments are drawn; all without it.

    Returns:
        Pictures (rows * height, columns * width, 3) uint8, one of the start and one every `stride(env.step_dt)` steps.

    Raises:
        UserError: when this machine cannot draw.
    """
    import torch

    def picture() -> np.ndarray:
        return _grid([env.render(index, width, height) for index in range(shown or env.num_envs)])

    frames = [picture()]
    with torch.inference_mode():
        obs = env.get_observations()
        for step in range(1, steps + 1):
            obs = env.step(policy(obs))[0]
            if step % stride(env.step_dt) == 0:
                frames.append(picture())
    return frames


def write_video(path: Path, frames: Sequence[np.ndarray], fps: float) -> None:
    """Write pictures, by the path's ending: `fps` a second as an MP4 or GIF, or moments of them side by side as a PNG.

    Raises:
        UserError: for another ending.
    """
    if path.suffix == ".mp4":
        _write_mp4(path, frames, fps)
    elif path.suffix == ".gif":
        _write_gif(path, frames, fps)
    elif path.suffix == ".png":
        _write_strip(path, frames)
    else:
        raise UserError(f"{path}: a film's name must end in .mp4, .gif or .png.")


def _write_mp4(path: Path, frames: Sequence[np.ndarray], fps: float) -> None:
    from imageio_ffmpeg import write_frames

    height, width = frames[0].shape[:2]
    # One thread and no encoder version in the file: the same pictures give the same bytes.
    options = ["-threads", "1", "-fflags", "+bitexact", "-flags:v", "+bitexact", "-movflags", "+faststart"]
    with write_atomic(path) as partial:
        writer = write_frames(str(partial), (width, height), fps=fps, macro_block_size=2, output_params=options)
        writer.send(None)
        for frame in frames:
            writer.send(np.ascontiguousarray(frame))
        writer.close()


def _write_gif(path: Path, frames: Sequence[np.ndarray], fps: float) -> None:
    from PIL import Image

    images = [Image.fromarray(frame) for frame in frames]
    # One palette for all pictures, so that still parts stay equal and cost nothing; of several, for things may leave
    # the view. Maximum coverage, for median cut would give small things the background's color.
    places = dict.fromkeys(round(share * (len(images) - 1)) for share in (0, 0.25, 0.5, 0.75, 1))
    sample = Image.fromarray(np.vstack([frames[place] for place in places]))
    palette = sample.quantize(256, Image.Quantize.MAXCOVERAGE)
    quantized = [image.quantize(palette=palette, dither=Image.Dither.NONE) for image in images]
    with write_atomic(path) as partial:
        quantized[0].save(
            partial, save_all=True, append_images=quantized[1:], duration=round(1000 / fps), loop=0, optimize=True
        )


def _write_strip(path: Path, frames: Sequence[np.ndarray]) -> None:
    from PIL import Image

    places = np.linspace(0, len(frames) - 1, MOMENTS).round().astype(int)
    strip = Image.fromarray(np.hstack([frames[place] for place in places]))
    with write_atomic(path) as partial:
        strip.quantize(256, Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE).save(partial, "PNG", optimize=True)


def _grid(pictures: list[np.ndarray]) -> np.ndarray:
    columns = math.ceil(math.sqrt(len(pictures)))
    rows = math.ceil(len(pictures) / columns)
    blank = np.zeros_like(pictures[0])
    cells = pictures + [blank] * (rows * columns - len(pictures))
    return np.vstack([np.hstack(cells[row * columns : (row + 1) * columns]) for row in range(rows)])
