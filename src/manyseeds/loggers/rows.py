"""The scalars in event files by iteration."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import BinaryIO

from google.protobuf.message import DecodeError

from manyseeds.eventfiles.log import CLOCK_TAGS, event_files, read_log
from manyseeds.eventfiles.messages import Event
from manyseeds.eventfiles.records import HEADER_BYTES, record_length, whole_records


@dataclass(frozen=True)
class Row:
    """The scalars of one iteration.

    Attributes:
        step: the iteration.
        time: when they were logged, in s since 1970.
        scalars: values by tag.
    """

    step: int
    time: float
    scalars: dict[str, float] = field(default_factory=dict)


def read_rows(stream: BinaryIO, start: int, end: int) -> list[Row]:
    """Return the rows in a part of an event file that one process wrote; curves over seconds are left out.

    Args:
        stream: the file.
        start: bytes before the part.
        end: bytes up to its end.
    """
    stream.seek(start)
    rows: list[Row] = []
    for event in _events(stream.read(end - start)):
        for value in event.summary.value:
            if value.WhichOneof("value") != "simple_value" or fnmatchcase(value.tag, CLOCK_TAGS):
                continue
            if not rows or rows[-1].step != event.step:
                rows.append(Row(event.step, event.wall_time))
            rows[-1].scalars[value.tag] = value.simple_value
    return rows


def all_rows(folder: Path) -> list[Row]:
    """Return the rows in the event files of a folder, as `read_log` puts them together.

    Raises:
        UserError: as `read_log`.
    """
    log = read_log(folder)
    times: dict[int, float] = {}
    for path in event_files(folder):
        times |= {event.step: event.wall_time for event in _events(path.read_bytes())}
    rows: dict[int, Row] = {}
    for tag, step, value in zip(log.tag.tolist(), log.step.tolist(), log.value.tolist(), strict=True):
        rows.setdefault(step, Row(step, times[step])).scalars[log.tags[tag]] = value
    return [rows[step] for step in sorted(rows)]


def first_record(folder: Path) -> bytes:
    """Return the first record of a folder's earliest event file; it holds when the run began, to the microsecond.

    Raises:
        UserError: when there is no event file.
    """
    firsts = []
    for path in event_files(folder):
        with path.open("rb") as stream:
            header = stream.read(HEADER_BYTES)
            firsts.append(header + stream.read(record_length(header)) if len(header) == HEADER_BYTES else header)
    return min(firsts, key=lambda record: next((event.wall_time for event in _events(record + bytes(4))), 0.0))


def _events(data: bytes) -> Iterator[Event]:
    """Yield the events of whole records; the checksums are `read_log`'s to check."""
    for record in whole_records(data):
        event = Event()
        try:
            event.ParseFromString(record)
        except DecodeError:
            return
        yield event
