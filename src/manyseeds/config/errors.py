"""What pydantic finds wrong, as sentences that name key, value and what is allowed."""

import math
import types
import typing
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Annotated, Any, Literal

from annotated_types import Ge, Gt, Le, Lt
from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

from manyseeds.config.fields import Allowed
from manyseeds.core.text import did_you_mean, dotted, shown, unknown_key

LARGEST = 2**63
Path = tuple[Any, ...]
Type = tuple[Any, Sequence[Any]]
"""An annotation and the metadata around it."""


def problems(model: type[BaseModel], values: Any, prefix: Path = (), name: Callable[[Path], str] = dotted) -> list[str]:
    """Return one sentence for everything in `values` that the model does not allow.

    Args:
        model: the model.
        values: a mapping, as a file holds it.
        prefix: the keys that lead to the mapping.
        name: makes the name of a key of its path.
    """
    infinite = [path for path, value in _leaves(values) if isinstance(value, float) and not math.isfinite(value)]
    if infinite:
        return [f"{name((*prefix, *path))} is {_at(values, path)}; it must be finite" for path in infinite]
    # No arithmetic of floats or of 64 bits takes them.
    large = [path for path, value in _leaves(values) if isinstance(value, int) and abs(value) >= LARGEST]
    if large:
        return [
            f"{name((*prefix, *path))} is {shown(_at(values, path))}; it must be less than {LARGEST}" for path in large
        ]
    texts = [path for path, value in _leaves(values) if isinstance(value, str) and "\0" in value]
    if texts:
        return [f"{name((*prefix, *path))} holds the character NUL, which no file or program takes" for path in texts]
    try:
        model.model_validate(values)
    except ValidationError as error:
        return sentences(error, model, values, prefix, name)
    return []


def sentences(
    error: ValidationError, model: type[BaseModel], values: Any, prefix: Path = (), name: Callable[[Path], str] = dotted
) -> list[str]:
    """Return one sentence for each key that an error is about; see `problems`."""
    found: dict[Path, str] = {}
    general: dict[Path, str] = {}  # a union gives several of them for one key
    for part in error.errors(include_url=False):
        kind, location = part["type"], part["loc"]
        is_key = bool(location) and location[-1] == "[key]"
        location = location[:-1] if is_key else location
        path = _path(values, location[:-1] if kind == "missing" else location)
        if kind == "missing":
            path = (*path, location[-1])
        label = name((*prefix, *path))
        inner, metadata = _type(model, path)
        if kind == "missing":
            found[path] = f"{label} is missing"
        elif kind in ("extra_forbidden", "invalid_key"):
            found[path] = unknown_key(label, path[-1], _keys(_type(model, path[:-1])[0]))
        elif is_key:
            keys, metadata = _plain(_key_type(_type(model, path[:-1])[0]))
            if _is_literal(keys):
                found[path] = unknown_key(label, path[-1], typing.get_args(keys))
            else:
                where = name((*prefix, *path[:-1]))
                found[path] = f"{where} has the key {shown(path[-1])}; it must be {_allowed(keys, metadata)}"
        elif kind == "repeated":
            found[path] = (
                f"{label} has {shown(part['ctx']['item'])} more than once; it must be {_allowed(inner, metadata)}"
            )
        else:
            value = _at(values, path)
            hint = did_you_mean(value, typing.get_args(inner)) if _is_literal(inner) else ""
            general.setdefault(path, f"{label} is {shown(value)}{hint}; it must be {_allowed(inner, metadata)}")
    paths = [*found, *general]
    for path, sentence in general.items():
        if not any(other[: len(path)] == path and (other != path or other in found) for other in paths):
            found[path] = sentence
    return list(found.values())


def _path(values: Any, location: Sequence[Any]) -> Path:
    """Return the keys of a location that are keys of the values; pydantic puts names of types between them."""
    path: list[Any] = []
    for part in location:
        if (isinstance(values, Mapping) and part in values) or (
            isinstance(values, list | tuple) and isinstance(part, int)
        ):
            values = values[part]
        elif isinstance(values, Mapping) and (key := _same_text(values, part)) is not None:
            path.append(key)
            break
        else:
            continue
        path.append(part)
    return tuple(path)


def _same_text(values: Mapping[Any, Any], part: Any) -> Any:
    return next((key for key in values if str(key) == str(part)), None)


def _is_literal(annotation: Any) -> bool:
    return bool(typing.get_origin(annotation) == Literal)


def _at(values: Any, path: Path) -> Any:
    for part in path:
        values = values[part]
    return values


def _leaves(value: Any, path: Path = ()) -> Iterator[tuple[Path, Any]]:
    if isinstance(value, Mapping):
        for key, item in value.items():
            yield from _leaves(item, (*path, key))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _leaves(item, (*path, index))
    else:
        yield path, value


def _type(model: type[BaseModel], path: Path) -> Type:
    """Return the type of the value at a path."""
    found: Type = (model, ())
    for part in path:
        found = _step(found[0], part)
    return found


def _step(annotation: Any, part: Any) -> Type:
    for option in _options(annotation):
        if isinstance(option, type) and issubclass(option, BaseModel):
            if field := option.model_fields.get(part):
                inner, metadata = _plain(field.annotation)
                return inner, [*metadata, *field.metadata]
        elif typing.get_origin(option) is dict:
            return _plain(typing.get_args(option)[1])
        elif typing.get_origin(option) in (tuple, list):
            return _plain(typing.get_args(option)[0])
    return Any, ()


def _options(annotation: Any) -> list[Any]:
    """Return the members of a union, or the type itself."""
    annotation, _ = _plain(annotation)
    if typing.get_origin(annotation) in (typing.Union, types.UnionType):
        return [option for member in typing.get_args(annotation) for option in _options(member)]
    return [annotation]


def _plain(annotation: Any) -> Type:
    """Take `Annotated` apart."""
    metadata: list[Any] = []
    while typing.get_origin(annotation) is Annotated:
        annotation, *more = typing.get_args(annotation)
        for item in more:
            metadata += [item, *item.metadata] if isinstance(item, FieldInfo) else [item]
    return annotation, metadata


def _keys(annotation: Any) -> list[str]:
    for option in _options(annotation):
        if isinstance(option, type) and issubclass(option, BaseModel):
            return list(option.model_fields)
    return []


def _key_type(annotation: Any) -> Any:
    for option in _options(annotation):
        if typing.get_origin(option) is dict:
            return typing.get_args(option)[0]
    return str


def _allowed(annotation: Any, metadata: Sequence[Any]) -> str:
    """Return what is allowed, in words."""
    for item in reversed(metadata):  # the field's own words come after those of its type
        if isinstance(item, Allowed):
            return item.text
    options = _options(annotation)
    texts = [_words(option, [*metadata, *more]) for member in options for option, more in [_plain(member)]]
    return " or ".join(dict.fromkeys(texts))


def _words(option: Any, metadata: Sequence[Any]) -> str:
    if option in (int, float):
        bounds = [
            f"{words} {getattr(item, attribute)}"
            for item in sorted(metadata, key=lambda item: isinstance(item, Le | Lt))  # the lower bound first
            for kind, words, attribute in (
                (Ge, "of at least", "ge"),
                (Gt, "greater than", "gt"),
                (Le, "at most", "le"),
                (Lt, "less than", "lt"),
            )
            if isinstance(item, kind)
        ]
        return " ".join(["a whole number" if option is int else "a number", " and ".join(bounds)]).rstrip()
    origin = typing.get_origin(option) or option
    if origin is Literal:
        return " or ".join(map(str, typing.get_args(option)))
    names = {bool: "true or false", str: "text", tuple: "a list", list: "a list", type(None): "nothing"}
    return names.get(origin, "a mapping of keys to values")
