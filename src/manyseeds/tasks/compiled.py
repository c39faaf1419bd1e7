"""Compiled steps: what a task's kernels module must offer, and what such modules share.

A task steps through its functions, which is the definition. `Task.kernels` may name a module that computes the same in
compiled loops, for the simulator mujoco; a test of the task must hold the two against each other. The module says what
it computes, and `load_kernels` refuses it where that is not what the task says. Rows are environments.
"""

import importlib
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, cast

import numpy as np
from numba import config, njit
from numpy.typing import NDArray

from manyseeds.core.caches import user_cache
from manyseeds.core.errors import UserError
from manyseeds.tasks.base import Task

if TYPE_CHECKING:
    import mujoco

Floats = NDArray[np.floating]
Record = NDArray[np.void]

_functions: list[Any] = []


def compiled(function: Callable[..., Any]) -> Any:
    """Compile a function at its first call.

    Without fastmath: sums keep their order and products are not fused, so that every processor gives the same bits.
    """
    _functions.append(njit(nogil=True, error_model="numpy")(function))
    return _functions[-1]


def keep_compiled() -> None:
    """Keep what is compiled for other processes, in NUMBA_CACHE_DIR or this user's cache, if that can be written."""
    if not config.CACHE_DIR and (cache := user_cache()) is not None:
        config.CACHE_DIR = str(cache / "manyseeds")
    if config.CACHE_DIR:
        for function in _functions:
            function.enable_caching()


class Physics(NamedTuple):
    """Views of the simulations' state, float64."""

    qpos: Floats
    """(n, nq)."""
    qvel: Floats
    """(n, nv)."""
    ctrl: Floats
    """(n, nu)."""
    warmstart: Floats
    """(n, nv) acceleration the solver starts from."""
    mocap: Floats
    """(n, 3 k) positions of the mocap bodies."""


class Episodes(NamedTuple):
    """What the present episodes remember, float32."""

    command: Floats
    """(n, c)."""
    action: Floats
    """(n, a)."""
    previous_action: Floats
    """(n, a)."""
    reward_sums: Floats
    """(n, rewards)."""
    reached: Floats
    """(n, 1) whether the goal was ever met, 0 or 1."""


class Answer(NamedTuple):
    """The result of a step."""

    observations: Floats
    """(n, observation width) float32."""
    rewards: Floats
    """(n,) float32."""
    dones: NDArray[np.int64]
    """(n,) 1 where an episode ends, else 0."""
    time_outs: NDArray[np.bool_]
    """(n,) where it ends for its length alone."""


class Kernels(Protocol):
    """A kernels module. All functions but `make_record` are `compiled`."""

    OBSERVATIONS: dict[str, int]
    """Observations that it computes, in their order, with their widths."""
    REWARDS: tuple[str, ...]
    TERMINATIONS: tuple[str, ...]
    """Without the end of time, which comes first."""
    METRICS: tuple[str, ...]

    def make_record(self, cfg: Any, model: "mujoco.MjModel") -> Record:
        """Return the numbers that the loops need, as an array (1,) of one record, which Numba passes on quickly."""

    def act(self, record: Record, actions: Floats, physics: Physics, episodes: Episodes) -> None:
        """Take actions (n, a) float32: write controls; the last actions become the previous ones."""

    def answer(
        self,
        record: Record,
        auto_reset: bool,
        physics: Physics,
        episodes: Episodes,
        length: NDArray[np.int64],
        start_qpos: Floats,
        start_command: Floats,
        out: Answer,
        out_log: Floats,
    ) -> tuple[int, bool]:
        """Reward the step, end episodes and start the next ones, observe.

        Args:
            record: what `make_record` returned.
            auto_reset: whether episodes end.
            physics: after the step.
            episodes: reward sums and whether the goal was met are updated.
            length: (n,) steps of the episodes; each goes up by one.
            start_qpos: (n or more, nq) where the next episodes start.
            start_command: (n or more, c) their commands.
            out: what the environments answer.
            out_log: as many as `Task.episode_tags`, in their order: means over the episodes that end.

        Returns:
            How many episodes end, and True; or the first environment whose reward is not finite, and False: the step
            was then left there.
        """

    def restart(
        self,
        start_qpos: Floats,
        start_command: Floats,
        physics: Physics,
        episodes: Episodes,
        length: NDArray[np.int64],
    ) -> None:
        """Start all episodes anew, at rest at `start_qpos` (n, nq) with the commands `start_command` (n, c)."""

    def observe(self, record: Record, physics: Physics, episodes: Episodes, out: Floats) -> None:
        """Write the observations (n, observation width)."""


def load_kernels(task: Task) -> Kernels | None:
    """Return a task's compiled step, or None where it has none.

    Raises:
        UserError: when the module computes other terms than the task's.
    """
    if task.kernels is None:
        return None
    kernels = cast(Kernels, importlib.import_module(task.kernels))
    pairs = {
        "observations": (
            _sized(kernels.OBSERVATIONS),
            _sized({name: term.width for name, term in task.observations.items()}),
        ),
        "rewards": (list(kernels.REWARDS), list(task.rewards)),
        "terminations": (list(kernels.TERMINATIONS), list(task.terminations)),
        "metrics": (list(kernels.METRICS), list(task.metrics)),
    }
    for kind, (computed, wanted) in pairs.items():
        if computed != wanted:
            raise UserError(
                f"task {task.name}: its kernels {task.kernels} compute other {kind} than the task has: "
                f"{kind.upper()} {_difference(computed, wanted)}; change the kernels, or set kernels=None."
            )
    return kernels


def _difference(computed: list[str], wanted: list[str]) -> str:
    """Say what a list of the kernels lacks or has too much, or that its order is another."""
    parts = {
        "lacks": [name for name in wanted if name not in computed],
        "has, too,": [name for name in computed if name not in wanted],
    }
    said = [f"{verb} {', '.join(names)}" for verb, names in parts.items() if names]
    return " and ".join(said) or f"must have the task's order, {', '.join(wanted)}"


def _sized(widths: dict[str, int]) -> list[str]:
    return [f"{name} ({width})" for name, width in widths.items()]
