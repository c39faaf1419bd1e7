"""Templates of command lines: words with placeholders.

A template is split into words first and its placeholders are filled afterwards, word by word. No shell reads it, so
a value is never more than (part of) one word, whatever characters it has.
"""

import json
import shlex
from collections.abc import Iterator, Mapping
from string import Formatter
from typing import Any, Literal

Spelling = Literal["json", "words", "python"]
"""How lists, truth values and null are spelled: `[64,64]`, as several words `64 64`, or `(64, 64)`."""


def split(template: str) -> list[str]:
    """Split a template into words as a shell would, and do nothing else that a shell does."""
    return shlex.split(template)


def fill(text: str, values: Mapping[str, Any], spelling: Spelling = "json") -> str:
    """Put values in the place of placeholders; `{{` and `}}` stand for braces."""
    return "".join(
        literal + ("" if name is None else spelled(values[name], spelling))
        for literal, name, _, _ in Formatter().parse(text)
    )


def fill_words(template: str, values: Mapping[str, Any], spelling: Spelling) -> list[str]:
    """Split a template and fill its words; a list is several words where the spelling is "words"."""
    words: list[str] = []
    for word in split(template):
        value = values.get(word[1:-1]) if word.startswith("{") else None
        if spelling == "words" and isinstance(value, list) and names(word) == [word[1:-1]]:
            words += [spelled(item, spelling) for item in value]
        else:
            words.append(fill(word, values, spelling))
    return words


def names(word: str) -> list[str]:
    """Return the placeholders of a word."""
    return [name for _, name, _, _ in Formatter().parse(word) if name is not None]


def spelled(value: Any, spelling: Spelling = "json") -> str:
    """Return a value as command lines know it."""
    if isinstance(value, str):
        return value
    if spelling == "json":
        literal = value is None or isinstance(value, bool | list)
        return json.dumps(value, separators=(",", ":")) if literal else str(value)
    return repr(_as_tuple(value))


def _as_tuple(value: Any) -> Any:
    return tuple(map(_as_tuple, value)) if isinstance(value, list) else value


def problems(text: str, known: tuple[str, ...], is_command: bool) -> Iterator[str]:
    """Yield what is wrong with a template.

    Args:
        text: the template.
        known: the placeholders that it may hold.
        is_command: whether it is split into words.
    """
    try:
        words = split(text) if is_command else [text]
        pieces = [piece for word in words for piece in Formatter().parse(word)]
    except ValueError as error:
        yield f"it is not a template: {str(error)[0].lower()}{str(error)[1:]} ('{{{{' and '}}}}' stand for braces)"
        return
    for _, name, form, conversion in pieces:
        if name is None:
            continue
        if name not in known or form or conversion:
            shown = f"{name}{f'!{conversion}' if conversion else ''}{f':{form}' if form else ''}"
            allowed = ", ".join(f"{{{other}}}" for other in known)
            yield f"it has the placeholder {{{shown}}}, and known are {allowed or 'none'}"
