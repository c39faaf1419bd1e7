"""Values, keys and times as people read them."""

import difflib
import math
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any


def now() -> str:
    """Return the time as run.json holds it, in UTC to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def duration(seconds: float) -> str:
    """Return seconds as h:mm:ss, or "-" when unknown."""
    if not math.isfinite(seconds):
        return "-"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02}:{rest:02}"


def shown(value: Any) -> str:
    """Return a value short enough for a sentence."""
    text = "empty" if value is None else str(value).lower() if isinstance(value, bool) else repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def did_you_mean(word: Any, known: Sequence[Any]) -> str:
    """Return " (did you mean X?)" for the known word that is close to `word`, or nothing."""
    close = difflib.get_close_matches(str(word), [str(item) for item in known], n=1)
    return f" (did you mean {close[0]}?)" if close else ""


def unknown_key(name: str, key: Any, known: Sequence[str]) -> str:
    """Say that a key is not known, with the likeliest spelling or all known ones."""
    return f"{name} is not a known key" + (did_you_mean(key, known) or f"; known are {', '.join(known)}")


def dotted(path: Sequence[Any]) -> str:
    """Return a path of keys as a person writes it: `train.num_envs`, `seeds[2]`."""
    name = ""
    for part in path:
        name += f"[{part}]" if isinstance(part, int) else f".{part}" if name else str(part)
    return name or "the file"


def flatten(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return nested mappings as one mapping with dotted keys."""
    flat: dict[str, Any] = {}
    for key, value in values.items():
        if isinstance(value, Mapping) and value:
            flat |= flatten(value, f"{prefix}{key}.")
        else:
            flat[f"{prefix}{key}"] = value
    return flat


def plain(content: Any) -> Any:
    """Return nested containers as dictionaries and lists only."""
    if isinstance(content, Mapping):
        return {key: plain(value) for key, value in content.items()}
    return [plain(item) for item in content] if isinstance(content, list | tuple) else content


def count_of(seeds: int) -> str:
    """So many seeds, in words."""
    return "1 seed" if seeds == 1 else f"{seeds} seeds"
