"""What `auto` means for `device` and `simulator`: a GPU and the simulator for it where there is one, else the CPU."""

from collections.abc import Sequence
from pathlib import Path

from manyseeds import gpus
from manyseeds.config.experiment import read_resolved
from manyseeds.core.simulators import SIMULATORS

SIMULATOR_ON = {
    device: next(name for name, simulator in SIMULATORS.items() if device in simulator.devices)
    for device in ("cpu", "cuda")
}
"""The first simulator of the table that runs on each kind of device."""


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
    if device == "auto":
        if recorded.is_file():
            device = read_resolved(recorded).device
        elif simulator in SIMULATORS and "cuda" not in SIMULATORS[simulator].devices:
            device = "cpu"
        else:
            device = "cuda" if gpus.allowed("auto" if allowed == "none" else allowed) else "cpu"
    return device, SIMULATOR_ON[device] if simulator == "auto" else simulator
