"""How success is distributed over seeds and episodes, and how soon it came."""

import itertools
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from manyseeds import statistics
from manyseeds.analysis.data import Data
from manyseeds.core.description import Outcome
from manyseeds.report.figures import captions, palette, style

COLUMNS = 3
"""The most panels side by side."""
WIDE = 30
"""An axis is logarithmic where the values span at least this factor."""
THRESHOLDS = (0.5, 0.75, 0.9)
OPEN: dict[str, Any] = {"marker": "^", "markerfacecolor": "white", "markersize": 4}


def performance_profile(data: Data) -> tuple[Figure, str]:
    """Share of seeds above a success rate, and share of episodes up to a value of each measure."""
    measures = data.folder.description.measures if data.episodes else ()
    panels = 1 + len(measures)
    columns, rows = min(panels, COLUMNS), -(-panels // COLUMNS)
    width = style.TWO_COLUMNS if columns > 1 else style.ONE_COLUMN
    figure, grid = style.new_figure(width, 2.5 * rows, rows, columns)
    if missing := captions.no_success(data):
        return figure, style.nothing(grid, missing)
    seeds = captions.seeds_in(data, data.final)
    success = data.successes[0]
    for axes, measure in itertools.zip_longest(grid.flat, (None, *measures)):
        if axes is grid[0, 0]:
            _profiles(axes, data, success, list(seeds))
        elif measure is None:
            axes.set_axis_off()
        else:
            _distributions(axes, data, measure, list(seeds))
    most = max(map(len, seeds.values()))
    style.legend(figure, style.curve_handles(data.variants, most, band="95 % interval"))
    first, place = f"{success.title.lower()}", "Left" if measures else "Shown"
    band = ", with the pointwise 95 % interval over seeds (Clopper and Pearson)" if most > 1 else ""
    drawn = captions.interval("bold: mean over seeds; band: pointwise 95 % t interval over seeds", seeds)
    others = (
        "Others: the share of episodes up to a value; an episode without a value counts as above all; thin: each "
        f"seed; {drawn} "
    )
    return figure, (
        f"{captions.meaning(data, [success])} {place}: performance profile, the share of seeds whose success rate "
        f"({first}) is above τ{band}. "
        + (others if measures else "")
        + captions.counts(data, seeds)
        + captions.unfinished(data)
    )


def _profiles(axes: Axes, data: Data, success: Outcome, variants: list[str]) -> None:
    for variant in variants:
        _profile(axes, data, variant, success)
    # A decade below the worst seed, so that steps near 100 % can be told apart.
    start = 10 * np.floor(10 * data.final[success.name].min() - 1)
    axes.set(xlabel=f"success rate τ (%, {success.title.lower()})", ylabel="seeds above τ (%)")
    axes.set_xlim(max(0, start), 100)
    axes.set_ylim(-3, 103)


def _profile(axes: Axes, data: Data, variant: str, success: Outcome) -> None:
    look = palette.looks(data.variants)[variant]
    scores = data.final.loc[data.final["variant"] == variant, success.name].dropna().to_numpy()
    thresholds = np.linspace(0, 1, 1001)
    share, low, high = statistics.performance_profile(scores, thresholds)
    axes.fill_between(100 * thresholds, 100 * low, 100 * high, step="post", color=look.color, **style.BAND)
    axes.step(100 * thresholds, 100 * share, where="post", color=look.color, linestyle=look.line)


def _distributions(axes: Axes, data: Data, measure: Outcome, variants: list[str]) -> None:
    values = {
        variant: [table[measure.name].to_numpy(float) for table in data.final_episodes(variant).values()]
        for variant in variants
    }
    every = np.concatenate([own for seeds in values.values() for own in seeds])
    every = every[np.isfinite(every)]
    if not every.size:
        return style.annotate(axes, f"No episode has a number in {measure.name}.")
    low, high = np.quantile(every, (0.005, 0.995))  # A few episodes far away must not decide the axis.
    if low == high:
        low, high = low - 0.5, high + 0.5
    logarithmic = low > 0 and high / low > WIDE
    points = np.geomspace(low, high, 200) if logarithmic else np.linspace(low, high, 200)
    for variant, seeds in values.items():
        look = palette.looks(data.variants)[variant]
        # An episode without a number sorts to the end, above every value.
        shares = [np.searchsorted(np.sort(own), points, side="right") / own.size for own in seeds]
        for share in shares:
            axes.plot(points, 100 * share, color=look.color, **style.SEED_LINE)
        mean, *limits = statistics.t_interval(np.stack(shares))
        lower, upper = np.clip(limits, 0, 1)
        axes.fill_between(points, 100 * lower, 100 * upper, color=look.color, **style.BAND)
        axes.plot(points, 100 * mean, color=look.color, linestyle=look.line)
    axes.set(xlabel=captions.label(measure), ylabel="episodes up to there (%)", ylim=(-3, 103))
    if logarithmic:
        axes.set_xscale("log")
    return None


def time_to_threshold(data: Data) -> tuple[Figure, str]:
    """Samples and wall-clock until the checkpoints stay at a success rate."""
    figure, grid = style.new_figure(style.TWO_COLUMNS, 2.5, 1, 2)
    if missing := captions.no_success(data) or ("" if data.episodes else captions.no_episodes(data)):
        return figure, style.nothing(grid, missing)
    left, right = grid[0]
    never = _panel(left, data, by_clock=False)
    left.set_ylabel(data.sample_axis[1])
    if any(data.hours(run) is not None for run in data.episodes):
        _panel(right, data, by_clock=True)
        right.set_ylabel("minutes of training")
    else:
        style.annotate(right, "No run logs its collection and learning time.")
    handles = [
        Line2D([], [], linestyle="none", color=look.color, marker=look.marker, label=variant)
        for variant, look in palette.looks(data.variants).items()
    ]
    if never:
        handles.append(Line2D([], [], linestyle="none", **OPEN, color=palette.GREY, label="not there by the end"))
    if len(handles) > 1:
        style.legend(figure, handles)
    seeds = captions.seeds_in(data, data.rates)
    several = max(map(len, seeds.values())) > 1
    return figure, (
        "Training until the success rate of the checkpoints stays at or above 50, 75 and 90 %; known to the distance "
        f"between two checkpoints. {captions.meaning(data, data.successes[:1])} Filled: each seed; "
        + ("bar: median seed, where at least half of the seeds got there; " if several else "")
        + "open triangle: a seed that did not get there, at the end of its training. "
        + (f"Not there by the end: {never}. " if never else "Every seed got there. ")
        + captions.counts(data, seeds)
    )


def _panel(axes: Axes, data: Data, *, by_clock: bool) -> str:
    """Draw one panel; returns which seeds did not get to which threshold."""
    seeds = captions.seeds_in(data, data.rates)
    width = 0.8 / len(seeds)
    never: list[str] = []
    for place, variant in enumerate(seeds):
        look = palette.looks(data.variants)[variant]
        for level, threshold in enumerate(THRESHOLDS):
            left, right = _times(data, variant, threshold, by_clock)
            if not left.size:
                continue
            arrived = np.isfinite(right)
            times = np.where(arrived, right, left)
            middle = level + (place - (len(seeds) - 1) / 2) * width
            x = middle + 0.55 * width * (np.linspace(-0.5, 0.5, times.size) if times.size > 1 else np.zeros(1))
            axes.plot(x[arrived], times[arrived], look.marker, color=look.color, markersize=3)
            axes.plot(x[~arrived], times[~arrived], color=look.color, linestyle="none", **OPEN)
            median = statistics.crossing_quantile(left, right).right
            if np.isfinite(median) and times.size > 1:
                ends = middle + 0.4 * width * np.array([-1, 1])
                axes.plot(ends, [median, median], color=look.color, linewidth=1.6, solid_capstyle="butt")
            if not arrived.all():
                never.append(f"{variant} {(~arrived).sum()} of {times.size} at {100 * threshold:.0f} %")
    axes.set_xticks(range(len(THRESHOLDS)), [f"{100 * threshold:.0f} %" for threshold in THRESHOLDS])
    axes.set_xlim(-0.6, len(THRESHOLDS) - 0.4)
    axes.set_ylim(0, 1.04 * axes.get_ylim()[1])
    axes.set_xlabel(f"success rate ({data.successes[0].title.lower()})")
    axes.grid(axis="x", visible=False)
    return ", ".join(never)


def _times(data: Data, variant: str, threshold: float, by_clock: bool) -> tuple[np.ndarray, np.ndarray]:
    """The interval (left, right] in which each seed crosses the threshold, as on the axis."""
    ends = []
    success = data.successes[0].name
    rates: pd.DataFrame = data.rates[data.rates["variant"] == variant]
    for run in (run for run in data.episodes if run.variant == variant):
        own = rates[rates["seed"] == run.seed]
        iterations = own["iteration"].to_numpy()
        time = data.to_axis(variant, iterations)
        if by_clock:
            hours = data.hours(run)
            if hours is None:
                continue
            time = 60 * hours[np.clip(iterations, 1, hours.size) - 1]
        ends.append(statistics.time_to_threshold(time, own[success].to_numpy()[None], threshold))
    left, right = np.array(ends).reshape(-1, 2).T
    return left, right
