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

_STRETCH = 512  # records split one by one before looking whether their lengths repeat


@dataclass(frozen=True)
class Damage:
    """A stretch of a file that could not be used.

    `kind` is "corrupt" (the data does not fit its checksum; reading goes on behind it), "unreadable" (a
    length does not fit its checksum, so that everything from there to the end of the file is lost) or
    "truncated" (the file ends within a record).
    """

    kind: Literal["corrupt", "unreadable", "truncated"]
    offset: int  # bytes from the start of the file
    size: int  # bytes


@dataclass(frozen=True)
class Group:
    """The records of one length in a block of a file.

    `data` (length, count) uint8 has a record in each column; `number` (count,) int64 ascending is their
    places in the order of the block.
    """

    data: NDArray[np.uint8]
    number: NDArray[np.int64]


class RecordReader:
    """Streams the records of one file, checks both checksums, and notes what is damaged instead of raising.

    Attributes:
        records: how many whole and valid records have been read so far.
        position: bytes read so far, to show progress.
        damage: what could not be used, by offset.
    """

    def __init__(self, path: Path, block_bytes: int = 4 << 20) -> None:
        self.path = path
        self.records = 0
        self.position = 0
        self.damage: list[Damage] = []
        self._block_bytes = block_bytes
        # A header (length and checksum) seen once needs no second check; a log holds few different lengths.
        self._sizes: dict[bytes, int] = {}

    def blocks(self) -> Iterator[list[Group]]:
        """Yield the valid records of each few megabytes of the file, grouped by length."""
        rest = b""
        with self.path.open("rb") as stream:
            # A record longer than a block is read whole: the next read is as long as what is left over.
            while block := stream.read(max(self._block_bytes, len(rest))):
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
            self.damage.append(Damage("truncated", self.position, len(rest)))

    def _split(self, buffer: bytes) -> tuple[NDArray[np.int64], int, bool]:
        """Where the records in `buffer` start, where the last ends, and whether the next header is sound."""
        content = np.frombuffer(buffer, np.uint8)
        pieces: list[NDArray[np.int64]] = []
        position, readable, more = 0, True, True
        while more:
            starts, position, readable, more = self._walk(buffer, position)
            pieces.append(starts)
            if more:
                ahead = _foreseen(content, np.append(starts, position))
                pieces.append(ahead[:-1])
                position = int(ahead[-1])
        return np.concatenate(pieces), position, readable

    def _walk(self, buffer: bytes, position: int) -> tuple[NDArray[np.int64], int, bool, bool]:
        """Split off up to _STRETCH records from `position` on, one by one.

        Returns:
            Where they start, where the last ends, whether the next header is sound, and whether there may be more.
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
                    # Zeros are what a crash leaves behind the last record on some file systems.
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
        """The bytes of a record with this header, or None when the header does not fit its checksum."""
        length, checksum = struct.unpack("<QI", header)
        if masked_crc(header[:8]) != checksum or length > 1 << 40:
            return None
        size = int(HEADER_BYTES + length + FOOTER_BYTES)
        if len(self._sizes) < 10_000:
            self._sizes[header] = size
        return size

    def _check(self, buffer: bytes, starts: NDArray[np.int64], used: int) -> list[Group]:
        """Group the records by length; those that do not fit their checksums are left out and noted."""
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


def _foreseen(content: NDArray[np.uint8], offsets: NDArray[np.int64]) -> NDArray[np.int64]:
    """Where records lie behind a stretch whose lengths repeat, as they do from iteration to iteration of a log.

    Args:
        content: the block.
        offsets: where the records of a stretch start, and where the last of them ends.

    Returns:
        Where the next records start whose headers repeat the stretch's, and where the last of them ends.
    """
    sizes = np.diff(offsets)
    # From the end on, the distances at which a record is as long as the last one; at least twice the stretch holds it.
    distances = np.flatnonzero(sizes[-2 : -len(sizes) // 2 - 1 : -1] == sizes[-1]) + 1
    period = next((d for d in distances.tolist() if np.array_equal(sizes[d:], sizes[:-d])), 0)
    if not period:
        return offsets[-1:]
    cycle = offsets[-1 - period : -1]
    length = int(offsets[-1] - cycle[0])
    times = (len(content) - int(offsets[-1])) // length
    ahead = cycle + length * np.arange(1, times + 1)[:, None]
    headers = sliding_window_view(content, HEADER_BYTES)
    alike = (headers[ahead] == headers[cycle]).all(axis=(1, 2))
    times = times if alike.all() else int(alike.argmin())
    return np.append(ahead[:times], offsets[-1] + length * times)
