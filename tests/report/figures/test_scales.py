"""The axis of success rates tells 98 from 99 %, and has a place for 0 and 100 %."""

import numpy as np
import pytest
from matplotlib.figure import Figure

from manyseeds.report.figures.scales import success_axis


def place(rates: list[float], **options: float) -> np.ndarray:
    """Where rates are drawn, 0 to 1 of a vertical axis."""
    axes = Figure().subplots()
    high = options.get("high", 100.0)
    success_axis(axes, "y", (0.0, high), options.get("best", high), 1000)
    return axes.transAxes.inverted().transform(axes.transData.transform([(0, rate) for rate in rates]))[:, 1]


def test_ten_times_fewer_failures_are_the_same_distance_everywhere() -> None:
    at = place([0, 90, 99, 99.9])
    assert np.diff(at) == pytest.approx(np.full(3, at[1] - at[0]))


def test_all_and_none_have_a_place_on_the_axis() -> None:
    none, half, every = place([0, 99.95, 100])
    assert 0 < none < half <= every == pytest.approx(1)


def test_rates_far_from_100_have_a_linear_axis() -> None:
    at = place([20, 40, 60], high=95.0, best=60.0)
    assert at[2] - at[1] == pytest.approx(at[1] - at[0])


def test_the_axis_ends_where_the_data_end() -> None:
    assert place([98], high=98.0)[0] > 0.9 and place([99.9], high=98.0)[0] > 1


@pytest.mark.parametrize("which", ["x", "y"])
@pytest.mark.parametrize("episodes", [1, 3, 50, 1000, 100_000])
@pytest.mark.parametrize("low", [0.0, 50.0, 96.0, 100.0])
def test_ticks_are_apart_and_100_is_one_of_them(which: str, episodes: int, low: float) -> None:
    axes = Figure().subplots()
    assert success_axis(axes, which, (low, 100.0), 100.0, episodes)
    axis = getattr(axes, f"{which}axis")
    labels = [text.get_text() for text in axis.get_ticklabels()]
    assert labels[-1] == "100" and len(set(labels)) == len(labels)
    low_end, high_end = getattr(axes, f"get_{which}lim")()
    assert np.isfinite([low_end, high_end]).all() and low_end < high_end
