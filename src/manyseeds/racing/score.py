"""How a run did at a rung: `rung_<iteration>.json` in its folder."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from manyseeds.config import Experiment
from manyseeds.config.settings import RaceSettings
from manyseeds.core.errors import UserError
from manyseeds.core.files import read_object

SCHEMA_VERSION = 1


@dataclass(frozen=True)
class Score:
    """A run at a rung.

    Attributes:
        rung: completed iterations.
        end: "played", "diverged" (training did not get here, or the physics of its episodes was not finite), or
            "stopped" (the variant was, at an earlier rung).
        played: what episodes there are, `episodes_of`.
        outcomes: of the episodes, by name: the share of them, or the mean over those that have a number (None without
            any); empty where they were not played.
    """

    rung: int
    end: Literal["played", "diverged", "stopped"]
    played: Mapping[str, Any]
    outcomes: Mapping[str, float | None]

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return {"schema": SCHEMA_VERSION, **asdict(self)}


def race_of(experiment: Experiment, rung: int) -> RaceSettings:
    """Return the race of an experiment.

    Raises:
        UserError: when there is none, or it has no such rung.
    """
    race = experiment.race
    if race is None:
        raise UserError(f"experiment {experiment.experiment} has no race; `race` in its config makes one")
    if rung not in race.rungs:
        raise UserError(f"--rung is {rung}; it must be {' or '.join(map(str, race.rungs))}")
    return race


def episodes_of(experiment: Experiment, race: RaceSettings) -> dict[str, Any]:
    """Return what decides the episodes of a race: how many, their seed, and the numbers that evaluation changes."""
    return {"episodes": race.episodes, "seed": race.seed, "overrides": experiment.evaluate.overrides}


def read_score(path: Path) -> Score:
    """Read how a run did.

    Raises:
        UserError: when the file is missing or is not such a file.
    """
    content = read_object(path, str(path))
    try:
        if content.pop("schema") != SCHEMA_VERSION:
            raise ValueError("another schema")
        return Score(**content)
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(f"{path} is not the score of a run at a rung; snakemake makes it again: remove it") from error
