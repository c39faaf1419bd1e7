"""What `auto` means for `device` and `simulator`: a GPU and the simulator for it where there is one, else the CPU."""

from collections.abc import Callable, Sequence
from pathlib import Path

from manyseeds import gpus
from manyseeds.config.experiment import read_resolved
from manyseeds.core.simulators import SIMULATORS

SIMULATOR_ON = {
    device: next(name for name, simulator in SIMULATORS.items() if device in simulator.devices)
    for device in ("cpu", "cuda")
}
"""The first simulator of the table that runs on each kind of device."""


def pair(device: str, simulator: str, gpu: Callable[[], bool]) -> tuple[str, str]:
    """Return a device and a simulator for it, where each may be "auto".

    Args:
        device: cpu, cuda, cuda:N or auto.
        simulator: a simulator's name or auto.
        gpu: whether there is a GPU to use; called only if it matters.
    """
    if device == "auto":
        possible = simulator not in SIMULATORS or "cuda" in SIMULATORS[simulator].devices
        device = "cuda" if possible and gpu() else "cpu"
    return device, SIMULATOR_ON[device.split(":")[0]] if simulator == "auto" else simulator


def contradiction(device: str, simulator: str, name: Callable[[str], str] = str) -> str | None:
    """Return the sentence on a device on which a simulator does not run; None if it does.

    Args:
        device: cpu, cuda or cuda:N.
        simulator: a simulator's name.
        name: makes the name of a key, as the user gave it.
    """
    kinds = SIMULATORS[simulator].devices
    if device.split(":")[0] in kinds:
        return None
    return (
        f"{name('device')} is {device}, and {name('simulator')} {simulator} runs on {' and '.join(kinds)} only;"
        f" leave one of the two out"
    )


def chosen(device: str, simulator: str, allowed: str | Sequence[int], recorded: Path) -> tuple[str, str]:
    """Return the device and the simulator of an experiment.

    An experiment that has begun stays where it is: what its config.json says is what `auto` means, on whatever machine
    its figures are drawn or its jobs are submitted.

    Args:
        device: of the config: cpu, cuda or auto.
        simulator: of the config: a simulator's name or auto.
        allowed: `gpus` of the config.
        recorded: config.json of the experiment's results, which need not exist.

    Raises:
        UserError: when `gpus` lists one that this machine lacks, or `recorded` is damaged.
    """
    if device == "auto" and recorded.is_file():
        device = read_resolved(recorded).device
    return pair(device, simulator, lambda: bool(gpus.allowed("auto" if allowed == "none" else allowed)))
