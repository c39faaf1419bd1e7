"""What a race has decided: which variants were stopped, at which rung and in which place.

A race trains every variant to a rung (a number of iterations), compares them there, and stops those that are beaten.
`race_<rung>.json` in an experiment's folder holds a rung's decision, and those of the rungs before.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from manyseeds.core.description import RETURN, Description, Outcome
from manyseeds.core.errors import UserError
from manyseeds.core.files import read_object
from manyseeds.core.layout import decision_name

SCHEMA_VERSION = 1


@dataclass(frozen=True)
class Stop:
    """The end of a variant: after `iteration`, where it was in this `place` `of` so many."""

    iteration: int
    place: int
    of: int

    def words(self) -> str:
        """Say so."""
        return f"stopped at rung {self.iteration}, as {ordinal(self.place)} of {self.of}"


@dataclass(frozen=True)
class Standing:
    """A variant at a rung.

    Attributes:
        variant: its name.
        place: 1 for the best; variants that tie share a place.
        score: mean over its seeds of what decides; None where a seed has none.
        seeds: the number of each seed; None where its run diverged or no episode has one.
        stopped: whether it ends here.
    """

    variant: str
    place: int
    score: float | None
    seeds: Mapping[str, float | None]
    stopped: bool


@dataclass(frozen=True)
class Decision:
    """What a rung has decided.

    Attributes:
        rung: completed iterations.
        race: the settings of the race.
        by: the outcome that decides.
        standings: the variants that were still in the race, the best first.
        stopped: all variants that were stopped so far.
    """

    rung: int
    race: Mapping[str, Any]
    by: str
    standings: Sequence[Standing]
    stopped: Mapping[str, Stop]

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return {"schema": SCHEMA_VERSION, **asdict(self)}


def ordinal(number: int) -> str:
    """Return 1st, 2nd, 3rd, 4th, ..."""
    suffix = "th" if number % 100 in (11, 12, 13) else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{suffix}"


def deciding(description: Description, by: str | None) -> Outcome:
    """Return the outcome that decides a race.

    Args:
        description: the task's.
        by: its name; None for the first success rate, or the return where there is none.

    Raises:
        UserError: when the task has no such outcome, or nobody knows which direction of it is better.
    """
    known = {outcome.name: outcome for outcome in (*description.outcomes, RETURN)}
    if by is None:
        successes = [outcome for outcome in description.shares if outcome.better == "higher"]
        return successes[0] if successes else RETURN
    usable = [name for name, outcome in known.items() if outcome.better]
    if by not in usable:
        raise UserError(f"race.by is {by!r}; it must be {' or '.join(usable)}")
    return known[by]


def read_decision(path: Path) -> Decision:
    """Read what a rung has decided.

    Raises:
        UserError: when the file is missing or is not such a file.
    """
    content = read_object(path, str(path))
    try:
        if content["schema"] != SCHEMA_VERSION:
            raise UserError(f"{path} has schema {content['schema']}, this version reads {SCHEMA_VERSION}")
        return Decision(
            int(content["rung"]),
            content["race"],
            str(content["by"]),
            [Standing(**standing) for standing in content["standings"]],
            {str(variant): Stop(**stop) for variant, stop in content["stopped"].items()},
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise UserError(f"{path} is not a decision of a race; snakemake makes it again: remove it") from error


def stopped(folder: Path, rungs: Sequence[int]) -> Mapping[str, Stop]:
    """Return the variants that a race has stopped, by the last of these rungs; none without rungs.

    Raises:
        UserError: when that rung is not decided, or its decision cannot be read.
    """
    if not rungs:
        return {}
    path = folder / decision_name(rungs[-1])
    if not path.is_file():
        raise UserError(
            f"{path} is missing: who goes on from rung {rungs[-1]} is not decided yet; snakemake does it, or `manyseeds"
            f" race --config {folder / 'config.json'} --rung {rungs[-1]}`"
        )
    return read_decision(path).stopped


def stopped_so_far(folder: Path, rungs: Sequence[int]) -> Mapping[str, Stop]:
    """Return the variants that the rungs that are decided have stopped."""
    decided = [rung for rung in rungs if (folder / decision_name(rung)).is_file()]
    return stopped(folder, decided)
