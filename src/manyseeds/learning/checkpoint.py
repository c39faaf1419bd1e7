"""Checkpoints `model_<iteration>.pt`: rsl_rl's own layout, read without running what they hold."""

import io
import pickle
import re
from pathlib import Path
from typing import Any

import torch
from rsl_rl.algorithms import PPO

from manyseeds.core.errors import UserError
from manyseeds.core.files import write_atomic
from manyseeds.core.layout import checkpoints as checkpoints


def save_checkpoint(path: Path, alg: PPO, iteration: int) -> None:
    """Write what rsl_rl's OnPolicyRunner.save writes; equal contents give equal bytes."""
    content = alg.save() | {"iter": iteration, "infos": None}
    write_bytes(path, dump(content))


def load_checkpoint(path: str | Path) -> dict[str, Any]:
    """Read a checkpoint onto the CPU.

    Raises:
        UserError: when the file is missing, damaged, no checkpoint of rsl_rl, or would run code when loaded.
    """
    content = read_plain(path)
    if not isinstance(content, dict) or "actor_state_dict" not in content or "iter" not in content:
        raise UserError(f"{path} is no checkpoint of rsl_rl: actor_state_dict or iter is missing.")
    return content


def read_plain(source: str | Path | io.BytesIO, name: str | Path | None = None) -> Any:
    """Load a file of tensors, numbers and text that torch.save wrote, refusing anything else in it.

    Raises:
        UserError: naming the file and what is wrong with it.
    """
    name = name or str(source)
    try:
        return torch.load(source, map_location="cpu", weights_only=True)
    except OSError as error:
        raise UserError(f"{name} cannot be read: {error.strerror}.") from error
    except Exception as error:  # damaged bytes may raise anything
        code = re.search(r"(Unsupported [^\n]*|GLOBAL \S+)", str(error))
        if isinstance(error, pickle.UnpicklingError) and code:
            raise UserError(
                f"{name} is refused: it holds more than tensors, numbers and text, and loading it could run code "
                f"({code[1].rstrip('.')})."
            ) from error
        reason = str(error).split("\n")[0].rstrip(".") or type(error).__name__
        raise UserError(f"{name} is damaged or no checkpoint: {reason}.") from error


def dump(content: Any) -> bytes:
    """Return what torch.save writes, without the file name that it would put in."""
    buffer = io.BytesIO()
    torch.save(content, buffer)
    return buffer.getvalue()


def write_bytes(path: Path, data: bytes) -> None:
    """Write a file whole or not at all."""
    with write_atomic(path) as partial:
        partial.write_bytes(data)
