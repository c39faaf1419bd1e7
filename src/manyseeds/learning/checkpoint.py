"""Checkpoints `model_<iteration>.pt` in RSL-RL's layout, read without running code in them."""

import io
import pickle
import re
import warnings
from pathlib import Path
from typing import Any

import torch

from manyseeds.core.errors import UserError
from manyseeds.core.files import write_atomic
from manyseeds.core.layout import checkpoints as checkpoints
from manyseeds.learning.rsl_rl import PPO


def save_checkpoint(path: Path, alg: PPO, iteration: int) -> None:
    """Write what RSL-RL's OnPolicyRunner.save writes; equal contents give equal bytes."""
    content = alg.save() | {"iter": iteration, "infos": None}
    write_bytes(path, dump(content))


def load_checkpoint(path: str | Path) -> dict[str, Any]:
    """Read a checkpoint onto the CPU.

    Raises:
        UserError: if the file is missing, damaged, not a checkpoint of RSL-RL, or would run code when loaded.
    """
    content = read_plain(path)
    if not isinstance(content, dict) or "actor_state_dict" not in content or "iter" not in content:
        raise UserError(f"{path} is not a checkpoint of RSL-RL: actor_state_dict or iter is missing.")
    return content


def read_plain(source: str | Path | io.BytesIO, name: str | Path | None = None) -> Any:
    """Load a file that torch.save wrote; refuse it if it holds more than tensors, numbers and text.

    Raises:
        UserError: naming the file and the problem.
    """
    name = name or str(source)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about the pickle protocol of a file that is refused anyway
            return torch.load(source, map_location="cpu", weights_only=True)
    except OSError as error:
        raise UserError(f"{name} cannot be read: {error.strerror}.") from error
    except Exception as error:  # damaged bytes can raise any exception
        code = re.search(r"(Unsupported [^\n]*|GLOBAL \S+)", str(error))
        garbage = "Unsupported operand" in str(error) and not _is_pickle(source)
        if isinstance(error, pickle.UnpicklingError) and code and not garbage:
            raise UserError(
                f"{name} is refused: it holds more than tensors, numbers and text, and loading it could run code "
                f"({code[1].rstrip('.')})."
            ) from error
        # Torch's own sentence advises to run whatever is in the file.
        reason = "it is not what torch.save writes" if garbage else str(error).split("\n")[0].rstrip(".")
        reason = reason or type(error).__name__
        raise UserError(f"{name} is damaged or not a checkpoint: {reason}.") from error


def _is_pickle(source: str | Path | io.BytesIO) -> bool:
    """Return whether a file begins as a pickle does, or as the archive around one."""
    if isinstance(source, io.BytesIO):
        first = source.getvalue()[:2]
    else:
        with Path(source).open("rb") as stream:
            first = stream.read(2)
    return first[:1] == pickle.PROTO or first == b"PK"


def dump(content: Any) -> bytes:
    """Return the bytes of torch.save, without the file name that it would include."""
    buffer = io.BytesIO()
    torch.save(content, buffer)
    return buffer.getvalue()


def write_bytes(path: Path, data: bytes) -> None:
    """Write a file whole or not at all."""
    with write_atomic(path) as partial:
        partial.write_bytes(data)
