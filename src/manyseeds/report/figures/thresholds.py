"""How soon success came, as far as checkpoints tell."""

import numpy as np
import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from manyseeds import statistics
from manyseeds.analysis.data import Data
from manyseeds.report.figures import captions, palette, style
from manyseeds.report.figures.options import DEFAULT, ONE_COLUMN, TWO_COLUMNS, Options
from manyseeds.report.figures.rows import Rows, make_rows

THRESHOLDS = (0.5, 0.75, 0.9)


def time_to_threshold(data: Data, options: Options = DEFAULT) -> tuple[Figure, str]:
    """Samples and wall-clock between which success rose above a threshold for good."""
    if missing := captions.no_success(data) or ("" if data.episodes else captions.no_episodes(data)):
        figure, grid = style.new_figure(options.inches(ONE_COLUMN), 1.5)
        return figure, style.nothing(grid, missing)
    seeds = captions.seeds_in(data, data.rates)
    rows = make_rows(data, seeds, block=0.24, summary="median")
    clocks = [False, True] if any(data.hours(run) is not None for run in data.episodes) else [False]
    width = options.inches(TWO_COLUMNS)
    height = (rows.height + 0.5) * len(clocks)
    figure, grid = style.new_figure(width, height, len(clocks), len(THRESHOLDS), sharey=True)
    never: list[str] = []
    for row, by_clock in zip(grid, clocks, strict=True):
        ends = [_Panel(axes, data, rows, by_clock).draw(level) for axes, level in zip(row, THRESHOLDS, strict=True)]
        last = max(end for end, _ in ends)
        for axes, level, (_, late) in zip(row, THRESHOLDS, ends, strict=True):
            axes.set_xlim(0, 1.06 * last)
            axes.set_title(f"{100 * level:.0f} %")
            never += [] if by_clock else late
        row[len(row) // 2].set_xlabel("minutes of training" if by_clock else data.sample_axis[1])
    style.legend(figure, _handles(data, seeds, late=bool(never)))
    enough = max(map(len, seeds.values())) >= statistics.LEAST_SEEDS
    several = max(map(len, seeds.values())) > 1
    return figure, (
        f"Training until the success rate ({data.successes[0].title.lower()}) is at least 50, 75 and 90 % and stays "
        f"there to the last checkpoint. {captions.meaning(data, data.successes[:1])} Thin bars: each seed, from the "
        "last checkpoint below to the first one from which on it stays; when in between is not known. "
        + (f"Thick bars: where the median seed is{_median_words(seeds)}. " if several else "")
        + ("" if enough or not several else _too_few(seeds))
        + ("Arrows: not there by the end of training. " if never else "")
        + (f"Not there by the end: {', '.join(never)}. " if never else "Every seed got there. ")
        + captions.counts(data, seeds)
    )


def _median_words(seeds: dict[str, list[int]]) -> str:
    enough = [len(own) >= statistics.LEAST_SEEDS for own in seeds.values()]
    if not any(enough):
        return ""
    few = "" if all(enough) else f", with {statistics.LEAST_SEEDS} seeds or more"
    return f" (Turnbull), thin line: its 95 % interval from order statistics{few}"


def _too_few(seeds: dict[str, list[int]]) -> str:
    return f"Fewer than {statistics.LEAST_SEEDS} seeds give no 95 % interval of a median. "


class _Panel:
    """One threshold, against samples or the clock."""

    def __init__(self, axes: Axes, data: Data, rows: Rows, by_clock: bool) -> None:
        self.axes = axes
        self.data = data
        self.rows = rows
        self.by_clock = by_clock
        rows.apply(axes)

    def draw(self, threshold: float) -> tuple[float, list[str]]:
        """Draw all variants; returns the end of the axis, and which variants have seeds that never got there."""
        late: list[str] = []
        found = {variant: self._times(variant, threshold) for variant in dict.fromkeys(v for v, _ in self.rows.seeds)}
        end = max((max(ends) for _, _, _, ends in found.values() if ends), default=1.0)
        for variant, (seeds, left, right, _) in found.items():
            if not seeds:
                continue
            look = palette.looks(self.data.variants)[variant]
            width = min(2.2, 0.62 * 72 * self.rows.pitch)
            for seed, start, stop in zip(seeds, left, right, strict=True):
                self._bar(self.rows.seeds[variant, seed], start, stop, end, look.color, width)
            if variant in self.rows.summary:
                self._median(variant, left, right, end, look.color)
            if never := int(np.isinf(right).sum()):
                late.append(f"{self.data.label(variant)} {never} of {len(seeds)} at {100 * threshold:.0f} %")
        return end, late

    def _bar(self, y: float, start: float, stop: float, end: float, color: str, width: float) -> None:
        if np.isfinite(stop):
            self.axes.plot(
                [start, stop], [y, y], color=color, linewidth=width, zorder=2, alpha=0.55, solid_capstyle="butt"
            )
        else:
            self.axes.plot(
                [start], [y], color=color, marker=">", markersize=max(2.2, width), linestyle="none", zorder=2, alpha=0.8
            )

    def _median(self, variant: str, left: np.ndarray, right: np.ndarray, end: float, color: str) -> None:
        median = statistics.crossing_quantile(left, right)
        y = self.rows.summary[variant]
        if np.isfinite(median.low):
            high = median.high if np.isfinite(median.high) else 1.05 * end
            self.axes.plot([median.low, high], [y, y], color=color, linewidth=0.9, zorder=2.5, solid_capstyle="butt")
            if not np.isfinite(median.high):
                self.axes.plot([high], [y], ">", color=color, markersize=2.6, clip_on=False)
        if np.isfinite(median.right):
            self.axes.plot(
                [median.left, median.right], [y, y], color=color, linewidth=4.5, zorder=3, solid_capstyle="butt"
            )
            # It may be so short that the bar is not seen.
            middle = (median.left + median.right) / 2
            self.axes.plot([middle], [y], "|", color=color, markersize=4.5, markeredgewidth=1.2, zorder=3)
        else:
            self.axes.plot([median.left], [y], ">", color=color, markersize=5, zorder=3, markeredgewidth=0)

    def _times(self, variant: str, threshold: float) -> tuple[list[int], np.ndarray, np.ndarray, list[float]]:
        """Seeds, the ends of their intervals as on the axis, and when their training ended."""
        seeds: list[int] = []
        lefts: list[float] = []
        rights: list[float] = []
        ends: list[float] = []
        success = self.data.successes[0].name
        rates: pd.DataFrame = self.data.rates[self.data.rates["variant"] == variant]
        for run in (run for run in self.data.episodes if run.variant == variant):
            own = rates[rates["seed"] == run.seed]
            iterations = own["iteration"].to_numpy()
            time = self.data.to_axis(variant, iterations)
            if self.by_clock:
                hours = self.data.hours(run)
                if hours is None:
                    continue
                time = 60 * hours[np.clip(iterations, 1, hours.size) - 1]
            left, right = statistics.time_to_threshold(time, own[success].to_numpy()[None], threshold)
            seeds.append(run.seed)
            lefts.append(float(left[0]))
            rights.append(float(right[0]))
            ends.append(float(time[-1]))
        return seeds, np.array(lefts), np.array(rights), ends


def _handles(data: Data, seeds: dict[str, list[int]], *, late: bool) -> list[Artist]:
    color = palette.legend_color(palette.looks(data.variants), len(seeds))
    handles: list[Artist] = [
        Line2D([], [], color=color, linewidth=1.8, alpha=0.55, label="one seed, between two checkpoints")
    ]
    most = max(map(len, seeds.values()))
    if most > 1:
        handles.append(Line2D([], [], color=color, linewidth=4.5, label="median seed, between two checkpoints"))
    if most >= statistics.LEAST_SEEDS:
        handles.append(Line2D([], [], color=color, linewidth=0.9, label="95 % interval of the median"))
    if late:
        handles.append(
            Line2D([], [], color=color, linestyle="none", marker=">", markersize=3, label="not there by the end")
        )
    return handles
