"""Train one policy in several processes: each steps its share of the environments, gradients are averaged.

torchrun starts the processes and numbers them by the environment variables RANK, LOCAL_RANK and WORLD_SIZE. They
communicate over NCCL on GPUs and gloo on CPUs. The same number of ranks gives the same bits (on CPUs).
"""

import ctypes
import math
import os
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeVar

import torch
from torch import distributed

from manyseeds.core.errors import UserError

T = TypeVar("T")

# Longer than a rank needs to create its environments, compile kernels or record a video.
_TIMEOUT = timedelta(minutes=30)
_PR_SET_PDEATHSIG = 1


class RankError(RuntimeError):
    """A process of a distributed run ended too early.

    Attributes:
        exit_code: exit code for the command that started the processes.
    """

    def __init__(self, message: str, exit_code: int = 1) -> None:
        super().__init__(message)
        self.exit_code = exit_code


@dataclass(frozen=True)
class Ranks:
    """The number of this process and how many there are."""

    rank: int = 0
    size: int = 1

    @property
    def first(self) -> bool:
        """Whether this process writes the run's files."""
        return self.rank == 0

    def share(self, num_envs: int) -> int:
        """Return how many of `num_envs` environments this process steps.

        Raises:
            UserError: if they cannot be shared evenly.
        """
        if num_envs % self.size:
            raise UserError(f"--num_envs is {num_envs}; with {self.size} ranks it must be a multiple of {self.size}.")
        return num_envs // self.size

    def rsl_rl_config(self) -> dict[str, int] | None:
        """Return `multi_gpu` for RSL-RL's algorithms; None for a single process."""
        if self.size == 1:
            return None
        return {"global_rank": self.rank, "local_rank": local_rank(), "world_size": self.size}

    def from_first(self, make: Callable[[], T] | None) -> T:
        """Return on every rank the result of `make` on the first."""
        content = [make() if make is not None else None]
        if self.size > 1:
            distributed.broadcast_object_list(content, src=0)
        return content[0]  # type: ignore[return-value]

    def gather(self, content: T) -> list[T]:
        """Return on every rank the contents of all ranks, in the order of ranks."""
        if self.size == 1:
            return [content]
        gathered: list[Any] = [None] * self.size
        distributed.all_gather_object(gathered, content)
        return gathered

    def mean(self, scalars: dict[str, float]) -> dict[str, float]:
        """Return the mean of each scalar over the ranks that have it, in the first rank's order of tags."""
        if self.size == 1:
            return scalars
        everyones = self.gather(scalars)
        tags = dict.fromkeys(tag for own in everyones for tag in own)
        values = {tag: [own[tag] for own in everyones if tag in own] for tag in tags}
        return {tag: math.fsum(numbers) / len(numbers) for tag, numbers in values.items()}


ALONE = Ranks()
"""A single process."""


def launched() -> bool:
    """Return whether torchrun, or a program that sets the same variables, started this process.

    One of the variables alone, which some other program left behind, has no meaning.
    """
    return "RANK" in os.environ and "WORLD_SIZE" in os.environ


def world_size() -> int:
    """Return the number of processes that train together."""
    return _number("WORLD_SIZE", 1, lowest=1)


def rank() -> int:
    """Return the number of this process among all."""
    return _number("RANK", 0)


def local_rank() -> int:
    """Return the number of this process on its machine."""
    return _number("LOCAL_RANK", 0)


def local_size() -> int:
    """Return the number of processes on this machine."""
    return _number("LOCAL_WORLD_SIZE", 1, lowest=1)


def _number(variable: str, alone: int, lowest: int = 0) -> int:
    """Return the number in an environment variable of torchrun; `alone` where torchrun did not start this process.

    Raises:
        UserError: when it holds something else.
    """
    if not launched():
        return alone
    text = os.environ.get(variable, str(alone))
    if not text.isdecimal() or int(text) < lowest:
        raise UserError(
            f"the environment variable {variable} is {text!r}; it must be a whole number of at least {lowest}, as "
            "torchrun sets it. Without torchrun, unset RANK and WORLD_SIZE."
        )
    return int(text)


@contextmanager
def joined(device: str) -> Iterator[Ranks]:
    """Connect to the other processes for the duration of a block.

    Args:
        device: torch device of the training; its kind selects NCCL or gloo.

    Raises:
        RankError: if the other ranks cannot be reached or the connection is lost.
    """
    # Die with the launcher, so that an old run never continues next to a restarted one.
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if device != "cpu":
        torch.cuda.set_device(local_rank())
    try:
        distributed.init_process_group("gloo" if device == "cpu" else "nccl", timeout=_TIMEOUT)
        try:
            yield Ranks(distributed.get_rank(), distributed.get_world_size())
        finally:
            distributed.destroy_process_group()
    except distributed.DistError as error:
        raise RankError(f"rank {os.environ['RANK']} lost the other ranks: {_first_line(error)}") from error
    except RuntimeError as error:
        if "gloo" not in str(error).lower() and "Connection closed" not in str(error):
            raise
        raise RankError(f"rank {os.environ['RANK']} lost the other ranks: {_first_line(error)}") from error


def launch(arguments: Sequence[str], count: int) -> None:
    """Run the training command in `count` processes on this machine, as torchrun would.

    Raises:
        RankError: naming the rank that failed first, and how.
    """
    from torch.distributed.elastic.multiprocessing.api import SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.launcher.api import LaunchConfig, elastic_launch

    config = LaunchConfig(
        min_nodes=1, max_nodes=1, nproc_per_node=count, rdzv_backend="c10d", rdzv_endpoint="localhost:0", max_restarts=0
    )
    try:
        elastic_launch(config, sys.executable)("-m", "manyseeds", "train", *arguments)
    except ChildFailedError as error:
        rank, failure = error.get_first_failure()
        code = failure.exitcode
        how = f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"
        raise RankError(f"rank {rank} of {count} {how}; the others were stopped", max(code, 1)) from error
    except SignalException as error:
        raise RankError(f"stopped by {error.sigval.name}; the same command continues", 128 + error.sigval) from error


def _first_line(error: Exception) -> str:
    return str(error).split("\n")[0]
