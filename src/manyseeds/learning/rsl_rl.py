"""What this package uses of RSL-RL, imported without Weights & Biases.

RSL-RL imports it where it is installed, for a writer that nothing here uses; that takes 1.5 s of every process.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from manyseeds.simulators import vec_env  # noqa: F401 # before RSL-RL imports TensorDict


@contextmanager
def _without_wandb() -> Iterator[None]:
    if "wandb" in sys.modules:
        yield
        return
    sys.modules["wandb"] = None  # type: ignore[assignment] # an import of it raises ModuleNotFoundError
    try:
        yield
    finally:
        del sys.modules["wandb"]


with _without_wandb():
    from rsl_rl import algorithms, models
    from rsl_rl.algorithms import PPO
    from rsl_rl.models import MLPModel
    from rsl_rl.modules import distribution
    from rsl_rl.utils import resolve_class, resolve_nn_activation, resolve_optimizer

__all__ = [
    "PPO",
    "MLPModel",
    "algorithms",
    "distribution",
    "models",
    "resolve_class",
    "resolve_nn_activation",
    "resolve_optimizer",
]
