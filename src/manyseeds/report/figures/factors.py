"""Success of the last checkpoint when numbers of the task change, one at a time and all together."""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from manyseeds.analysis.data import Data
from manyseeds.analysis.factors import together
from manyseeds.config.conditions import NOMINAL
from manyseeds.report.figures import captions, palette, style
from manyseeds.report.figures.options import DEFAULT, ONE_COLUMN, Options
from manyseeds.report.figures.rows import band_rows
from manyseeds.report.figures.scales import success_axis
from manyseeds.report.figures.success import COLUMNS, LOGARITHMIC, row_figure
from manyseeds.report.tables.factors import factor_and_value, left_out

LANE = 0.17
"""Height of a variant's lane in a condition, in inch; less for many variants."""
APART = 0.03
"""How far the seeds are above the middle of the lane, and their mean below it, in inch."""
TALLEST = 0.6
"""Height of all lanes of a condition, in inch."""
LINEAR = 70.0
"""Where rates fall below this (%), the axis is linear: what falls is seen as it is."""
WIDE = 1.5
"""Of the name of a condition, in inch; a longer one gets more lines."""


def success_under_factors(data: Data, options: Options = DEFAULT) -> tuple[Figure, str]:
    """Success under each condition, a dot per seed, with mean and interval; variants next to each other."""
    nothing = "" if len(data.under_factors) else "No checkpoint was evaluated under factors (evaluate.factors)."
    if missing := captions.no_success(data) or nothing:
        figure, grid = style.new_figure(options.inches(ONE_COLUMN), 1.5)
        return figure, style.nothing(grid, missing)
    rates, over = data.factor_rates, data.under_factors
    seeds = captions.seeds_in(data, rates)
    lane = min(LANE, TALLEST / len(seeds))
    places, rows = band_rows(_labels(over), lane, len(seeds))
    figure, grid = row_figure(data.successes, rows, options)
    panels = grid.flat[: len(data.successes)]
    logarithmic, lowest = False, 100.0
    for axes, outcome in zip(panels, data.successes, strict=True):
        name = outcome.name
        axes.set_title(captions.label(outcome).removesuffix(" (%)"))
        for place, variant in enumerate(seeds):
            own = rates[rates["variant"] == variant], over[over["variant"] == variant]
            _lane(axes, data, variant, name, own, places, lane * (place + 0.5))
        drawn = np.concatenate([rates[name], over[[f"{name}_mean", f"{name}_low", f"{name}_high"]].to_numpy().ravel()])
        ends = 100 * float(np.nanmin(drawn)), 100 * float(np.nanmax(drawn))
        lowest = min(lowest, ends[0])
        room = 0.26 / ((figure.get_figwidth() - WIDE) / min(len(panels), COLUMNS))
        best = 100 * float(rates[name].max()) if ends[0] >= LINEAR else 0.0
        logarithmic |= success_axis(axes, "x", ends, best, float(over["episodes"].max()), room=room)
    style.label_below(figure, grid, "episodes (%)")
    style.legend(figure, _handles(data, seeds))
    levels = together(rates)
    parts = [
        "Success of the last checkpoint when numbers of the task change, on the same episodes.",
        captions.meaning(data, data.successes),
        captions.interval(
            data, f"Dots: each seed; marks: mean over seeds, with its {captions.RATE_INTERVAL_LONG}", seeds
        ),
        "Vertical lines: the mean in the nominal condition.",
        *([f"All together: {levels}."] if levels else []),
        captions.counts(data, seeds),
        *left_out(data),
    ]
    return figure, " ".join(parts) + (
        LOGARITHMIC if logarithmic else " The axis does not start at zero." if lowest > 5 else ""
    )


def _labels(over: pd.DataFrame) -> dict[str, str]:
    """What the axis calls each condition."""
    labels = {}
    for condition, factor in dict(zip(over["condition"], over["factor"], strict=True)).items():
        number, level = factor_and_value(condition, factor)
        labels[condition] = style.wrapped(f"{number} = {level}" if level else number, WIDE)
    return labels


def _lane(
    axes: Axes,
    data: Data,
    variant: str,
    share: str,
    tables: tuple[pd.DataFrame, pd.DataFrame],
    places: dict[str, float],
    down: float,
) -> None:
    """Draw one variant in the lane that is `down` inch below the begin of each condition."""
    look, (rates, over) = palette.looks(data.variants)[variant], tables
    axes.plot(
        100 * rates[share],
        rates["condition"].map(places) + down - APART,
        color=look.color,
        clip_on=False,
        zorder=3,
        **_DOT,
    )
    mean = over[f"{share}_mean"].to_numpy(float)
    limits = np.stack([mean - over[f"{share}_low"], over[f"{share}_high"] - mean])
    axes.errorbar(
        100 * mean,
        over["condition"].map(places) + down + APART,
        xerr=100 * np.clip(np.nan_to_num(limits), 0, None),
        color=look.color,
        linestyle="none",
        elinewidth=1.1,
        clip_on=False,
        zorder=2.5,
        **(style.MEAN_MARK | _mark(look)),
    )
    nominal = float(mean[(over["condition"] == NOMINAL).to_numpy()][0])
    axes.axvline(100 * nominal, color=look.color, linestyle=look.line, linewidth=0.5, alpha=0.6, zorder=1)


_DOT: dict[str, Any] = {"linestyle": "none", "marker": "o", "markersize": 1.8, "markeredgewidth": 0}


def _mark(look: palette.Look) -> dict[str, Any]:
    return {"marker": look.marker, "markersize": 4.0, "markeredgewidth": 0.9}


def _handles(data: Data, seeds: dict[str, list[int]]) -> list[Artist]:
    looks = palette.looks(data.variants)
    color = palette.legend_color(looks, len(seeds))
    handles: list[Artist] = []
    if len(seeds) > 1:
        for variant in seeds:
            line = {"color": looks[variant].color, "linestyle": looks[variant].line, "linewidth": 0.5}
            mark = style.MEAN_MARK | _mark(looks[variant])
            handles.append(Line2D([], [], label=data.label(variant), **line, **mark))
    handles.append(Line2D([], [], color=color, label="each seed", **_DOT))
    if max(map(len, seeds.values())) > 1:
        label = f"mean over seeds, {captions.RATE_INTERVAL}"
        mark = style.MEAN_MARK | _mark(looks[next(iter(seeds))]) if len(seeds) == 1 else {}
        handles.append(Line2D([], [], color=color, linewidth=1.1, label=label, **mark))
    return handles
