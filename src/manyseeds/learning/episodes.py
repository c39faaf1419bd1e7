"""Statistics of the episodes that end in an iteration: returns, lengths, and the environment's own log."""

import math
from collections import deque
from typing import Any

import torch
from torch import Tensor

WINDOW = 100


class EpisodeStatistics:
    """The statistics of RSL-RL's logger, computed once per iteration instead of once per step.

    Args:
        num_envs: number of environments.
        num_steps: steps per iteration.
        device: torch device of rewards and dones.
    """

    def __init__(self, num_envs: int, num_steps: int, device: str) -> None:
        self._rewards = torch.zeros(num_steps, num_envs, device=device)
        self._dones = torch.zeros(num_steps, num_envs, dtype=torch.bool, device=device)
        self._logs: list[dict[str, Tensor]] = []
        self._return = torch.zeros(num_envs, device=device)
        self._length = torch.zeros(num_envs, device=device)
        self._returns: deque[float] = deque(maxlen=WINDOW)
        self._lengths: deque[float] = deque(maxlen=WINDOW)

    def record(self, step: int, rewards: Tensor, dones: Tensor, extras: dict[str, Any]) -> None:
        """Store one step of the iteration: rewards and dones (num_envs,), the environment's extras."""
        self._rewards[step] = rewards
        self._dones[step] = dones
        if "log" in extras:
            self._logs.append(extras["log"])

    def summarize(self) -> dict[str, float]:
        """Return this iteration's scalars by tag and prepare for the next iteration.

        A tag of the environment's log is averaged over the steps that logged a number; a simulator on a GPU logs NaN in
        steps without an ended episode. A tag without any number is missing. `Train/mean_*` are means over the last 100
        episodes, missing before the first episode has ended; `Train/episodes` is how many ended in this iteration.
        """
        ended = self._dones.any(1).tolist()
        for rewards, dones, any_ended in zip(self._rewards, self._dones, ended, strict=True):
            self._return += rewards
            self._length += 1
            if any_ended:
                self._returns.extend(self._return[dones].tolist())
                self._lengths.extend(self._length[dones].tolist())
                self._return[dones] = 0
                self._length[dones] = 0
        tags = dict.fromkeys(tag for log in self._logs for tag in log)
        scalars = {}
        for tag in tags:
            values = [torch.as_tensor(log[tag], dtype=torch.float32).mean() for log in self._logs if tag in log]
            logged = torch.stack(values).cpu()
            if len(numbers := logged[~logged.isnan()]):
                scalars[tag] = float(numbers.mean())
        self._logs.clear()
        scalars["Train/episodes"] = float(self._dones.sum())
        if self._returns:
            scalars["Train/mean_reward"] = math.fsum(self._returns) / len(self._returns)
            scalars["Train/mean_episode_length"] = math.fsum(self._lengths) / len(self._lengths)
        return scalars

    def state_dict(self) -> dict[str, Any]:
        """Return what the next iteration needs."""
        return {
            "return": self._return.clone(),
            "length": self._length.clone(),
            "returns": list(self._returns),
            "lengths": list(self._lengths),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from a `state_dict`."""
        self._return.copy_(state["return"])
        self._length.copy_(state["length"])
        self._returns = deque(state["returns"], WINDOW)
        self._lengths = deque(state["lengths"], WINDOW)
