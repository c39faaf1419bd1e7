"""The axis of success rates: where some are near 100 %, failures are on a logarithmic scale."""

from typing import Any, Literal

import numpy as np
from matplotlib.axes import Axes

NEAR = 90.0
"""From this rate (%) on, differences are too small for a linear axis."""
# In the order in which they get a tick, while there is room.
_TICKS = (99, 90, 0, 99.9, 50, 99.99, 95, 99.5, 99.95, 80, 98, 99.8, 99.98, 70, 60, 40, 30, 20, 10)


def success_axis(
    axes: Axes, which: Literal["x", "y"], low: float, high: float, episodes: float, room: float = 0.09
) -> bool:
    """Scale the axis of a success rate in percent, and set its limits and ticks.

    Args:
        axes: the panel.
        which: the axis.
        low: the smallest rate that must be seen.
        high: the largest rate of a seed or a mean; from `NEAR` on, the axis is logarithmic in the failures.
        episodes: how many a rate is of: 100 % is drawn where half an episode fails.
        room: the smallest distance of two ticks, as a share of the axis.

    Returns:
        Whether the axis is logarithmic.
    """
    axis: Any = getattr(axes, f"{which}axis")
    if high < NEAR:
        span = max(high - low, 1.0)
        getattr(axes, f"set_{which}lim")(max(low - 0.05 * span, -3), min(high + 0.05 * span, 103))
        return False
    floor = 50 / episodes  # % of failures

    def up(rate: np.ndarray) -> np.ndarray:
        return -np.log10(np.maximum(100 - np.asarray(rate, float), floor) / 100)

    def down(place: np.ndarray) -> np.ndarray:
        return 100 - 100 * 10 ** -np.asarray(place, float)

    getattr(axes, f"set_{which}scale")("function", functions=(up, down))
    top = float(up(np.array(100.0)))
    start = max(0.0, min(float(up(np.array(max(low, 0.0)))), top - 0.3))
    span = top - start
    ends = down(np.array([start - 0.04 * span, top]))
    taken = [top]
    ticks = [100.0]
    for tick in _TICKS:
        place = float(up(np.array(tick)))
        if start - 1e-9 <= place and all(abs(place - other) >= room * span for other in taken):
            taken.append(place)
            ticks.append(tick)
    ticks.sort()
    axis.set_ticks(ticks, [f"{tick:g}" for tick in ticks])
    axis.set_ticks([], minor=True)
    getattr(axes, f"set_{which}lim")(float(ends[0]), 100.0)
    return True
