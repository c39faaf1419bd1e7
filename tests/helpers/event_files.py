"""Event files for tests, written by TensorBoard's own record writer and messages."""

from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np
from tensorboard.compat.proto import event_pb2, summary_pb2
from tensorboard.summary.writer.record_writer import RecordWriter

from manyseeds.eventfiles.records import Group

START = 1_700_000_000.0  # s since 1970


def version(wall_time: float = START) -> event_pb2.Event:
    return event_pb2.Event(wall_time=wall_time, file_version="brain.Event:2")


def scalar(tag: str, step: int, value: float, wall_time: float = START) -> event_pb2.Event:
    entry = summary_pb2.Summary.Value(tag=tag, simple_value=value)
    return event_pb2.Event(wall_time=wall_time, step=step, summary=summary_pb2.Summary(value=[entry]))


def restart(step: int) -> event_pb2.Event:
    start = event_pb2.SessionLog(status=event_pb2.SessionLog.START)
    return event_pb2.Event(wall_time=START, step=step, session_log=start)


def curve(values: Mapping[int, float], tag: str = "Loss/value") -> list[event_pb2.Event]:
    return [scalar(tag, step, value) for step, value in values.items()]


def write_events(path: Path, events: Iterable[event_pb2.Event], wall_time: float | None = START) -> list[int]:
    """Write a file; return where each record starts and the file ends. `wall_time` None: no version event."""
    path.parent.mkdir(parents=True, exist_ok=True)
    offsets = []
    with path.open("wb") as stream:
        writer = RecordWriter(stream)
        for event in ([version(wall_time)] if wall_time is not None else []) + list(events):
            offsets.append(stream.tell())
            writer.write(event.SerializeToString())
        offsets.append(stream.tell())
    return offsets


def payloads_of(groups: Iterable[Group]) -> list[bytes]:
    """The records of a block in their order."""
    numbered = [
        (number, column.tobytes())
        for group in groups
        for number, column in zip(group.number.tolist(), group.data.T, strict=True)
    ]
    return [payload for _, payload in sorted(numbered)]


def groups_of(payloads: list[bytes]) -> list[Group]:
    """A block with these records."""
    return [
        Group(
            np.array([list(payload) for payload in payloads if len(payload) == length], np.uint8).T,
            np.array([number for number, payload in enumerate(payloads) if len(payload) == length], np.int64),
        )
        for length in {len(payload) for payload in payloads}
    ]


def flip(path: Path, offset: int, mask: int = 0xFF) -> None:
    """Change one byte of a file."""
    content = bytearray(path.read_bytes())
    content[offset] ^= mask
    path.write_bytes(content)
