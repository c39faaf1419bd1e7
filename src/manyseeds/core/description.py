"""What is said about a task to those who know neither torch nor the task: names, titles and units.

A task's description travels in config.json. Tables, figures and pages are made from it.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal


@dataclass(frozen=True)
class Start:
    """A column of episodes.csv that says where an episode starts or what it commands.

    Attributes:
        name: the column.
        title: what axes call it.
        unit: its unit, "" for none.
        names: what its numbers 0, 1, 2 and so on stand for; none where it is a quantity. Success is then shown for each
            of them, too.
    """

    name: str
    title: str
    unit: str = ""
    names: tuple[str, ...] = ()


@dataclass(frozen=True)
class Outcome:
    """A column of episodes.csv that says how an episode went.

    Attributes:
        name: the column.
        title: what tables and axes call it, without its unit.
        kind: "share" for yes (1) or no (0), of which rates are shown; "measure" for a number, empty where none is.
        meaning: the sentence that explains it in notes and captions.
        unit: of a measure, "" for none.
        better: which direction is better; "" where neither is.
        tag: the scalar it is read from, for an external trainer without an evaluation.
        format: how its numbers are written to episodes.csv.
        limit: the number of the task that axes mark, such as a tolerance; a key of `Description.numbers`.
    """

    name: str
    title: str
    kind: Literal["share", "measure"]
    meaning: str
    unit: str = ""
    better: Literal["higher", "lower", ""] = "higher"
    tag: str = ""
    format: str = ".6f"
    limit: str = ""


RETURN = Outcome("return", "Return", "measure", "sum of the rewards of an episode")
"""The last column of every episodes.csv, whatever the task."""


@dataclass(frozen=True)
class Map:
    """A picture of the workspace: two start columns, drawn against each other.

    Attributes:
        title: what the picture shows.
        across: the start column along the horizontal axis.
        up: the start column along the vertical axis.
        flip: whether the horizontal axis points left, as y does for a robot seen from behind.
    """

    title: str
    across: str
    up: str
    flip: bool = False


@dataclass(frozen=True)
class Description:
    """A task as tables and figures see it.

    Attributes:
        starts: columns that say where episodes start; two runs met the same episodes if they agree in them.
        outcomes: columns that say how episodes went. The first share is the success that figures show,
            the first measure the one that tables have room for.
        maps: pictures of the workspace in which failures are shown.
        episode_steps: control steps of an episode, for estimates of run time. Only a task of this package says it;
            others are asked for their numbers (`tasks.registry.describe`).
        summary: the task in one line.
        numbers: numbers of the task that figures and captions give, with their defaults. An experiment may change them.
        easier_starts: numbers of the task that are the share of training episodes with an easier start than any episode
            of the evaluation, and how these start: "start close to the goal".

    Raises:
        ValueError: for a column that is named twice, an outcome of an unknown kind, a map of something else than
            start columns, or a number that `numbers` lacks.
    """

    starts: tuple[Start, ...] = ()
    outcomes: tuple[Outcome, ...] = ()
    maps: tuple[Map, ...] = ()
    episode_steps: int = 250
    summary: str = ""
    numbers: Mapping[str, float] = field(default_factory=dict)
    easier_starts: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in (columns := self.columns):
            if columns.count(name) > 1:
                raise ValueError(f"the column {name!r} of episodes.csv is named twice")
        for outcome in self.outcomes:
            if outcome.kind not in ("share", "measure"):
                raise ValueError(
                    f"outcome {outcome.name!r} is of the kind {outcome.kind!r}; it must be share or measure"
                )
        starts = [start.name for start in self.starts]
        for axis in (axis for item in self.maps for axis in (item.across, item.up)):
            if axis not in starts:
                raise ValueError(f"a map shows {axis!r}; it must be a start column: {', '.join(starts)}")
        used = [*(outcome.limit for outcome in self.outcomes if outcome.limit), *self.easier_starts]
        if missing := [name for name in used if name not in self.numbers]:
            raise ValueError(f"the description uses the number {missing[0]!r}, which its numbers lack")

    @property
    def shares(self) -> tuple[Outcome, ...]:
        """The outcomes of which rates are shown."""
        return tuple(outcome for outcome in self.outcomes if outcome.kind == "share")

    @property
    def measures(self) -> tuple[Outcome, ...]:
        """The outcomes that are numbers."""
        return tuple(outcome for outcome in self.outcomes if outcome.kind == "measure")

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns of episodes.csv, in their order; an outcome with a tag is read from scalars instead."""
        starts = (start.name for start in self.starts)
        outcomes = (outcome.name for outcome in self.outcomes if not outcome.tag)
        return ("iteration", "episode", *starts, *outcomes, "return")

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values, as config.json holds them."""
        return asdict(self)

    @classmethod
    def from_dict(cls, fields: Mapping[str, Any]) -> "Description":
        """Return what `to_dict` was made of."""
        kinds = {"starts": Start, "outcomes": Outcome, "maps": Map}
        found: dict[str, Any] = {
            name: tuple(kind(**_with_tuples(item)) for item in fields.get(name, ())) for name, kind in kinds.items()
        }
        others = ("episode_steps", "summary", "numbers", "easier_starts")
        return cls(**found | {name: fields[name] for name in others if name in fields})


def _with_tuples(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return fields with tuples in place of JSON's lists, so that what is read equals what was written."""
    return {name: tuple(value) if isinstance(value, list) else value for name, value in fields.items()}
