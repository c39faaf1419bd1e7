"""Breaches of the schema as sentences that a person can act on."""

import difflib
import math
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema
import yaml

SCHEMA_FILE = Path(__file__).with_name("config.schema.yaml")
SHORTHANDS = {"agent": "file", "task": "name"}
TYPE_NAMES = {
    "array": "a list",
    "boolean": "true or false",
    "integer": "a whole number",
    "null": "nothing",
    "number": "a number",
    "object": "a mapping of keys to values",
    "string": "text",
}


@cache
def load_schema() -> dict[str, Any]:
    """Return the JSON schema of config.yaml."""
    schema: dict[str, Any] = yaml.safe_load(SCHEMA_FILE.read_text(encoding="utf-8"))
    return schema


def breaches(fields: Mapping[str, Any]) -> list[str]:
    """Return one sentence for everything in `fields` that the schema forbids, in the order of the file."""
    infinite = [f"{dotted(path)} is {value}; it must be finite" for path, value in walk(fields) if not is_finite(value)]
    validator = jsonschema.Draft202012Validator(load_schema())
    errors = sorted(validator.iter_errors(fields), key=lambda error: [str(part) for part in error.path])
    return infinite or [sentence for error in errors for sentence in sentences(error)]


def fill_defaults(fields: dict[str, Any]) -> dict[str, Any]:
    """Return a copy of valid `fields` in which keys left out hold the schema's default values."""
    return _filled(fields, load_schema())


def section_breaches(name: str, section: Mapping[str, Any]) -> list[str]:
    """Return one sentence for everything wrong in a section, `train` or `trainer`, put together from several places."""
    schema = {"$ref": f"#/$defs/{name}", "$defs": load_schema()["$defs"]}
    errors = jsonschema.Draft202012Validator(schema).iter_errors(section)
    return [sentence for error in errors for sentence in sentences(error, prefix=(name,))]


def sentences(error: jsonschema.ValidationError, prefix: Sequence[str] = ()) -> Iterator[str]:
    """Yield what one error of the schema means, naming key, value and what is allowed."""
    path = [*prefix, *error.absolute_path]
    instance: Any = error.instance
    rule: Any = error.validator_value
    schema: Any = error.schema
    name, value, allowed = dotted(path), shown(instance), schema.get("description")
    if "propertyNames" in error.absolute_schema_path:
        yield f"{name} has the key {value}; it must be {allowed}"
    elif error.validator == "additionalProperties":
        known = list(schema["properties"])
        for key in instance:
            if key not in known:
                yield unknown_key(dotted([*path, key]), key, known)
    elif error.validator == "required":
        for key in rule:
            if key not in instance:
                yield f"{dotted([*path, key])} is missing"
    elif error.validator == "uniqueItems":
        repeated = [item for index, item in enumerate(instance) if item in instance[:index]]
        yield f"{name} has {shown(repeated[0])} more than once; it must be {allowed}"
    elif error.validator == "type":
        kinds = " or ".join(TYPE_NAMES[kind] for kind in ([rule] if isinstance(rule, str) else rule))
        yield f"{name} is {value}; it must be {allowed or kinds}"
    elif error.validator == "enum":
        yield f"{name} is {value}{did_you_mean(instance, rule)}; it must be {' or '.join(map(str, rule))}"
    elif error.validator in ("minimum", "maximum"):
        bound = "at least" if error.validator == "minimum" else "at most"
        kind = TYPE_NAMES["integer" if schema.get("type") == "integer" else "number"]
        yield f"{name} is {value}; it must be {allowed or f'{kind} of {bound} {rule}'}"
    elif error.validator == "exclusiveMinimum":
        yield f"{name} is {value}; it must be a number greater than {rule}"
    else:
        yield f"{name} is {value}; it must be {allowed or f'as the schema says: {error.message}'}"


def unknown_key(name: str, key: Any, known: Sequence[str]) -> str:
    """Say that a key is not known, with the likeliest spelling or all known ones."""
    return f"{name} is not a known key" + (did_you_mean(key, known) or f"; known are {', '.join(known)}")


def did_you_mean(word: Any, known: Sequence[Any]) -> str:
    """Return " (did you mean X?)" for the known word that is close to `word`, or nothing."""
    close = difflib.get_close_matches(str(word), [str(item) for item in known], n=1)
    return f" (did you mean {close[0]}?)" if close else ""


def dotted(path: Sequence[Any]) -> str:
    """Return a path of keys as a person writes it: `train.num_envs`, `seeds[2]`."""
    name = ""
    for part in path:
        name += f"[{part}]" if isinstance(part, int) else f".{part}" if name else str(part)
    return name or "the file"


def shown(value: Any) -> str:
    """Return a value short enough for a sentence."""
    text = "empty" if value is None else str(value).lower() if isinstance(value, bool) else repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def walk(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[tuple[Any, ...], Any]]:
    """Yield every leaf of nested mappings and lists with its path."""
    if isinstance(value, Mapping):
        for key, item in value.items():
            yield from walk(item, (*path, str(key)))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from walk(item, (*path, index))
    else:
        yield path, value


def is_finite(value: Any) -> bool:
    """Whether a leaf is anything but NaN or an infinity."""
    return not isinstance(value, float) or math.isfinite(value)


def _filled(value: Any, schema: Mapping[str, Any]) -> Any:
    while "$ref" in schema:
        schema = load_schema()["$defs"][schema["$ref"].rsplit("/", 1)[1]]
    if not isinstance(value, Mapping):
        return value
    properties = schema.get("properties", {})
    complete = {key: part["default"] for key, part in properties.items() if "default" in part} | dict(value)
    return {key: _filled(item, properties[key]) if key in properties else item for key, item in complete.items()}
