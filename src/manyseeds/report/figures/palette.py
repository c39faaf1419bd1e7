"""Colors, lines and markers of the variants, for figures and for the page of curves."""

import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

# Okabe and Ito (2008): distinct with all common kinds of color blindness. Neighbors differ in lightness, and each color
# has its own line style and marker, so that they stay distinct in grey.
COLORS = ("#0072B2", "#E69F00", "#000000", "#56B4E9", "#D55E00", "#CC79A7", "#009E73")
DASHES = ("", "5 1.5", "1 1", "6 1.5 1 1.5", "3 1 1 1 1 1", "3.5 3", "1 2.5")  # Stroke and gap, in line widths.
MARKERS = ("o", "s", "^", "D", "v", "P", "X")

GREY = "#767676"


@dataclass(frozen=True)
class Look:
    """How one variant is drawn everywhere."""

    color: str
    dashes: str
    marker: str

    @property
    def line(self) -> Any:
        """The line style as Matplotlib wants it."""
        return (0, tuple(map(float, self.dashes.split()))) if self.dashes else "-"

    @property
    def dash(self) -> str:
        """The line style as SVG wants it, for a line of 2.2 pixels."""
        return " ".join(f"{2.2 * float(length):.1f}" for length in self.dashes.split())


def looks(variants: list[str]) -> dict[str, Look]:
    """Give each variant its color, line and marker; from the eighth on, they come in other combinations."""
    cycle = zip(
        itertools.cycle(COLORS),
        itertools.chain.from_iterable(DASHES[turn:] + DASHES[:turn] for turn in itertools.cycle(range(7))),
        itertools.chain.from_iterable(MARKERS[turn:] + MARKERS[:turn] for turn in itertools.cycle(range(7))),
        strict=True,
    )
    return {variant: Look(*look) for variant, look in zip(variants, cycle, strict=False)}


def legend_color(looks: Mapping[str, Look], drawn: int) -> str:
    """The color of legend entries that are not of one variant: grey, or the variant's own where only one is drawn."""
    return GREY if drawn > 1 else next(iter(looks.values())).color
