"""Variant and seed in the name of a run's folder: by a pattern that the user gives, or guessed."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import PurePath
from string import Formatter

from manyseeds.core.errors import UserError

STAMP = (
    r"(?:\d{4}-\d\d-\d\d[_T -]\d\d[-:]\d\d[-:]\d\d"  # Isaac Lab, mjlab: 2026-01-31_10-00-00
    r"|[A-Z][a-z]{2}\d\d_\d\d-\d\d-\d\d"  # legged_gym: Jan31_10-00-00
    r"|\d\d(?:-\d\d){3,5}|\d{8}[-_T]?\d{6}|\d{10})"  # rl_games, compact, seconds since 1970
)
PLACEHOLDERS = {"variant": "[^/]+?", "seed": r"\d+", "stamp": STAMP, "any": "[^/]*?"}
"""What --name may hold, and what each stands for."""
_EDGE = r"(?:(?<=[_/. -])|^)", r"(?=[_/. -]|$)"
_SEED = re.compile(rf"{_EDGE[0]}(?:seed|s)[_=-]?(\d+){_EDGE[1]}", re.IGNORECASE)
_CLEANRL = re.compile(r"__(\d+)__\d{10}$")
"""ENVIRONMENT__SCRIPT__SEED__TIME"""
_NUMBER = re.compile(r"[_-](\d+)$")
_NOT_A_NAME = {"summaries", "tb", "tensorboard", "tb_logs", "log", "logs", "events", "runs"}
"""Folders within or above runs that programs call so, whatever the run is."""


@dataclass(frozen=True)
class Name:
    """What the name of a run tells; None where it does not.

    Attributes:
        variant: the variant.
        seed: the seed.
        number: a number at the end that may be the seed.
    """

    variant: str | None
    seed: int | None = None
    number: int | None = None


def pattern_of(template: str) -> re.Pattern[str]:
    """Turn what --name is given into a pattern of a path's end.

    Raises:
        UserError: when it is not a name with {variant} or {seed}, each at most once.
    """
    parts, seen = [], []
    try:
        fields = list(Formatter().parse(template))
    except ValueError as error:
        raise UserError(f"--name {template}: {error}") from error
    for literal, field, form, conversion in fields:
        parts.append(re.escape(literal))
        if field is None:
            continue
        if field not in PLACEHOLDERS or form or conversion:
            known = ", ".join(f"{{{name}}}" for name in PLACEHOLDERS)
            raise UserError(f"--name {template}: {{{field}}} is unknown; known are {known}")
        if field in seen and field != "any":
            raise UserError(f"--name {template}: {{{field}}} may stand there once")
        seen.append(field)
        named = f"?P<{field}>" if field in ("variant", "seed") else "?:"
        parts.append(f"({named}{PLACEHOLDERS[field]})")
    if not {"variant", "seed"} & set(seen):
        raise UserError(f"--name {template}: it must hold {{variant}} or {{seed}}, or both")
    return re.compile(f"(?:.*/)?{''.join(parts)}")


def matched(pattern: re.Pattern[str], path: PurePath, template: str) -> Name:
    """Read a name by a pattern.

    Args:
        pattern: from `pattern_of`.
        path: of the run.
        template: for the message.

    Raises:
        UserError: when the name is another one.
    """
    found = pattern.fullmatch(path.as_posix())
    if found is None:
        raise UserError(f"{path}: the name does not fit --name {template!r}; --exclude leaves a run out")
    groups = found.groupdict()
    return Name(groups.get("variant"), None if groups.get("seed") is None else int(groups["seed"]))


def guessed(name: str) -> Name:
    """Guess what a name tells: times are left out, `seed3`, `seed_3`, `s3` and CleanRL's third part are seeds.

    Args:
        name: the path of the run below the folder that was given, with '/'.
    """
    text, seed = name, None
    if found := _CLEANRL.search(text):
        text, seed = text[: found.start()], int(found[1])
    text = re.sub(f"{_EDGE[0]}{STAMP}{_EDGE[1]}", "", text)
    if found := _SEED.search(text):
        text, seed = text[: found.start()] + text[found.end() :], int(found[1])
    variant = "/".join(_parts(text))
    if seed is None and (found := _NUMBER.search(variant)):
        return Name(variant, None, int(found[1]))
    return Name(variant or None, seed)


def without_number(variant: str) -> str:
    """Return a name without the number at its end."""
    return _NUMBER.sub("", variant)


def _parts(text: str) -> Iterator[str]:
    for part in text.split("/"):
        clean = re.sub(r"([_. -])[_. -]+", r"\1", part).strip("_. -")
        if clean and clean not in _NOT_A_NAME:
            yield clean


def folder_name(variant: str) -> str:
    """Return a variant's name as a folder may have it."""
    clean = re.sub(r"[^A-Za-z0-9_.=+-]+", "_", variant).strip("._") or "variant"
    # Next to the variants' folders lie files and figures/.
    return f"{clean}_" if clean == "figures" else clean
