"""The GPUs that this process may use."""

import os
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from manyseeds.core.errors import UserError

FULL = 0.5
"""Share of a GPU's memory that other programs use when it counts as filled."""


@dataclass(frozen=True)
class Device:
    """One GPU.

    Attributes:
        name: what CUDA_VISIBLE_DEVICES calls it: a number or a UUID.
        number: its place in nvidia-smi's list, or the name where nvidia-smi does not know it.
        uuid: its UUID, None where nvidia-smi does not know it.
    """

    name: str
    number: str
    uuid: str | None = None

    @property
    def key(self) -> str:
        """What two processes agree on that mean the same GPU of this machine."""
        return self.uuid or self.number

    def __str__(self) -> str:
        return self.number if self.uuid is None else f"{self.number} ({self.uuid})"


@dataclass(frozen=True)
class Reading:
    """What nvidia-smi says of a GPU; `used` is the used share of its memory, 0 where it has none of its own."""

    number: str
    uuid: str
    used: float


def allowed(setting: str | Sequence[int], environment: Mapping[str, str] = os.environ) -> tuple[Device, ...]:
    """Return the GPUs that a job may use.

    CUDA_VISIBLE_DEVICES, set by a scheduler or the user, is never widened; `gpus` of the config narrows it further.

    Args:
        setting: `gpus` of the config: "auto", or numbers in nvidia-smi's list.
        environment: environment variables.

    Raises:
        UserError: when a number is not among the GPUs of this machine, or not among those that are visible.
    """
    found = read()
    devices = _visible(found, environment)
    if setting == "auto":
        return devices if devices is not None else _all(found)
    numbers = [str(number) for number in setting]
    if devices is None:
        # Without nvidia-smi, as in some containers, the list is believed.
        devices = _all(found) if found else tuple(Device(number, number) for number in numbers)
        place = "this machine has"
    else:
        place = f"CUDA_VISIBLE_DEVICES is '{environment['CUDA_VISIBLE_DEVICES']}', which allows"
    known = [device.number for device in devices]
    for number in numbers:
        if number not in known:
            raise UserError(f"gpus has GPU {number}, but {place} {'only ' + ', '.join(known) if known else 'none'}")
    return tuple(device for device in devices if device.number in numbers)


def allotted(environment: Mapping[str, str] = os.environ) -> tuple[Device, ...]:
    """Return the GPUs that CUDA_VISIBLE_DEVICES names; none where it is not set."""
    return _visible(read(), environment) or () if "CUDA_VISIBLE_DEVICES" in environment else ()


def read() -> list[Reading]:
    """Return what nvidia-smi says of every GPU; nothing where there is no nvidia-smi or it fails."""
    query = ["nvidia-smi", "--query-gpu=index,uuid,memory.used,memory.total", "--format=csv,noheader,nounits"]
    try:
        listing = subprocess.run(query, capture_output=True, text=True, timeout=60, check=True).stdout
    except (OSError, subprocess.SubprocessError):
        return []
    rows = [[cell.strip() for cell in line.split(",")] for line in listing.splitlines()]
    return [Reading(row[0], row[1], _share(row[2], row[3])) for row in rows if len(row) == 4]


def filled(readings: Sequence[Reading]) -> dict[str, float]:
    """Return the used share of memory of those GPUs, by key, that count as filled."""
    return {reading.uuid: reading.used for reading in readings if reading.used > FULL}


def _visible(found: Sequence[Reading], environment: Mapping[str, str]) -> tuple[Device, ...] | None:
    """Return the GPUs that CUDA_VISIBLE_DEVICES names, None where it is not set."""
    text = environment.get("CUDA_VISIBLE_DEVICES")
    if text is None:
        return None
    devices = []
    for name in (part.strip() for part in text.split(",")):
        if name in ("", "-1", "NoDevFiles"):  # as for CUDA, nothing after it counts
            break
        # A UUID may be shortened.
        same = [one for one in found if name == one.number or (name.startswith("GPU-") and one.uuid.startswith(name))]
        devices.append(Device(name, same[0].number, same[0].uuid) if same else Device(name, name))
    return tuple(dict.fromkeys(devices))


def _all(found: Sequence[Reading]) -> tuple[Device, ...]:
    # By UUID, because CUDA may number GPUs in another order than nvidia-smi.
    return tuple(Device(reading.uuid, reading.number, reading.uuid) for reading in found)


def _share(used: str, total: str) -> float:
    try:
        return float(used) / float(total)
    except (ValueError, ZeroDivisionError):  # a GPU that shares the machine's memory says "[N/A]"
        return 0.0
