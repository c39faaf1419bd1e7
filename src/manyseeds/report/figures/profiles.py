"""How success is distributed over seeds and episodes, and how soon it came."""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from manyseeds import statistics
from manyseeds.analysis.data import Data
from manyseeds.report.figures import captions, palette, style

THRESHOLDS = (0.5, 0.75, 0.9)
OPEN: dict[str, Any] = {"marker": "^", "markerfacecolor": "white", "markersize": 4}


def performance_profile(data: Data) -> tuple[Figure, str]:
    """Share of seeds above a success rate, and share of episodes that end within a distance."""
    figure, grid = style.new_figure(style.TWO_COLUMNS, 2.5, 1, 2)
    if not data.episodes:
        return figure, style.nothing(grid, captions.not_evaluated(data))
    left, right = grid[0]
    seeds = captions.seeds_in(data, data.final)
    for variant in seeds:
        _profile(left, data, variant)
        _distances(right, data, variant)
    # A decade below the worst seed, so that steps near 100 % can be told apart.
    start = 10 * np.floor(10 * data.final["reached"].min() - 1)
    left.set(xlabel="success rate τ (%, reached)", ylabel="seeds above τ (%)", xlim=(max(0, start), 100))
    right.set(xlabel="distance d to the target at the end (cm)", ylabel="episodes within d (%)", xscale="log")
    right.set_xticks([0.5, 1, 2, 5, 10, 20, 50], ["0.5", "1", "2", "5", "10", "20", "50"])
    right.minorticks_off()
    right.set_xlim(0.3, 100)
    for axes in grid[0]:
        axes.set_ylim(-3, 103)
    most = max(map(len, seeds.values()))
    style.legend(figure, style.curve_handles(data.variants, most, band="95 % interval"))
    band = ", with the pointwise 95 % bootstrap interval over seeds" if most > 1 else ""
    drawn = captions.interval("bold: mean over seeds; band: pointwise 95 % t interval over seeds", seeds)
    return figure, (
        "Last checkpoint. Left: performance profile, the share of seeds whose success rate (reached) is "
        "above "
        f"τ{band}. Right: the share of episodes that end with the object within distance d of its target; "
        f"thin: each seed; {drawn} {captions.counts(data, seeds)}{captions.unfinished(data)}"
    )


def _profile(axes: Axes, data: Data, variant: str) -> None:
    look = palette.looks(data.variants)[variant]
    scores = data.final.loc[data.final["variant"] == variant, "reached"].to_numpy()
    thresholds = np.linspace(0, 1, 1001)
    share, low, high = statistics.performance_profile(scores, thresholds)
    axes.fill_between(100 * thresholds, 100 * low, 100 * high, step="post", color=look.color, **style.BAND)
    axes.step(100 * thresholds, 100 * share, where="post", color=look.color, linestyle=look.line)


def _distances(axes: Axes, data: Data, variant: str) -> None:
    look = palette.looks(data.variants)[variant]
    distances = np.geomspace(0.003, 1.0, 200)
    shares = []
    for last in data.final_episodes(variant).values():
        final = np.sort(last["final_distance"].to_numpy())
        shares.append(np.searchsorted(final, distances, side="right") / final.size)
        axes.plot(100 * distances, 100 * shares[-1], color=look.color, **style.SEED_LINE)
    mean, low, high = statistics.t_interval(np.stack(shares))
    low, high = np.clip((low, high), 0, 1)
    axes.fill_between(100 * distances, 100 * low, 100 * high, color=look.color, **style.BAND)
    axes.plot(100 * distances, 100 * mean, color=look.color, linestyle=look.line)


def time_to_threshold(data: Data) -> tuple[Figure, str]:
    """Samples and wall-clock until a checkpoint first reaches a success rate."""
    figure, grid = style.new_figure(style.TWO_COLUMNS, 2.5, 1, 2)
    if not data.episodes:
        return figure, style.nothing(grid, captions.not_evaluated(data))
    left, right = grid[0]
    never = _panel(left, data, by_clock=False)
    left.set_ylabel(data.sample_axis[1])
    if any(data.hours(run) is not None for run in data.episodes):
        _panel(right, data, by_clock=True)
        right.set_ylabel("minutes of training")
    else:
        style.say(right, "No run logs its collection and learning time.")
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
        "Training until the first checkpoint of which at least 50, 75 and 90 % of the evaluation episodes "
        "reach the "
        "target; known to the distance between two checkpoints. Filled: each seed; "
        + ("bar: median seed (Kaplan and Meier), where at least half of the seeds got there; " if several else "")
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
            times, there = _times(data, variant, threshold, by_clock)
            if not times.size:
                continue
            middle = level + (place - (len(seeds) - 1) / 2) * width
            x = middle + 0.55 * width * (np.linspace(-0.5, 0.5, times.size) if times.size > 1 else np.zeros(1))
            axes.plot(x[there], times[there], look.marker, color=look.color, markersize=3)
            axes.plot(x[~there], times[~there], color=look.color, linestyle="none", **OPEN)
            median = statistics.censored_quantile(times, there).estimate
            if np.isfinite(median) and times.size > 1:
                ends = middle + 0.4 * width * np.array([-1, 1])
                axes.plot(ends, [median, median], color=look.color, linewidth=1.6, solid_capstyle="butt")
            if not there.all():
                never.append(f"{variant} {(~there).sum()} of {times.size} at {100 * threshold:.0f} %")
    axes.set_xticks(range(len(THRESHOLDS)), [f"{100 * threshold:.0f} %" for threshold in THRESHOLDS])
    axes.set_xlim(-0.6, len(THRESHOLDS) - 0.4)
    axes.set_ylim(0, 1.04 * axes.get_ylim()[1])
    axes.set_xlabel("success rate (reached)")
    axes.grid(axis="x", visible=False)
    return ", ".join(never)


def _times(data: Data, variant: str, threshold: float, by_clock: bool) -> tuple[np.ndarray, np.ndarray]:
    """Time of each seed to the threshold (as on the axis), and whether it got there by then."""
    times, reached = [], []
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
        first, there = statistics.time_to_threshold(time, own["reached"].to_numpy()[None], threshold)
        times.append(first[0])
        reached.append(there[0])
    return np.array(times), np.array(reached, dtype=bool)
