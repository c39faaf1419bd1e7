"""Variants: named overrides, where a list of values makes a grid."""

import copy
import itertools
import math
import re
from collections.abc import Iterator, Mapping
from typing import Any

from manyseeds.core.text import flatten

SECTIONS = ("train", "agent", "task")


def expand(name: str, sections: Mapping[str, Mapping[str, Any]]) -> Iterator[tuple[str, dict[str, dict[str, Any]]]]:
    """Yield every point of a variant's grid.

    Args:
        name: the variant's name in config.yaml.
        sections: overrides by section (`train`, `agent`, `task`); nested or with dotted keys. A list holds
            the values of a grid, at least one; a value that is itself a list stands as a list in the list.

    Yields:
        The name of the point, `<name>_<key>=<value>...` where there is a grid, and its overrides by section
        with dotted keys.
    """
    flat = _flat(sections)
    axes = [place for place, value in flat.items() if isinstance(value, list)]
    for values in itertools.product(*(flat[place] for place in axes)):
        point = flat | dict(zip(axes, values, strict=True))
        overrides: dict[str, dict[str, Any]] = {section: {} for section in SECTIONS}
        for (section, key), value in point.items():
            overrides[section][key] = value
        varied = [axis for axis in axes if len(flat[axis]) > 1]
        labels = [f"{_short(key, varied)}={_value_name(point[section, key])}" for section, key in varied]
        yield "_".join([name, *labels]), overrides


def count(sections: Mapping[str, Mapping[str, Any]]) -> int:
    """Return how many points a grid has; see `expand`."""
    return math.prod(len(value) for value in _flat(sections).values() if isinstance(value, list))


def _flat(sections: Mapping[str, Mapping[str, Any]]) -> dict[tuple[str, str], Any]:
    return {
        (section, key): value for section in SECTIONS for key, value in flatten(sections.get(section) or {}).items()
    }


def override(base: Mapping[str, Any], overrides: Mapping[str, Any]) -> dict[str, Any]:
    """Return a copy of nested `base` in which the dotted keys of `overrides` hold new values."""
    result = copy.deepcopy(dict(base))
    for dotted, value in overrides.items():
        *parents, last = dotted.split(".")
        place = result
        for parent in parents:
            if not isinstance(place.get(parent), dict):
                place[parent] = {}
            place = place[parent]
        place[last] = copy.deepcopy(value)
    return result


def _short(key: str, axes: list[tuple[str, str]]) -> str:
    """Return the last part of a key, or all of it where two axes end alike."""
    last = key.rsplit(".", 1)[-1]
    return last if sum(other.rsplit(".", 1)[-1] == last for _, other in axes) == 1 else key


def _value_name(value: Any) -> str:
    text = "x".join(str(item) for item in value) if isinstance(value, list) else str(value)
    return re.sub(r"[^A-Za-z0-9_.+-]", "_", text)
