"""The framing of a TFRecord file: a length, its checksum, the data, the data's checksum.

Layout of one record (tensorflow/core/lib/io/record_writer.h), little-endian:
    uint64 length | uint32 masked CRC32C of the length | data | uint32 masked CRC32C of the data
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from manyseeds.eventfiles.checksum import masked_crc, masked_crcs

HEADER_BYTES = 12
FOOTER_BYTES = 4
LONGEST_RECORD = 1 << 30
"""Bytes; a protobuf message has at most twice as many."""

_STRETCH = 512  # records that are split one by one before their lengths are checked for a pattern


def record_length(header: bytes) -> int:
    """Return how many bytes of data follow a header, whose checksum is not verified."""
    length: int = struct.unpack_from("<Q", header)[0]
    return length


def whole_records(content: bytes) -> Iterator[bytes]:
    """Yield the data of the whole records at the start of `content`, whose checksums are not verified."""
    place = 0
    while place + HEADER_BYTES <= len(content):
        start = place + HEADER_BYTES
        end = start + record_length(content[place:start])
        if end + FOOTER_BYTES > len(content):
            return
        yield content[start:end]
        place = end + FOOTER_BYTES


@dataclass(frozen=True)
class Damage:
    """A part of a file that could not be used.

    `kind` is "corrupt" (the data does not match its checksum; reading continues after it), "unreadable" (a length does
    not match its checksum, so everything from there to the end of the file is lost) or "truncated" (the file ends
    within a record).
    """

    kind: Literal["corrupt", "unreadable", "truncated"]
    offset: int  # bytes from the start of the file
    size: int  # bytes


@dataclass(frozen=True)
class Group:
    """The records of one length in a block of a file.

    `data` (length, count) uint8 has one record per column; `number` (count,) int64, ascending, is their order in the
    block.
    """

    data: NDArray[np.uint8]
    number: NDArray[np.int64]


class RecordReader:
    """Streams the records of one file, verifies both checksums, and collects damage instead of raising.

    Attributes:
        records: number of complete and valid records read so far.
        position: bytes read so far, for progress.
        damage: the parts that could not be used, by offset.
    """

    def __init__(self, path: Path, block_bytes: int = 4 << 20) -> None:
        self.path = path
        self.records = 0
        self.position = 0
        self.damage: list[Damage] = []
        self._block_bytes = block_bytes
        # Headers (length and checksum) that were verified once; a log has few different lengths.
        self._sizes: dict[bytes, int] = {}

    def blocks(self) -> Iterator[list[Group]]:
        """Yield the valid records of each few megabytes of the file, grouped by length."""
        rest, zeros = b"", 0
        with self.path.open("rb") as stream:
            # A record longer than a block: each read is at least as long as the rest, until it is complete.
            while block := stream.read(max(self._block_bytes, len(rest))):
                if not any(rest) and len(rest) >= HEADER_BYTES and not block.strip(b"\0"):
                    # Zeros behind the last record, perhaps gigabytes of them in a sparse file.
                    zeros += len(block)
                    continue
                buffer = rest + block
                starts, used, readable = self._split(buffer)
                groups = self._check(buffer, starts, used)
                self.position += used
                if groups:
                    yield groups
                if not readable:
                    size = self.path.stat().st_size - self.position
                    self.damage.append(Damage("unreadable", self.position, size))
                    return
                rest = buffer[used:]
        if rest:
            self.damage.append(Damage("truncated", self.position, len(rest) + zeros))

    def _split(self, buffer: bytes) -> tuple[NDArray[np.int64], int, bool]:
        """Return the starts of the records in `buffer`, the end of the last, and whether the next header is valid."""
        content = np.frombuffer(buffer, np.uint8)
        pieces: list[NDArray[np.int64]] = []
        position, readable, more = 0, True, True
        while more:
            starts, position, readable, more = self._walk(buffer, position)
            pieces.append(starts)
            if more:
                following = _follow_pattern(content, np.append(starts, position))
                pieces.append(following[:-1])
                position = int(following[-1])
        return np.concatenate(pieces), position, readable

    def _walk(self, buffer: bytes, position: int) -> tuple[NDArray[np.int64], int, bool, bool]:
        """Split off up to _STRETCH records from `position` on, one by one.

        Returns:
            Their starts, the end of the last, whether the next header is valid, and whether there may be more records.
        """
        starts: list[int] = []
        sizes = self._sizes
        end = len(buffer)
        readable, more = True, False
        while position + HEADER_BYTES <= end:
            header = buffer[position : position + HEADER_BYTES]
            size = sizes.get(header)
            if size is None:
                size = self._learn(header)
                if size is None:
                    # After a crash some file systems leave zeros behind the last record.
                    readable = buffer.count(0, position) == end - position
                    break
            if position + size > end:
                break
            if len(starts) == _STRETCH:
                more = True
                break
            starts.append(position)
            position += size
        return np.array(starts, np.int64), position, readable, more

    def _learn(self, header: bytes) -> int | None:
        """Return the size of a record with this header in bytes, or None if the header does not match its checksum."""
        length, checksum = struct.unpack("<QI", header)
        if masked_crc(header[:8]) != checksum or length > LONGEST_RECORD:
            return None
        size = int(HEADER_BYTES + length + FOOTER_BYTES)
        if len(self._sizes) < 10_000:
            self._sizes[header] = size
        return size

    def _check(self, buffer: bytes, starts: NDArray[np.int64], used: int) -> list[Group]:
        """Group the records by length; those that do not match their checksums go to `damage`."""
        offsets = np.append(starts, used)
        sizes = np.diff(offsets)
        content = np.frombuffer(buffer, np.uint8)
        groups: list[Group] = []
        damage: list[Damage] = []
        for size in np.unique(sizes):
            number = np.flatnonzero(sizes == size)
            windows = sliding_window_view(content, int(size) - HEADER_BYTES)
            columns = np.ascontiguousarray(windows[offsets[number] + HEADER_BYTES].T)
            data, footers = columns[:-FOOTER_BYTES], columns[-FOOTER_BYTES:]
            stored = np.ascontiguousarray(footers.T).view("<u4")[:, 0]
            sound = masked_crcs(data) == stored
            if not sound.all():
                lost = offsets[number[~sound]]
                damage += [Damage("corrupt", self.position + int(start), int(size)) for start in lost]
                data, number = data[:, sound], number[sound]
            if len(number):
                groups.append(Group(data, number))
        self.records += sum(len(group.number) for group in groups)
        self.damage += sorted(damage, key=lambda stretch: stretch.offset)
        return groups


def _follow_pattern(content: NDArray[np.uint8], offsets: NDArray[np.int64]) -> NDArray[np.int64]:
    """Find the records after a stretch whose lengths repeat, as they do from iteration to iteration of a log.

    Args:
        content: the block.
        offsets: the starts of the records of a stretch, and the end of the last.

    Returns:
        The starts of the following records whose headers repeat those of the stretch, and the end of the last.
    """
    sizes = np.diff(offsets)
    # Distances from the end at which a record is as long as the last one; the period must fit twice into the stretch.
    distances = np.flatnonzero(sizes[-2 : -len(sizes) // 2 - 1 : -1] == sizes[-1]) + 1
    period = next((d for d in distances.tolist() if np.array_equal(sizes[d:], sizes[:-d])), 0)
    if not period:
        return offsets[-1:]
    cycle = offsets[-1 - period : -1]
    length = int(offsets[-1] - cycle[0])
    times = (len(content) - int(offsets[-1])) // length
    starts = cycle + length * np.arange(1, times + 1)[:, None]
    headers = sliding_window_view(content, HEADER_BYTES)
    alike = (headers[starts] == headers[cycle]).all(axis=(1, 2))
    times = times if alike.all() else int(alike.argmin())
    return np.append(starts[:times], offsets[-1] + length * times)
