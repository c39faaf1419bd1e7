"""The GPUs that this process may use."""

import os
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from manyseeds.core.errors import UserError

FULL = 0.5
"""A GPU counts as full if other programs use more than this share of its memory."""


@dataclass(frozen=True)
class Device:
    """One GPU.

    Attributes:
        name: its name in CUDA_VISIBLE_DEVICES: a number or a UUID.
        number: its number in nvidia-smi's list, or the name if nvidia-smi does not know it.
        uuid: its UUID, None if nvidia-smi does not know it.
    """

    name: str
    number: str
    uuid: str | None = None

    @property
    def key(self) -> str:
        """The key of this GPU, the same in all processes of this machine."""
        return self.uuid or self.number

    def __str__(self) -> str:
        return self.number if self.uuid is None else f"{self.number} ({self.uuid})"


@dataclass(frozen=True)
class Reading:
    """A line of nvidia-smi; `used` is the used share of the GPU's memory, 0 if it has no memory of its own."""

    number: str
    uuid: str
    used: float


def allowed(setting: str | Sequence[int], environment: Mapping[str, str] = os.environ) -> tuple[Device, ...]:
    """Return the GPUs that a job may use.

    CUDA_VISIBLE_DEVICES, set by a scheduler or the user, is never widened; the config's `gpus` narrows it further.

    Args:
        setting: the config's `gpus`: "auto", or numbers of nvidia-smi's list.
        environment: environment variables.

    Raises:
        UserError: if a number is not a GPU of this machine, or is not visible.
    """
    found = read()
    devices = _visible(found, environment)
    if setting == "auto":
        return devices if devices is not None else _all(found)
    numbers = [str(number) for number in setting]
    if devices is None:
        # Without nvidia-smi, as in some containers, trust the list.
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
    """Return the GPUs that CUDA_VISIBLE_DEVICES names; none if it is not set."""
    return _visible(read(), environment) or () if "CUDA_VISIBLE_DEVICES" in environment else ()


def read() -> list[Reading]:
    """Return nvidia-smi's line on every GPU; nothing if there is no nvidia-smi or it fails."""
    query = ["nvidia-smi", "--query-gpu=index,uuid,memory.used,memory.total", "--format=csv,noheader,nounits"]
    try:
        listing = subprocess.run(query, capture_output=True, text=True, errors="replace", timeout=60, check=True).stdout
    except (OSError, subprocess.SubprocessError):
        return []
    rows = [[cell.strip() for cell in line.split(",")] for line in listing.splitlines()]
    whole = (row for row in rows if len(row) == 4 and row[0].isdecimal() and row[1])
    return [Reading(row[0], row[1], _share(row[2], row[3])) for row in whole]


def filled(readings: Sequence[Reading]) -> dict[str, float]:
    """Return the used share of memory, by key, of the GPUs that count as full."""
    return {reading.uuid: reading.used for reading in readings if reading.used > FULL}


def _visible(found: Sequence[Reading], environment: Mapping[str, str]) -> tuple[Device, ...] | None:
    """Return the GPUs that CUDA_VISIBLE_DEVICES names, None if it is not set."""
    text = environment.get("CUDA_VISIBLE_DEVICES")
    if text is None:
        return None
    devices = []
    for name in (part.strip() for part in text.split(",")):
        # A UUID may be shortened.
        same = [one for one in found if name == one.number or (name.startswith("GPU-") and one.uuid.startswith(name))]
        # nvidia-smi's list has no part of a GPU ("MIG-...").
        unknown = bool(found) and not same and not name.startswith("MIG-")
        if unknown or name in ("", "-1", "NoDevFiles"):  # CUDA ignores such an entry and everything after it
            break
        devices.append(Device(name, same[0].number, same[0].uuid) if same else Device(name, name))
    return tuple(dict.fromkeys(devices))


def _all(found: Sequence[Reading]) -> tuple[Device, ...]:
    # By UUID: CUDA may number GPUs in another order than nvidia-smi.
    return tuple(Device(reading.uuid, reading.number, reading.uuid) for reading in found)


def _share(used: str, total: str) -> float:
    try:
        return float(used) / float(total)
    except (ValueError, ZeroDivisionError):  # "[N/A]" for a GPU that shares the machine's memory
        return 0.0
