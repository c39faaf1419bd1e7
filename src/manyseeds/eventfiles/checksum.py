"""CRC32C of many short messages at once."""

from functools import cache

import numpy as np
from google_crc32c import value as crc32c
from numpy.typing import NDArray

_MASK_DELTA = np.uint32(0xA282EAD8)
_LONGEST, _FEWEST = 256, 32  # longer or fewer messages are faster one by one


def masked_crcs(messages: NDArray[np.uint8]) -> NDArray[np.uint32]:
    """Return the checksums of messages of equal length, as TFRecord files store them.

    This is CRC32C, rotated by 15 bits, plus a constant.

    A CRC is linear over XOR: each byte contributes a number that depends only on its value and its distance from the
    end (the tables of "slicing-by-N", M. E. Kounavis and F. L. Berry, IEEE Trans. Comput. 57, 2008). So a batch needs
    one table look-up per byte position instead of one call per message.

    Args:
        messages: (length, count), one message per column.
    """
    length, count = messages.shape
    if length > _LONGEST or count < _FEWEST:
        crcs = np.array([crc32c(column.tobytes()) for column in messages.T], np.uint32)
    else:
        tables = _tables()
        crcs = np.full(count, crc32c(bytes(length)), np.uint32)
        for distance, row in enumerate(messages[::-1]):
            crcs ^= tables[distance][row]
    return np.asarray((crcs >> 15 | crcs << 17) + _MASK_DELTA, np.uint32)


def masked_crc(message: bytes) -> int:
    """Return the checksum of one message, as `masked_crcs` does."""
    crc = crc32c(message)
    return ((crc >> 15 | crc << 17) + int(_MASK_DELTA)) & 0xFFFFFFFF


@cache
def _tables() -> NDArray[np.uint32]:
    """(_LONGEST, 256): by distance from the end, how a byte changes the CRC of a message of zeros."""
    zero = crc32c(b"\0")
    rows = [np.array([crc32c(bytes([byte])) ^ zero for byte in range(256)], np.uint32)]
    while len(rows) < _LONGEST:
        rows.append(rows[-1] >> 8 ^ rows[0][rows[-1] & 0xFF])
    return np.stack(rows)
