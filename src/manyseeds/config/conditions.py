"""The conditions under which a policy plays the same episodes again: `evaluate.factors`, one at a time and together."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

NOMINAL = "nominal"
"""The condition of the evaluation's own numbers."""
ALL = "all"
"""The condition in which every factor has its last level."""


@dataclass(frozen=True)
class Condition:
    """Numbers of the task under which episodes are played.

    Attributes:
        name: what tables call it.
        factor: the number that it changes; "" where it changes none or all.
        value: the level of the factor; None where `factor` is "".
        overrides: the numbers that it changes, over those of the evaluation.
    """

    name: str
    factor: str = ""
    value: Any = None
    overrides: Mapping[str, Any] = field(default_factory=dict)


def conditions(factors: Mapping[str, Sequence[Any]]) -> list[Condition]:
    """Return the nominal condition, one for each level of each factor, and the last levels of all factors together.

    Args:
        factors: the levels of each factor; none for the nominal condition alone. One factor makes no `all`.
    """
    return [Condition(NOMINAL), *_one_at_a_time(factors), *_together(factors)]


def _one_at_a_time(factors: Mapping[str, Sequence[Any]]) -> Iterator[Condition]:
    for factor, levels in factors.items():
        for level in levels:
            yield Condition(f"{factor} = {level_text(level)}", factor, level, {factor: level})


def _together(factors: Mapping[str, Sequence[Any]]) -> Iterator[Condition]:
    if len(factors) > 1:
        yield Condition(ALL, overrides={factor: levels[-1] for factor, levels in factors.items()})


def level_text(level: Any) -> str:
    """Return a level as people write it: 2, true, 0.5 to 1; a range of one number is that number."""
    if isinstance(level, list | tuple):
        numbers = list(map(level_text, level))
        is_range = len(numbers) == 2
        return numbers[0] if is_range and numbers[0] == numbers[1] else (" to " if is_range else ", ").join(numbers)
    if isinstance(level, bool):
        return str(level).lower()
    return str(level).removesuffix(".0")
