"""Payloads of records to scalars: protobuf for any event, and a fast path for the most common one.

Nearly all events of a training log hold one float under one tag, with the fields in one order. Their bytes differ only
in wall time, step and value, so the events of one tag can be recognized and decoded as columns of a byte matrix. The
fast path takes an event only if all its other bytes equal those of an event that protobuf decoded and that encodes to
the same bytes again.
"""

import struct
from dataclasses import dataclass
from typing import Any

import numpy as np
from google.protobuf.message import DecodeError
from numpy.typing import NDArray

from manyseeds.eventfiles.messages import SESSION_START, Event
from manyseeds.eventfiles.records import Group

_MAX_LAYOUTS = 64  # per length; with more (thousands of tags) protobuf alone is faster
_WALL = slice(1, 9)
# tag, step, value and record number, as in Scalars
_Columns = tuple[NDArray[np.int32], NDArray[np.int64], NDArray[np.float32], NDArray[np.int64]]
_TENSOR_DTYPES = {1: "<f4", 2: "<f8", 3: "<i4", 9: "<i8", 19: "<f2", 10: "?"}
_TENSOR_FIELDS = {1: "float_val", 2: "double_val", 3: "int_val", 9: "int64_val", 10: "bool_val"}


@dataclass(frozen=True)
class Scalars:
    """Scalars in the order of the file.

    `tag` (n,) int32 indexes the decoder's `tags`; `step` (n,) int64; `value` (n,) float32; `record` (n,) int64 is the
    number of the event in its block, used to merge fast and slow path in order.
    """

    tag: NDArray[np.int32]
    step: NDArray[np.int64]
    value: NDArray[np.float32]
    record: NDArray[np.int64]


@dataclass(frozen=True)
class _Layout:
    mask: NDArray[np.uint8]  # (length, 1) bits that are the same in every event of this layout
    expected: NDArray[np.uint8]
    step: slice
    tag: int


class EventDecoder:
    """Decodes blocks of payloads; remembers tags and byte layouts across blocks and files.

    Attributes:
        tags: the tag of each number, in order of first appearance.
        undecodable: records with a valid checksum that are not event messages.
    """

    def __init__(self) -> None:
        self.tags: list[str] = []
        self.undecodable = 0
        self._numbers: dict[str, int] = {}
        self._layouts: dict[int, list[_Layout]] = {}
        self._scalar_tensors: set[str] = set()

    def decode(self, groups: list[Group]) -> tuple[Scalars, list[tuple[int, int]]]:
        """Decode one block.

        Args:
            groups: a block from `RecordReader.blocks`.

        Returns:
            The scalars, and the restarts: (record number in the block, step) of each SessionLog START. A restart
            discards everything before it that has this step or a later one.
        """
        found: list[_Columns] = []
        slow: list[tuple[int, bytes]] = []
        for group in groups:
            slow += self._decode_plain(group, found)
        restarts = self._decode_any(sorted(slow), found)
        tag, step, value, record = (np.concatenate(column) for column in zip(*found, strict=True))
        order = np.argsort(record, kind="stable")
        return Scalars(tag[order], step[order], value[order], record[order]), restarts

    def _decode_plain(self, group: Group, found: list[_Columns]) -> list[tuple[int, bytes]]:
        """Decode the plain scalars of a group; return the other records with their numbers."""
        data, record = group.data, group.number
        layouts = self._layouts.setdefault(len(data), [])
        slow: list[tuple[int, bytes]] = []
        number = 0
        while len(record) and number < _MAX_LAYOUTS:
            if number == len(layouts):
                first = data[:, 0].tobytes()
                layout = self._learn(first)
                if layout is None:
                    slow.append((int(record[0]), first))
                    data, record = data[:, 1:], record[1:]
                    continue
                layouts.append(layout)
            layout = layouts[number]
            number += 1
            fits = ((data & layout.mask) == layout.expected).all(axis=0)
            if not fits.any():
                continue
            events = data if fits.all() else data[:, fits]
            step = np.zeros(events.shape[1], np.uint64)
            for shift, digit in enumerate(events[layout.step]):
                step |= (digit & np.uint8(0x7F)).astype(np.uint64) << np.uint64(7 * shift)
            value = np.ascontiguousarray(events[-4:].T).view("<f4")[:, 0]
            tag = np.full(len(step), layout.tag, np.int32)
            found.append((tag, step.view(np.int64), value, record[fits]))
            data, record = data[:, ~fits], record[~fits]
        return slow + [(int(number), column.tobytes()) for number, column in zip(record, data.T, strict=True)]

    def _learn(self, payload: bytes) -> _Layout | None:
        """Return the layout of a payload, or None unless it is one plain scalar in the usual order of fields."""
        event = Event()
        try:
            event.ParseFromString(payload)
        except DecodeError:
            return None
        if event.WhichOneof("what") != "summary" or len(event.summary.value) != 1:
            return None
        value = event.summary.value[0]
        if value.WhichOneof("value") != "simple_value":
            return None
        tag = value.tag.encode()
        step = _varint(event.step)
        inner = b"\x0a" + _varint(len(tag)) + tag + b"\x15" + struct.pack("<f", value.simple_value)
        summary = b"\x0a" + _varint(len(inner)) + inner
        tail = b"\x2a" + _varint(len(summary)) + summary
        for encoded_step in (b"\x10" + step, b"") if event.step == 0 else (b"\x10" + step,):
            head = b"\x09" + struct.pack("<d", event.wall_time) + encoded_step
            # The last four bytes may differ: a NaN's payload bits need not survive Python's float.
            if (head + tail)[:-4] == payload[:-4] and len(head + tail) == len(payload):
                mask = np.full(len(payload), 0xFF, np.uint8)
                mask[_WALL] = 0
                mask[-4:] = 0
                digits = slice(10, 9 + len(encoded_step)) if encoded_step else slice(9, 9)
                mask[digits] = 0x80  # the bit that says whether the step has more bytes
                expected = np.frombuffer(payload, np.uint8) & mask
                return _Layout(mask[:, None], expected[:, None], digits, self.number(value.tag))
        return None

    def _decode_any(self, records: list[tuple[int, bytes]], found: list[_Columns]) -> list[tuple[int, int]]:
        """Decode records by protobuf."""
        tags: list[int] = []
        steps: list[int] = []
        values: list[float] = []
        rows: list[int] = []
        restarts: list[tuple[int, int]] = []
        for row, payload in records:
            event = Event()
            try:
                event.ParseFromString(payload)
            except DecodeError:
                self.undecodable += 1
                continue
            if event.session_log.status == SESSION_START:
                restarts.append((row, event.step))
            for value in event.summary.value:
                number = self._scalar(value)
                if number is not None:
                    tags.append(self.number(value.tag))
                    steps.append(event.step)
                    values.append(number)
                    rows.append(row)
        with np.errstate(over="ignore"):
            floats = np.array(values, np.float64).astype(np.float32)
        found.append((np.array(tags, np.int32), np.array(steps, np.int64), floats, np.array(rows, np.int64)))
        return restarts

    def _scalar(self, value: Any) -> float | None:
        """Return the number in a summary value, or None if it holds something else."""
        kind = value.WhichOneof("value")
        if kind == "simple_value":
            return value.simple_value
        if kind != "tensor":
            return None
        # TensorFlow 2 may name the plugin only in the first event of a tag.
        if value.metadata.plugin_data.plugin_name == "scalars":
            self._scalar_tensors.add(value.tag)
        if value.tag not in self._scalar_tensors:
            return None
        return _tensor_scalar(value.tensor)

    def number(self, tag: str) -> int:
        """Return the number of a tag; a new tag gets the next number."""
        number = self._numbers.setdefault(tag, len(self.tags))
        if number == len(self.tags):
            self.tags.append(tag)
        return number


def _tensor_scalar(tensor: Any) -> float | None:
    """Return the number in a tensor of one element, else None."""
    dtype = _TENSOR_DTYPES.get(tensor.dtype)
    if dtype is None:
        return None
    if tensor.tensor_content:
        content = tensor.tensor_content
        return float(np.frombuffer(content, dtype)[0]) if len(content) == np.dtype(dtype).itemsize else None
    if tensor.half_val:
        return float(np.array(tensor.half_val[:1], np.uint16).view(np.float16)[0])
    if tensor.dtype not in _TENSOR_FIELDS:
        return 0.0
    numbers = getattr(tensor, _TENSOR_FIELDS[tensor.dtype])
    # TensorFlow drops trailing values that equal the one before, so a single zero may be missing.
    return float(numbers[0]) if len(numbers) == 1 else None if numbers else 0.0


def _varint(number: int) -> bytes:
    """Encode protobuf's variable-length integer; negative numbers as 64-bit two's complement."""
    number &= 0xFFFFFFFFFFFFFFFF
    digits = bytearray()
    while number > 0x7F:
        digits.append(number & 0x7F | 0x80)
        number >>= 7
    digits.append(number)
    return bytes(digits)
