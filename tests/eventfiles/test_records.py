"""The framing of event files: all valid records are read, all damage is reported with its position."""

import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tensorboard.compat.proto import event_pb2
from tensorboard.summary.writer.record_writer import RecordWriter, masked_crc32c

from helpers.event_files import curve, flip, payloads_of, scalar, write_events
from manyseeds.eventfiles import records
from manyseeds.eventfiles.checksum import masked_crcs
from manyseeds.eventfiles.records import Damage, RecordReader

EVENTS = [*curve({step: step / 7 for step in range(12)}), scalar("A longer/tag name", 3, 2.0)]


def payloads(path, block_bytes=4 << 20):
    reader = RecordReader(path, block_bytes)
    return [payload for groups in reader.blocks() for payload in payloads_of(groups)], reader


@pytest.fixture
def log(tmp_path):
    path = tmp_path / "events.out.tfevents.1"
    return path, write_events(path, EVENTS)


@settings(max_examples=30)
@given(length=st.integers(0, 300), count=st.integers(1, 50), seed=st.integers(0, 9))
def test_checksums_are_tensorboards_for_short_and_long_and_few_and_many_messages(length, count, seed):
    messages = np.random.default_rng(seed).integers(256, size=(length, count), dtype=np.uint8)
    expected = [masked_crc32c(column.tobytes()) for column in messages.T]
    assert masked_crcs(messages).tolist() == expected


@pytest.mark.parametrize("block_bytes", [1, 7, 16, 61, 1000])
def test_records_do_not_depend_on_the_block_size(log, block_bytes):
    path, _ = log
    read, reader = payloads(path, block_bytes)
    assert [event_pb2.Event.FromString(payload) for payload in read[1:]] == EVENTS
    assert (reader.records, reader.position, reader.damage) == (14, path.stat().st_size, [])


@pytest.mark.parametrize("block_bytes", [40, 4096])
def test_a_flipped_byte_loses_one_record_and_its_position_is_reported(log, block_bytes):
    path, offsets = log
    whole, _ = payloads(path)
    for record, within in ((3, 12), (5, 20), (7, -1)):
        flip(path, (offsets[record] if within > 0 else offsets[record + 1]) + within)
    read, reader = payloads(path, block_bytes)
    assert read == [payload for i, payload in enumerate(whole) if i not in (3, 5, 7)]
    assert reader.damage == [Damage("corrupt", offsets[i], offsets[i + 1] - offsets[i]) for i in (3, 5, 7)]
    assert reader.records == 11


@pytest.mark.parametrize("within", [0, 7, 8, 11])
@pytest.mark.parametrize("block_bytes", [40, 4096])
def test_a_corrupt_length_stops_and_counts_the_unread_bytes(log, within, block_bytes):
    path, offsets = log
    flip(path, offsets[4] + within)
    read, reader = payloads(path, block_bytes)
    assert len(read) == 4
    assert reader.damage == [Damage("unreadable", offsets[4], offsets[-1] - offsets[4])]


@settings(max_examples=25)
@given(
    lengths=st.lists(st.integers(0, 9), min_size=1, max_size=7),
    breaks=st.lists(st.integers(0, 3000), max_size=2),
    damage=st.none() | st.integers(0, 10**6),
    block_bytes=st.sampled_from([5000, 1 << 20]),
)
def test_following_repeated_lengths_gives_the_same_records_as_one_by_one(
    tmp_path_factory, lengths, breaks, damage, block_bytes
):
    """The fast path follows the pattern of lengths, which may change and be damaged anywhere."""
    path = tmp_path_factory.mktemp("log") / "events.out.tfevents.1"
    with path.open("wb") as stream:
        writer = RecordWriter(stream)
        for number in range(3000):
            writer.write(bytes([number % 256]) * (lengths[number % len(lengths)] + 10 * (number in breaks)))
    if damage is not None:
        flip(path, damage % path.stat().st_size)
    read, reader = payloads(path, block_bytes)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(records, "_STRETCH", 10**9)
        expected, plain = payloads(path, block_bytes)
    assert read == expected
    assert (reader.records, reader.position, reader.damage) == (plain.records, plain.position, plain.damage)


def test_a_truncated_last_record_is_dropped_and_its_position_is_reported(log):
    path, offsets = log
    content = path.read_bytes()
    for end in range(offsets[-2] + 1, offsets[-1]):
        path.write_bytes(content[:end])
        read, reader = payloads(path)
        assert len(read) == 13
        assert reader.damage == [Damage("truncated", offsets[-2], end - offsets[-2])]


def test_zeros_after_the_last_record_count_as_a_truncation(log):
    path, offsets = log
    with path.open("ab") as stream:
        stream.write(bytes(5000))
    read, reader = payloads(path, 100)
    assert len(read) == 14
    assert reader.damage == [Damage("truncated", offsets[-1], 5000)]


def test_zeros_in_the_middle_do_not_count_as_a_truncation(log):
    path, offsets = log
    path.write_bytes(path.read_bytes() + bytes(300) + b"x")
    assert payloads(path, 100)[1].damage == [Damage("unreadable", offsets[-1], 301)]


@settings(max_examples=60)
@given(changes=st.lists(st.tuples(st.integers(0, 10**6), st.integers(1, 255)), min_size=1, max_size=4))
def test_no_corruption_crashes_invents_a_record_or_loses_a_byte_silently(tmp_path_factory, changes):
    path = tmp_path_factory.mktemp("log") / "tfevents"
    size = write_events(path, EVENTS)[-1]
    whole, _ = payloads(path)
    for place, mask in changes:
        flip(path, place % size, mask)
    read, reader = payloads(path)
    remaining = iter(whole)
    assert all(payload in remaining for payload in read)  # in order, each one that was written
    assert sum(len(payload) + 16 for payload in read) + sum(damage.size for damage in reader.damage) == size


def test_random_bytes_are_never_a_record(tmp_path):
    path = tmp_path / "tfevents"
    path.write_bytes(random.Random(1).randbytes(10_000))
    assert payloads(path)[0] == []
