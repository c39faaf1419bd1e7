"""Videos of the policy in training, which leave training's bits the same."""

from typing import TYPE_CHECKING

import torch

from manyseeds.core.simulators import SIMULATORS
from manyseeds.learning.rsl_rl import PPO
from manyseeds.simulators import make_env
from manyseeds.simulators.film import film, frame_rate, write_video

if TYPE_CHECKING:
    from manyseeds.config.settings import RunConfig
    from manyseeds.simulators.base import TaskEnv


class TrainingVideos:
    """Films the policy at intervals into <log_dir>/videos, in a separate environment.

    Some simulators hold one simulation per process; there, training's environments are borrowed and put back as they
    were.

    Args:
        settings: the run's.
        alg: holds the policy.
        env: training's environments.

    Raises:
        UserError: when this machine cannot draw.
    """

    def __init__(self, settings: "RunConfig", alg: PPO, env: "TaskEnv") -> None:
        self._env = env
        if not SIMULATORS[str(settings.simulator)].one_a_process:
            self._env = make_env(
                str(settings.simulator),
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
        film(self._env, alg.get_policy(), steps=0, shown=1)

    def record(self, iteration: int) -> None:
        """Film the policy after `iteration` iterations, always on the same episodes."""
        before = self._env.state_dict()
        self._env.load_state_dict(self._start)
        with torch.random.fork_rng():
            frames = film(self._env, self._alg.get_policy(), steps=self._length, shown=1)
        self._env.load_state_dict(before)
        path = self._folder / f"iteration_{iteration}.mp4"
        write_video(path, frames, frame_rate(self._env.step_dt))
        print(f"[INFO] Saved video to: {path}", flush=True)
