"""RSL-RL's `VecEnv` and TensorDict, imported without torch's compiler.

TensorDict imports the compiler to mark four functions for `torch.compile`, which nothing here calls: 1.5 s of every
process. Without the marks, a model that is compiled is traced through these functions.
"""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch


@contextmanager
def replaced(owner: Any, **values: Any) -> Iterator[None]:
    """Give attributes of a module or class other values for as long as the block lasts."""
    before = {name: getattr(owner, name) for name in values}
    for name, value in values.items():
        setattr(owner, name, value)
    try:
        yield
    finally:
        for name, value in before.items():
            setattr(owner, name, value)


def _unmarked(function: Callable[..., Any]) -> Callable[..., Any]:
    return function


_marks = ("allow_in_graph", "assume_constant_result") if "torch._dynamo" not in sys.modules else ()
with replaced(torch.compiler, **dict.fromkeys(_marks, _unmarked)):
    from rsl_rl.env import VecEnv
    from tensordict import TensorDict

__all__ = ["TensorDict", "VecEnv"]
