"""The axis of success rates: where some are near 100 %, failures are on a logarithmic scale."""

from typing import Any, Literal

import numpy as np
from matplotlib.axes import Axes

NEAR = 90.0
"""From this rate (%) on, differences are too small for a linear axis."""
# In the order in which they get a tick, while there is room.
_TICKS = (99, 90, 0, 99.9, 50, 99.99, 95, 99.5, 99.95, 80, 98, 99.8, 99.98, 70, 97, 98.5, 96, 60, 99.7, 40, 30, 20)


def success_axis(
    axes: Axes,
    which: Literal["x", "y"],
    drawn: tuple[float, float],
    best: float,
    episodes: float,
    room: float = 0.09,
) -> bool:
    """Scale the axis of a success rate in percent, and set its limits and ticks.

    Args:
        axes: the panel.
        which: the axis.
        drawn: the smallest and the largest rate or limit that must be seen.
        best: the largest rate of a seed; from `NEAR` on, the axis is logarithmic in the failures.
        episodes: how many a rate is of: 100 % is drawn where half an episode fails.
        room: the smallest distance of two ticks, as a share of the axis.

    Returns:
        Whether the axis is logarithmic.
    """
    axis: Any = getattr(axes, f"{which}axis")
    low, high = max(drawn[0], 0.0), min(drawn[1], 100.0)
    if best < NEAR:
        margin = 0.05 * max(high - low, 1.0)
        getattr(axes, f"set_{which}lim")(max(low - margin, -3), min(high + margin, 103))
        return False
    floor = 50 / episodes  # % of failures

    def up(rate: np.ndarray) -> np.ndarray:
        return -np.log10(np.maximum(100 - np.asarray(rate, float), floor) / 100)

    def down(place: np.ndarray) -> np.ndarray:
        return 100 - 100 * 10 ** -np.asarray(place, float)

    getattr(axes, f"set_{which}scale")("function", functions=(up, down))
    start, end, top = (float(up(np.array(rate))) for rate in (low, high, 100.0))
    start = max(0.0, min(start, top - 0.3))
    end = max(end, min(start + 0.3, top))
    span = end - start
    # 100 % is as far up as the axis goes, and it has room for a mark there.
    end = top if end + 0.05 * span >= top else end + 0.05 * span
    taken = [end] if end == top else []
    ticks = [100.0] * len(taken)
    for tick in _TICKS:
        place = float(up(np.array(tick)))
        if start - 1e-9 <= place <= end and all(abs(place - other) >= room * span for other in taken):
            taken.append(place)
            ticks.append(tick)
    ticks.sort()
    axis.set_ticks(ticks, [f"{tick:g}" for tick in ticks])
    axis.set_ticks([], minor=True)
    upper = 100.0 if end == top else float(down(np.array(end)))
    getattr(axes, f"set_{which}lim")(float(down(np.array(start - 0.04 * span))), upper)
    return True
