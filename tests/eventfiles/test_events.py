"""Decoding events: every scalar bit for bit, in every encoding, and nothing else."""

import math
import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tensorboard.compat.proto import event_pb2, summary_pb2, tensor_pb2
from tensorboard.util import tensor_util

from helpers.event_files import groups_of, restart, scalar, version
from manyseeds.eventfiles.events import EventDecoder

STEPS = st.one_of(st.integers(0, 300), st.sampled_from([-1, 2**40, 2**63 - 1, -(2**63)]))
VALUES = st.one_of(st.floats(width=32), st.sampled_from([math.nan, math.inf, -math.inf, -0.0, 0.0, 1e-45]))
TAGS = st.sampled_from(["Loss/value", "Loss/other", "Loß/wert", 'a,"b"', "", "Train/mean_reward", "x" * 200])


def decode(events, decoder=None):
    """(tag, step, bits of the value) of every scalar, in order; and the restarts."""
    decoder = decoder or EventDecoder()
    scalars, restarts = decoder.decode(groups_of([event.SerializeToString() for event in events]))
    bits = scalars.value.view(np.uint32).tolist()
    names = [decoder.tags[number] for number in scalars.tag]
    return list(zip(names, scalars.step.tolist(), bits, strict=True)), restarts


def bits(value):
    return struct.unpack("<I", struct.pack("<f", value))[0]


def tensor_event(tag, tensor, plugin="scalars", step=1):
    entry = summary_pb2.Summary.Value(tag=tag, tensor=tensor)
    entry.metadata.plugin_data.plugin_name = plugin
    return event_pb2.Event(wall_time=1.0, step=step, summary=summary_pb2.Summary(value=[entry]))


@given(st.lists(st.tuples(TAGS, STEPS, VALUES), max_size=30))
def test_plain_scalars_keep_every_bit_and_their_order(rows):
    found, _ = decode([scalar(*row) for row in rows])
    assert found == [(tag, step, bits(value)) for tag, step, value in rows]


@given(st.lists(st.tuples(TAGS, STEPS, VALUES, st.integers(0, 4)), max_size=20))
def test_the_fast_path_and_protobuf_give_the_same(rows):
    """Events with fields added, doubled or left out decode as TensorBoard's own messages say."""
    events = []
    for tag, step, value, kind in rows:
        event = scalar(tag, step, value)
        if kind == 1:
            event.summary.value[0].node_name = "n"
        elif kind == 2:
            event.summary.value.add(tag="Second/one", simple_value=4.0)
        elif kind == 3:
            event.source_metadata.writer = "w"
        elif kind == 4:
            event.ClearField("wall_time")
        events.append(event)
    expected = [(v.tag, e.step, bits(v.simple_value)) for e in events for v in e.summary.value]
    assert decode(events)[0] == expected


def test_a_step_of_zero_may_be_written_or_left_out():
    left_out = scalar("Loss/value", 0, 1.5).SerializeToString()
    assert b"\x10\x00" not in left_out[9:11]
    written = left_out[:9] + b"\x10\x00" + left_out[9:]
    scalars, _ = EventDecoder().decode(groups_of([left_out, written, left_out, written]))
    assert scalars.step.tolist() == [0, 0, 0, 0]
    assert scalars.value.tolist() == [1.5] * 4


def test_thousands_of_tags_of_one_length():
    rows = [(f"Tag/{i:05d}", step, float(i)) for step in (1, 2) for i in range(3000)]
    assert decode([scalar(*row) for row in rows])[0] == [(tag, step, bits(value)) for tag, step, value in rows]


def test_tags_and_layouts_are_remembered_over_blocks_without_mixing():
    decoder = EventDecoder()
    decode([scalar("Loss/a", 1, 1.0)], decoder)
    found, _ = decode([scalar("Loss/b", 1, 2.0), scalar("Loss/a", 200, 3.0)], decoder)
    assert found == [("Loss/b", 1, bits(2.0)), ("Loss/a", 200, bits(3.0))]


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.float16, np.int32, np.int64, np.bool_])
@pytest.mark.parametrize("value", [0, 1])
def test_tensor_scalars_of_tensorflow_2_are_decoded(dtype, value):
    tensor = tensor_util.make_tensor_proto(np.array(value, dtype))
    assert decode([tensor_event("Loss/value", tensor, step=7)])[0] == [("Loss/value", 7, bits(float(value)))]


def test_tensor_scalars_with_their_bytes_in_the_content():
    content = tensor_pb2.TensorProto(dtype=1, tensor_content=struct.pack("<f", 0.1))
    assert decode([tensor_event("Loss/value", content)])[0] == [("Loss/value", 1, bits(0.1))]


def test_a_tensor_scalar_may_name_its_plugin_only_once():
    tensor = tensor_util.make_tensor_proto(np.float32(2.0))
    later = tensor_event("Loss/value", tensor, plugin="", step=2)
    assert [row[1] for row in decode([tensor_event("Loss/value", tensor), later])[0]] == [1, 2]


def test_a_double_beyond_float32_becomes_infinite():
    tensor = tensor_util.make_tensor_proto(np.float64(1e300))
    assert decode([tensor_event("Loss/value", tensor)])[0] == [("Loss/value", 1, bits(math.inf))]


def test_values_that_are_not_scalars_are_skipped():
    text = tensor_event("config/text", tensor_util.make_tensor_proto("words"), plugin="text")
    several = tensor_event("vector", tensor_util.make_tensor_proto(np.zeros(3, np.float32)))
    image = event_pb2.Event(wall_time=1.0)
    image.summary.value.add(tag="image").image.height = 3
    histogram = event_pb2.Event(wall_time=1.0)
    histogram.summary.value.add(tag="histogram").histo.num = 3
    assert decode([version(), text, several, image, histogram])[0] == []


def test_restarts_are_reported_at_their_record():
    found, restarts = decode([scalar("a", 1, 1.0), restart(1), scalar("a", 1, 2.0)])
    assert len(found) == 2
    assert restarts == [(1, 1)]


def test_a_payload_that_is_not_an_event_is_counted():
    decoder = EventDecoder()
    scalars, _ = decoder.decode(groups_of([b"\xff\xff\xff", scalar("a", 1, 1.0).SerializeToString()]))
    assert (decoder.undecodable, len(scalars.step)) == (1, 1)
