"""The event file of a run: one file, one record per scalar, cut back to the last saved state on resuming."""

import hashlib
import os
import struct
import time
from pathlib import Path

from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.summary_pb2 import Summary

from manyseeds.config.settings import RunConfig
from manyseeds.core.files import open_unlinked
from manyseeds.core.layout import EVENT_FILE
from manyseeds.eventfiles.checksum import masked_crc


def open_log(run: RunConfig, offset: int = 0, clock: float = 0.0) -> "EventWriter":
    """Open what a run's scalars are logged to; another logger is chosen or added here.

    Args:
        run: the run.
        offset: bytes of the event file to keep; 0 starts it anew.
        clock: the wall time, in s, of the last event kept.
    """
    return EventWriter(run.log_dir / EVENT_FILE, offset, clock)


class EventWriter:
    """Appends scalars to a run's event file in TensorBoard's format.

    Args:
        path: the file.
        offset: bytes to keep of a file that exists; 0 starts it anew.
        clock: the wall time, in s, of the last event kept.
    """

    def __init__(self, path: Path, offset: int = 0, clock: float = 0.0) -> None:
        self._stream = open_unlinked(path, "r+b" if offset else "w+b", buffering=0)
        self._stream.truncate(offset)
        self._digest = hashlib.sha256()
        while part := self._stream.read(1 << 20):
            self._digest.update(part)
        self.clock = max(clock, time.time())
        if not offset:
            self._append(_record(Event(wall_time=self.clock, file_version="brain.Event:2")))

    def write(self, step: int, scalars: dict[str, float]) -> None:
        """Append the scalars of one iteration."""
        # Readers sort by wall time, so a clock that jumps back must not show.
        self.clock = max(self.clock, time.time())
        records = (
            Event(
                wall_time=self.clock,
                step=step,
                summary=Summary(value=[Summary.Value(tag=tag, simple_value=value)]),
            )
            for tag, value in scalars.items()
        )
        self._append(b"".join(map(_record, records)))

    @property
    def sha256(self) -> str:
        """The checksum of all that was written."""
        return self._digest.hexdigest()

    def sync(self) -> int:
        """Wait until everything is on disk; return the file's length in bytes."""
        os.fsync(self._stream.fileno())
        return self._stream.tell()

    def close(self) -> None:
        """Close the file."""
        self._stream.close()

    def _append(self, data: bytes) -> None:
        self._digest.update(data)
        rest = memoryview(data)
        while rest:
            rest = rest[self._stream.write(rest) :]


def _record(event: Event) -> bytes:
    """Frame an event as TensorFlow's records do: length, its checksum, data, its checksum."""
    data = event.SerializeToString()
    length = struct.pack("<Q", len(data))
    return length + _checksum(length) + data + _checksum(data)


def _checksum(data: bytes) -> bytes:
    return struct.pack("<I", masked_crc(data))
