"""Keep secrets out of records and pages: values after names that say so, and passwords in addresses."""

import re
from typing import Any, TypeVar

T = TypeVar("T")

MASK = "***"
_NAME = r"[\w.-]*(?:api[_-]?key|token|secret|passw(?:or)?d|credential|private[_-]?key)[\w.-]*"
_GIVEN = re.compile(rf"(?i)(?<![\w.-])(-*{_NAME}[\"']?\s*[=:]\s*|--{_NAME}\s+)([\"']?)[^\s\"',;]+")
_FLAG = re.compile(rf"(?i)-*{_NAME}")
_ADDRESS = re.compile(r"(?i)\b([a-z][a-z0-9+.-]*://)[^\s/@]+@")


def masked(content: T) -> T:
    """Return nested containers with the values of secrets masked.

    A secret is what follows a name such as API_KEY, token or password: as the value of a key, behind `=` or `:`, or as
    the next word of a command line; and user and password in an address.
    """
    result: Any = _masked(content)
    return result


def _masked(content: Any) -> Any:
    if isinstance(content, dict):
        return {
            key: MASK if isinstance(value, str) and value and _FLAG.fullmatch(str(key)) else _masked(value)
            for key, value in content.items()
        }
    if isinstance(content, list | tuple):
        words = [_masked(word) for word in content]
        for place, word in enumerate(content[:-1]):
            if isinstance(word, str) and word.startswith("-") and _FLAG.fullmatch(word):
                words[place + 1] = MASK if isinstance(words[place + 1], str) else words[place + 1]
        return words
    return _text(content) if isinstance(content, str) else content


def _text(text: str) -> str:
    text = _ADDRESS.sub(rf"\1{MASK}@", text)
    return _GIVEN.sub(lambda found: f"{found[1]}{found[2]}{MASK}", text)
