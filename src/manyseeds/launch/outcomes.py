"""What the evaluation of an external trainer leaves: outcomes of each episode, or numbers of all of them."""

import ast
import csv
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from manyseeds.config.external import COLUMNS, Evaluation
from manyseeds.core.errors import UserError
from manyseeds.core.files import parse_json

# A rate that was computed in single precision, or printed with six digits, times a million episodes.
NEAR = 1e-6


@dataclass(frozen=True)
class Outcomes:
    """The outcomes of one checkpoint.

    Attributes:
        success: 0 or 1 for each episode; empty where only `successes` is known, or there is no success.
        returns: sum of the rewards of each episode; empty where only `mean_return` is known, or none.
        successes: how many episodes were a success; None where there is no success.
        mean_return: mean over the episodes; None where there is none.
    """

    success: tuple[int, ...]
    returns: tuple[float, ...]
    successes: int | None
    mean_return: float | None

    @property
    def by_episode(self) -> bool:
        """Whether each episode's outcome is known."""
        return bool(self.success or self.returns)


def read_file(path: Path, evaluation: Evaluation, episodes: int) -> Outcomes:
    """Read what an evaluation left in a file.

    Args:
        path: a .csv or .json file.
        evaluation: says what its columns are called.
        episodes: how many it must be of.

    Raises:
        UserError: when it cannot be read, or holds something else than it should.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path} cannot be read: {getattr(error, 'strerror', None) or 'it is not UTF-8'}") from error
    if path.suffix == ".csv":
        return _outcomes(_of_csv(text, path), str(path), evaluation, episodes)
    try:
        content = parse_json(text)
    except ValueError as error:
        raise UserError(f"{path} is not valid JSON: {error}") from error
    return _outcomes(_of_json(content, str(path)), str(path), evaluation, episodes)


def read_printed(lines: Sequence[str], evaluation: Evaluation, episodes: int, where: str) -> Outcomes:
    """Read what an evaluation printed: the last line with `evaluation.printed` in it.

    Args:
        lines: its output.
        evaluation: says what its names are called.
        episodes: how many it must be of.
        where: what messages call the output.

    Raises:
        UserError: when there is no such line, or it holds something else than it should.
    """
    found = [line.partition(evaluation.printed)[2] for line in lines if evaluation.printed in line]
    if not found:
        raise UserError(f"{where}: no line has {evaluation.printed!r} in it (trainer.evaluate.printed)")
    text = found[-1].strip()
    try:
        content = parse_json(text)
    except ValueError:
        try:
            content = ast.literal_eval(text)
        except (ValueError, SyntaxError, RecursionError, MemoryError) as error:
            raise UserError(
                f"{where}: what follows {evaluation.printed!r} is {text[:80]!r}; it must be a JSON object or a Python"
                " dict of numbers"
            ) from error
    return _outcomes(_of_json(content, where), where, evaluation, episodes)


def _of_csv(text: str, path: Path) -> dict[str, list[Any]]:
    rows = list(csv.reader(text.splitlines()))
    if not rows:
        raise UserError(f"{path} is empty; its first line must name its columns")
    names, *lines = ([cell.strip() for cell in row] for row in rows if row)
    for place, line in enumerate(lines, start=2):
        if len(line) != len(names):
            raise UserError(f"{path}: line {place} has {len(line)} fields, and the first line names {len(names)}")
    return {name: [line[column] for line in lines] for column, name in enumerate(names)}


def _of_json(content: Any, where: str) -> dict[str, list[Any]]:
    """Return the columns of a list of objects, an object of lists or an object of numbers."""
    if isinstance(content, list) and all(isinstance(row, Mapping) for row in content):
        names = list(dict.fromkeys(str(name) for row in content for name in row))
        return {name: [row.get(name, "") for row in content] for name in names}
    if isinstance(content, Mapping):
        return {str(name): value if isinstance(value, list) else [value] for name, value in content.items()}
    raise UserError(f"{where} must hold a list with an object for each episode, or an object of lists or numbers")


def _outcomes(columns: Mapping[str, list[Any]], where: str, evaluation: Evaluation, episodes: int) -> Outcomes:
    names = {name: evaluation.column(name) for name in COLUMNS}
    has = {name: bool(called) and called in columns for name, called in names.items()}
    if has["episodes"] and not has["success"]:
        return _of_all(columns, where, names, has, episodes)
    needed = [names[name] for name in ("success", "return") if names[name] and not has[name]]
    if needed:
        there = ", ".join(columns) or "none"
        raise UserError(
            f"{where}: column {needed[0]!r} is missing; it has {there} (trainer.evaluate.columns says what the columns"
            " are called)"
        )
    lengths = {name: len(columns[names[name]]) for name in ("success", "return") if names[name]}
    for length in lengths.values():
        if length != episodes:
            raise UserError(
                f"{where} has {length} episode{'' if length == 1 else 's'}; evaluate.episodes is {episodes}, and so"
                " many there must be"
            )
    success = tuple(
        _flag(value, f"{where}: episode {place}: {names['success']}")
        for place, value in enumerate(columns[names["success"]] if names["success"] else ())
    )
    returns = tuple(
        _number(value, f"{where}: episode {place}: {names['return']}")
        for place, value in enumerate(columns[names["return"]] if names["return"] else ())
    )
    mean = math.fsum(returns) / len(returns) if returns else None
    return Outcomes(success, returns, sum(success) if success else None, mean)


def _of_all(
    columns: Mapping[str, list[Any]], where: str, names: Mapping[str, str], has: Mapping[str, bool], episodes: int
) -> Outcomes:
    """Read the numbers of all episodes together."""

    def one(name: str) -> float:
        values = columns[names[name]]
        if len(values) != 1:
            raise UserError(f"{where}: {names[name]} has {len(values)} values; it must be one, of all episodes")
        return _number(values[0], f"{where}: {names[name]}")

    count = one("episodes")
    if count != episodes:
        raise UserError(
            f"{where}: {names['episodes']} is {count:g}; evaluate.episodes is {episodes}, and so many there must be"
        )
    successes = None
    if names["success"]:
        if not has["successes"] and not has["success_rate"]:
            raise UserError(
                f"{where}: with {names['episodes']} it needs {names['successes']!r} or {names['success_rate']!r}; it"
                f" has {', '.join(columns)} (trainer.evaluate.columns says what the columns are called)"
            )
        successes = _successes(
            one("successes") if has["successes"] else one("success_rate") * episodes,
            episodes,
            f"{where}: {names['successes' if has['successes'] else 'success_rate']}",
            NEAR * episodes if has["success_rate"] and not has["successes"] else 0.0,
        )
    return Outcomes((), (), successes, one("return") if has["return"] else None)


def _successes(number: float, episodes: int, where: str, near: float) -> int:
    whole = round(number)
    if not 0 <= whole <= episodes or abs(number - whole) > near:
        raise UserError(f"{where} makes {number:.6g} successes; it must be a whole number from 0 to {episodes}")
    return whole


def _flag(value: Any, where: str) -> int:
    text = str(value).strip().lower()
    if text in ("true", "false"):
        return int(text == "true")
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if number not in (0, 1):
        raise UserError(f"{where} is {str(value)[:40]!r}; it must be 0 or 1")
    return int(number)


def _number(value: Any, where: str) -> float:
    try:
        number = math.nan if isinstance(value, bool) else float(value)
    except (TypeError, ValueError, OverflowError):
        number = math.nan
    if not math.isfinite(number):
        raise UserError(f"{where} is {str(value)[:40]!r}; it must be a finite number")
    return number
