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
from google_crc32c import value as crc32c

HEADER_BYTES = 12
FOOTER_BYTES = 4
_MASK_DELTA = 0xA282EAD8


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


def masked_crc(data: bytes) -> int:
    """The CRC32C of `data` as TFRecord files store it: rotated right by 15 bits, plus a constant."""
    crc = crc32c(data)
    return ((crc >> 15 | crc << 17) + _MASK_DELTA) & 0xFFFFFFFF


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
        self._layouts: dict[bytes, tuple[struct.Struct, int]] = {}

    def blocks(self) -> Iterator[list[bytes]]:
        """Yield the data of the valid records, a list for each few megabytes of the file."""
        rest = b""
        with self.path.open("rb") as stream:
            # A record longer than a block is read whole: the next read is as long as what is left over.
            while block := stream.read(max(self._block_bytes, len(rest))):
                buffer = rest + block
                payloads, used, readable = self._split(buffer)
                self.position += used
                if payloads:
                    yield payloads
                if not readable:
                    size = self.path.stat().st_size - self.position
                    self.damage.append(Damage("unreadable", self.position, size))
                    return
                rest = buffer[used:]
        if rest:
            self.damage.append(Damage("truncated", self.position, len(rest)))

    def _split(self, buffer: bytes) -> tuple[list[bytes], int, bool]:
        """The valid payloads in `buffer`, the bytes used, and whether the next header is sound."""
        payloads: list[bytes] = []
        footers: list[bytes] = []
        layouts = self._layouts
        end = len(buffer)
        position = 0
        readable = True
        while position + HEADER_BYTES <= end:
            header = buffer[position : position + HEADER_BYTES]
            layout = layouts.get(header)
            if layout is None:
                layout = self._learn(header)
                if layout is None:
                    # Zeros are what a crash leaves behind the last record on some file systems.
                    readable = buffer.count(0, position) == end - position
                    break
            data, size = layout
            following = position + size
            if following > end:
                break
            payload, footer = data.unpack_from(buffer, position + HEADER_BYTES)
            payloads.append(payload)
            footers.append(footer)
            position = following
        return self._check(payloads, footers), position, readable

    def _learn(self, header: bytes) -> tuple[struct.Struct, int] | None:
        length, checksum = struct.unpack("<QI", header)
        if masked_crc(header[:8]) != checksum or length > 1 << 40:
            return None
        layout = struct.Struct(f"<{length}s4s"), HEADER_BYTES + length + FOOTER_BYTES
        if len(self._layouts) < 10_000:
            self._layouts[header] = layout
        return layout

    def _check(self, payloads: list[bytes], footers: list[bytes]) -> list[bytes]:
        """Drop payloads that do not fit their checksums, noting where they stood."""
        crcs = np.fromiter(map(crc32c, payloads), np.uint32, len(payloads))
        masked = (crcs >> 15 | crcs << 17) + np.uint32(_MASK_DELTA)
        bad = np.flatnonzero(masked != np.frombuffer(b"".join(footers), "<u4"))
        self.records += len(payloads) - len(bad)
        if not len(bad):
            return payloads
        sizes = np.fromiter(map(len, payloads), np.int64, len(payloads)) + HEADER_BYTES + FOOTER_BYTES
        offsets = self.position + np.cumsum(sizes) - sizes
        self.damage += [Damage("corrupt", int(offsets[i]), int(sizes[i])) for i in bad]
        lost = set(bad.tolist())
        return [payload for i, payload in enumerate(payloads) if i not in lost]
