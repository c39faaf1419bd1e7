"""Where a run that is started by hand trains: on which device, in which simulator, and why."""

import importlib.util
from dataclasses import dataclass
from pathlib import Path

from manyseeds.config.hardware import SIMULATOR_ON, contradiction, pair
from manyseeds.core.errors import UserError
from manyseeds.core.simulators import SIMULATORS
from manyseeds.runs.starts import begun

WITHOUT = "--device cpu trains without one"


@dataclass(frozen=True)
class Hardware:
    """What a run trains on.

    Attributes:
        device: cpu, cuda or cuda:N.
        simulator: a simulator's name.
        why: the reason, for the first line that training prints.
    """

    device: str
    simulator: str
    why: str


def choose(device: str, simulator: str, log_dir: Path | None = None) -> Hardware:
    """Return the device and the simulator of a run; a run that has begun stays where it is.

    Args:
        device: cpu, cuda, cuda:N or auto.
        simulator: a simulator's name or auto.
        log_dir: the run's folder, if it is given.

    Raises:
        UserError: for a name that is not known, a pair that contradicts itself, or a GPU that is not there.
    """
    if simulator not in ("auto", *SIMULATORS):
        raise UserError(f"--simulator is '{simulator}'; it must be {', '.join(('auto', *SIMULATORS))}.")
    kind, _, number = device.partition(":")
    if device not in ("auto", "cpu", "cuda") and not (kind == "cuda" and number.isdecimal()):
        raise UserError(f"--device is '{device}'; it must be auto, cpu, cuda or cuda:N.")
    env = begun(log_dir) if log_dir else {}
    before = str(env.get("device")), str(env.get("simulator"))
    if env and device in ("auto", before[0]) and simulator in ("auto", before[1]):
        found, why = before, f"the run in {log_dir} began there"
        who = f"the run in {log_dir} began on {before[0]}"
    else:
        on_gpu = simulator if simulator != "auto" else SIMULATOR_ON["cuda"]
        found, why = pair(device, simulator, lambda: _can_use_gpu(on_gpu)), _why(device, simulator, on_gpu)
        who = f"--device is '{device}'"
    if problem := contradiction(*found, lambda key: f"--{key}"):
        raise UserError(f"{problem}.")
    _check_gpu(found[0], who)
    return Hardware(*found, why)


def gpu_count() -> int:
    """Return the number of GPUs that PyTorch can use."""
    import torch

    return torch.cuda.device_count()


def _can_use_gpu(simulator: str) -> bool:
    return gpu_count() > 0 and importlib.util.find_spec(SIMULATORS[simulator].module) is not None


def _why(device: str, simulator: str, on_gpu: str) -> str:
    """Return the reason for what `pair` chose; `on_gpu` is the simulator that a GPU would be used with."""
    if device != "auto":
        return f"--device is {device}"
    if "cuda" not in SIMULATORS[on_gpu].devices:
        return f"--simulator is {simulator}"
    if not (count := gpu_count()):
        return _no_gpu()
    if not _can_use_gpu(on_gpu):
        return f"there is a GPU, but {on_gpu} is not installed ({SIMULATORS[on_gpu].install})"
    return f"PyTorch can use {count} GPU{'s' if count > 1 else ''} here"


def _no_gpu() -> str:
    import torch

    return "PyTorch sees no GPU here" if torch.version.cuda else "this PyTorch is built for CPUs only"


def _check_gpu(device: str, who: str) -> None:
    kind, _, number = device.partition(":")
    if kind == "cuda" and int(number or 0) >= (count := gpu_count()):
        there = f"PyTorch sees {count} GPUs here, numbered from 0" if count else f"{_no_gpu()}; {WITHOUT}"
        raise UserError(f"{who}, but {there}.")
