"""YAML as version 1.2 has it, which keeps names as they are written: `on`, `012` and `2026-01-01` are texts.

Version 1.1, which PyYAML reads otherwise, makes True, 10 and a date of them. Numbers that the two versions read
differently, such as 012 or 12:30, are refused, and so is all that JSON cannot hold.
"""

import json
import re
from collections.abc import Hashable
from pathlib import Path
from typing import Any

import yaml

from manyseeds.core.errors import UserError

LARGEST_FILE = 10_000_000
"""Bytes."""
MOST_VALUES = 200_000
"""Values of a file, those behind every alias counted. An alias of aliases of aliases could stand for billions."""


def read_yaml(path: str | Path) -> dict[str, Any]:
    """Read a YAML file that holds a mapping.

    Raises:
        UserError: when it cannot be read, or holds something else, a repeated key, or more than JSON can hold.
    """
    try:
        with Path(path).open("rb") as stream:
            content = stream.read(LARGEST_FILE + 1)
        if len(content) > LARGEST_FILE:
            raise UserError(f"{path} is too large; it must have at most {LARGEST_FILE:,} bytes")
        fields = yaml.load(content.decode("utf-8-sig"), Loader=_Loader)
        json.dumps(fields)
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise UserError(f"{path} is not UTF-8 text: byte {error.start} cannot be decoded") from error
    except RecursionError as error:
        raise UserError(f"{path} is nested too deeply to be read") from error
    except TypeError as error:  # of json
        what = str(error).removeprefix("Object of type ").removesuffix(" is not JSON serializable")
        raise UserError(
            f"{path} holds a value of the type {what}; values are numbers, texts, lists and keys"
        ) from error
    except (yaml.YAMLError, ValueError) as error:
        raise UserError(f"{path} is not valid YAML: {_problem(error)}") from error
    if not isinstance(fields, dict):
        raise UserError(f"{path} must hold keys and values, such as 'experiment: lift_object'")
    return fields


def parse_scalar(text: str) -> Any:
    """Return the number, truth value or text that `text` is in a YAML file."""
    try:
        value = yaml.load(text, Loader=_Loader)
    except (yaml.YAMLError, ValueError, RecursionError):
        return text
    return value if isinstance(value, int | float) else text


def _problem(error: Exception) -> str:
    mark = getattr(error, "problem_mark", None)
    problem = getattr(error, "problem", None) or str(error).splitlines()[0]
    return f"{problem} (line {mark.line + 1}, column {mark.column + 1})" if mark else problem


class _Loader(yaml.SafeLoader):
    """The core schema of YAML 1.2; see the module."""

    yaml_implicit_resolvers = {}  # noqa: RUF012

    def get_single_node(self) -> yaml.Node | None:
        node = super().get_single_node()
        if node is not None and _size(node, {}) > MOST_VALUES:
            raise yaml.constructor.ConstructorError(
                problem=f"with its aliases it holds more than {MOST_VALUES:,} values", problem_mark=node.start_mark
            )
        return node

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen: set[str] = set()
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode):
                raise yaml.constructor.ConstructorError(problem="a key must be a text", problem_mark=key.start_mark)
            if key.tag == "tag:yaml.org,2002:merge":
                continue
            if key.value in seen:
                raise yaml.constructor.ConstructorError(
                    problem=f"the key {key.value!r} appears twice", problem_mark=key.start_mark
                )
            seen.add(key.value)
            key.tag = "tag:yaml.org,2002:str"
        return super().construct_mapping(node, deep)


def _size(node: yaml.Node, known: dict[int, int]) -> int:
    """Return how many values a node stands for; an alias counts as what it stands for."""
    if known.get(id(node)) == 0:  # begun, and not done
        raise yaml.constructor.ConstructorError(
            problem="an alias stands within its own anchor", problem_mark=node.start_mark
        )
    if id(node) not in known:
        known[id(node)] = 0
        parts = node.value if isinstance(node, yaml.CollectionNode) else []
        inner = [part for pair in parts for part in pair] if isinstance(node, yaml.MappingNode) else parts
        known[id(node)] = 1 + sum(_size(part, known) for part in inner)
    return known[id(node)]


def _refused(loader: yaml.SafeLoader, node: yaml.ScalarNode) -> Any:
    raise yaml.constructor.ConstructorError(
        problem=f"{node.value} is a number to some programs and not to others; quote it, or write a plain number",
        problem_mark=node.start_mark,
    )


def _whole(loader: yaml.SafeLoader, node: yaml.ScalarNode) -> int:
    return int(node.value, 0)


for _tag, _pattern, _first in (
    ("bool", r"(?:true|True|TRUE|false|False|FALSE)\Z", "tTfF"),
    ("null", r"(?:~|null|Null|NULL|)\Z", ["~", "n", "N", ""]),
    ("int", r"(?:[-+]?(?:0|[1-9][0-9]*)|0o[0-7]+|0x[0-9a-fA-F]+)\Z", "-+0123456789"),
    (
        "float",
        r"(?:[-+]?(?:\.[0-9]+|(?:0|[1-9][0-9]*)(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))\Z",
        "-+0123456789.",
    ),
    (
        "refused",
        r"[-+]?(?:0[0-9_]+(?:\.[0-9_]*)?|[0-9][0-9_]*_[0-9_]*|[0-9]+(?::[0-5]?[0-9])+(?:\.[0-9]*)?)\Z",
        "-+0123456789",
    ),
    ("merge", r"<<\Z", "<"),
):
    _Loader.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", re.compile(_pattern), list(_first))
_Loader.add_constructor("tag:yaml.org,2002:refused", _refused)
_Loader.add_constructor("tag:yaml.org,2002:int", _whole)
