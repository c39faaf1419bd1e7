"""The fields of TensorFlow's event messages that carry scalars, without TensorFlow or TensorBoard.

Field numbers from tensorflow/core/util/event.proto, framework/summary.proto and framework/tensor.proto.
Everything else in a message (images, histograms, graphs) is an unknown field to protobuf and is skipped.
"""

from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

_PACKAGE = "manyseeds.events"
_DOUBLE, _FLOAT, _INT64, _INT32, _BOOL, _STRING, _MESSAGE, _BYTES = 1, 2, 3, 5, 8, 9, 11, 12

# message: [(field, number, type, repeated, name of the message type), ...]
_MESSAGES: dict[str, list[tuple[str, int, int, bool, str]]] = {
    "Event": [
        ("wall_time", 1, _DOUBLE, False, ""),
        ("step", 2, _INT64, False, ""),
        ("file_version", 3, _STRING, False, ""),
        ("summary", 5, _MESSAGE, False, "Summary"),
        ("session_log", 7, _MESSAGE, False, "SessionLog"),
    ],
    "SessionLog": [("status", 1, _INT32, False, "")],
    "Summary": [("value", 1, _MESSAGE, True, "Value")],
    "Value": [
        ("tag", 1, _STRING, False, ""),
        ("simple_value", 2, _FLOAT, False, ""),
        ("tensor", 8, _MESSAGE, False, "Tensor"),
        ("metadata", 9, _MESSAGE, False, "Metadata"),
    ],
    "Metadata": [("plugin_data", 1, _MESSAGE, False, "PluginData")],
    "PluginData": [("plugin_name", 1, _STRING, False, "")],
    "Tensor": [
        ("dtype", 1, _INT32, False, ""),
        ("tensor_content", 4, _BYTES, False, ""),
        ("float_val", 5, _FLOAT, True, ""),
        ("double_val", 6, _DOUBLE, True, ""),
        ("int_val", 7, _INT32, True, ""),
        ("int64_val", 10, _INT64, True, ""),
        ("bool_val", 11, _BOOL, True, ""),
        ("half_val", 13, _INT32, True, ""),
    ],
}
# The members of a oneof say whether they are set, which a plain proto3 number does not.
_ONEOF = {
    "Event": ("what", ("file_version", "summary", "session_log")),
    "Value": ("value", ("simple_value", "tensor")),
}

SESSION_START = 1  # SessionLog.SessionStatus.START


def _message_classes() -> dict[str, Any]:
    file = descriptor_pb2.FileDescriptorProto(name="manyseeds/events.proto", package=_PACKAGE, syntax="proto3")
    for name, fields in _MESSAGES.items():
        message = file.message_type.add(name=name)
        oneof, members = _ONEOF.get(name, ("", ()))
        if oneof:
            message.oneof_decl.add(name=oneof)
        for field, number, kind, repeated, type_name in fields:
            entry = message.field.add(name=field, number=number, type=kind, label=3 if repeated else 1)
            if type_name:
                entry.type_name = f".{_PACKAGE}.{type_name}"
            if field in members:
                entry.oneof_index = 0
    pool = descriptor_pool.DescriptorPool()  # a separate pool, because TensorBoard may be imported too
    pool.Add(file)
    return {
        name: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{_PACKAGE}.{name}")) for name in _MESSAGES
    }


Event: Any = _message_classes()["Event"]
