"""Rows of a figure whose vertical axis lists variants: a lane for each seed, and one for what is over the seeds."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes

from manyseeds.analysis.data import Data
from manyseeds.report.figures import style

SUMMARY = 0.13
"""Height of the lane over seeds, in inch."""
GAP = 0.09
"""Between two variants, in inch."""
WIDEST = 1.2
"""Of a label, in inch; a longer one gets more lines."""
LINE = 0.115
"""Height of a line of text, in inch."""
NAMED = 0.125
"""Height of a seed's lane that has the seed's number on the axis, in inch."""


@dataclass(frozen=True)
class Rows:
    """Where everything is drawn, in inch from the top.

    Attributes:
        seeds: the lane of each seed, by variant and seed.
        summary: the lane over the seeds, by variant.
        pitch: distance of two seeds' lanes.
        ticks: where labels stand.
        labels: the variants; for one variant, its seeds.
        height: of all rows.
        borders: the middle of every gap.
    """

    seeds: dict[tuple[str, int], float]
    summary: dict[str, float]
    pitch: float
    ticks: tuple[float, ...]
    labels: tuple[str, ...]
    height: float
    borders: tuple[float, ...]

    def apply(self, axes: Axes) -> None:
        """Set the vertical axis of a panel."""
        axes.set_ylim(self.height, 0)
        axes.set_yticks(self.ticks, self.labels)
        axes.tick_params(axis="y", length=0)
        axes.grid(axis="y", visible=False)
        for border in self.borders:
            axes.axhline(border, color="#DDDDDD", linewidth=0.4)


def band_rows(labels: Mapping[str, str], lane: float, lanes: int) -> tuple[dict[str, float], Rows]:
    """Lay out a row per name, with a lane for each variant.

    Args:
        labels: what the axis calls each name; it may have several lines.
        lane: height of a lane, in inch.
        lanes: how many a row has.

    Returns:
        Where the lanes of each name begin, in inch from the top, and the rows.
    """
    top, places, ticks, borders = GAP / 2, {}, [], []
    for name, label in labels.items():
        height = max(lane * lanes, LINE * (1 + label.count("\n")))
        places[name] = top + (height - lane * lanes) / 2
        ticks.append(top + height / 2)
        top += height + GAP
        borders.append(top - GAP / 2)
    return places, Rows({}, {}, lane, tuple(ticks), tuple(labels.values()), top - GAP / 2, tuple(borders[:-1]))


def make_rows(
    data: Data, seeds: Mapping[str, Sequence[int]], *, block: float = 0.36, summary: str = "mean", least: bool = True
) -> Rows:
    """Lay out a row per variant.

    Args:
        data: the experiment.
        seeds: the seeds of each variant that is drawn.
        block: height of a variant's seeds together, in inch, where their numbers are not on the axis.
        summary: what the lane over seeds is called where there is one variant; "" leaves out the lane.
        least: whether one seed alone has no lane over seeds.
    """
    named = len(seeds) == 1 and len(next(iter(seeds.values()))) <= 20
    place = GAP / 2
    lanes: dict[tuple[str, int], float] = {}
    over: dict[str, float] = {}
    ticks: list[float] = []
    labels: list[str] = []
    borders: list[float] = []
    pitch = NAMED
    for variant, own in seeds.items():
        pitch = NAMED if named else min(0.09, block / len(own))
        start = place
        for seed in own:
            lanes[variant, seed] = place + pitch / 2
            place += pitch
            if named:
                ticks.append(lanes[variant, seed])
                labels.append(f"seed {seed}")
        if summary and not (least and len(own) == 1):
            over[variant] = place + SUMMARY / 2
            place += SUMMARY
            if named:
                ticks.append(over[variant])
                labels.append(summary)
        if not named:
            label = style.wrapped(data.label(variant), WIDEST)
            place = max(place, start + LINE * (1 + label.count("\n")))
            ticks.append((start + place) / 2)
            labels.append(label)
        place += GAP
        borders.append(place - GAP / 2)
    return Rows(lanes, over, pitch, tuple(ticks), tuple(labels), place - GAP / 2, tuple(borders[:-1]))
