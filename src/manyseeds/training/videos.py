"""Videos of the policy in training, in environments of their own so that training's bits stay the same."""

from typing import TYPE_CHECKING

import torch
from rsl_rl.algorithms import PPO

from manyseeds.simulators import make_env
from manyseeds.video import film, write_video

if TYPE_CHECKING:
    from manyseeds.training.train import Settings


class TrainingVideos:
    """Films the policy every now and then into <log_dir>/videos.

    Args:
        settings: the run's.
        alg: holds the policy.

    Raises:
        UserError: when this machine cannot draw.
    """

    def __init__(self, settings: "Settings", alg: PPO) -> None:
        self._env = make_env(
            settings.simulator,
            settings.task,
            num_envs=1,
            seed=settings.seed,
            device=settings.device,
            threads=1,
            task_cfg=settings.task_cfg,
        )
        self._start = self._env.state_dict()
        self._alg = alg
        self._folder = settings.log_dir / "videos"
        self._length = settings.video_length
        film(self._env, alg.get_policy(), steps=0)

    def record(self, iteration: int) -> None:
        """Film the policy after `iteration` iterations, always on the same episodes."""
        self._env.load_state_dict(self._start)
        with torch.random.fork_rng():
            frames = film(self._env, self._alg.get_policy(), steps=self._length)
        path = self._folder / f"iteration_{iteration}.mp4"
        write_video(path, frames)
        print(f"[INFO] Saved video to: {path}", flush=True)
