"""Success of the evaluated checkpoints, over training and at its end."""

import itertools
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from manyseeds.analysis.data import Data
from manyseeds.report.figures import captions, palette, style

COLUMNS = 3
"""The most panels side by side."""


def success_per_checkpoint(data: Data) -> tuple[Figure, str]:
    """Share of evaluation episodes that succeed, for every checkpoint."""
    panels = max(1, len(data.successes)) if data.episodes else 1
    figure, grid = style.new_figure(style.ONE_COLUMN, 0.3 + 1.7 * panels, panels, 1, sharex=True, sharey=True)
    if missing := captions.no_success(data) or ("" if data.episodes else captions.no_episodes(data)):
        return figure, style.nothing(grid, missing)
    seeds = captions.seeds_in(data, data.rates)
    for axes, outcome in zip(grid[:, 0], data.successes, strict=True):
        for variant in seeds:
            _checkpoints(axes, data, variant, outcome.name)
        axes.set_ylabel(captions.label(outcome))
        axes.set_ylim(-3, 103)
        axes.set_xlim(left=0)
    grid[-1, 0].set_xlabel(data.sample_axis[1])
    most = max(map(len, seeds.values()))
    style.legend(figure, style.curve_handles(data.variants, most, band="", markers=True))
    drawn = captions.interval(
        "Thin: each seed; marks: mean over seeds; bars: pointwise 95 % t interval over seeds, cut to 0 to 100 %",
        seeds,
    )
    return figure, (
        f"Success of every checkpoint on the same episodes. {captions.meaning(data, data.successes)} {drawn} "
        + captions.counts(data, seeds)
    )


def _checkpoints(axes: Axes, data: Data, variant: str, share: str) -> None:
    look = palette.looks(data.variants)[variant]
    for _, own in data.rates[data.rates["variant"] == variant].groupby("seed"):
        x = data.to_axis(variant, own["iteration"].to_numpy())
        axes.plot(x, 100 * own[share], color=look.color, **style.SEED_LINE)
    over = data.rates_over_seeds[data.rates_over_seeds["variant"] == variant]
    mean = over[f"{share}_mean"].to_numpy()
    axes.errorbar(
        data.to_axis(variant, over["iteration"].to_numpy()),
        100 * mean,
        yerr=_errors(mean, over, share),
        color=look.color,
        linestyle=look.line,
        marker=look.marker,
        capsize=1.8,
        elinewidth=0.8,
        capthick=0.8,
        zorder=3 + data.variants.index(variant),
    )


def _errors(center: np.ndarray, table: pd.DataFrame, share: str) -> np.ndarray:
    """Lengths of error bars, percent, (2, rows); 0 where there is no interval."""
    if f"{share}_low" not in table:
        return np.zeros((2, len(table)))
    errors = np.stack([center - table[f"{share}_low"], table[f"{share}_high"] - center])
    return 100 * np.clip(np.nan_to_num(errors), 0, None)


def final_success(data: Data) -> tuple[Figure, str]:
    """Success of the last checkpoint, or at the end of training, a dot per seed."""
    panels = len(data.successes) if data.has_rates else 0
    columns, rows = min(max(1, panels), COLUMNS), -(-max(1, panels) // COLUMNS)
    width = style.TWO_COLUMNS if columns > 1 else style.ONE_COLUMN
    figure, grid = style.new_figure(width, 2.5 * rows, rows, columns, sharey=True)
    if missing := captions.no_success(data):
        return figure, style.nothing(grid, missing)
    seeds = captions.seeds_in(data, data.final)
    for axes, outcome in itertools.zip_longest(grid.flat, data.successes):
        if outcome is None:
            axes.set_axis_off()
            continue
        axes.set_title(captions.label(outcome).removesuffix(" (%)"))
        _final_panel(axes, data, outcome.name, seeds)
    for axes in grid[:, 0]:
        axes.set_ylabel("episodes (%)")
    low, high = grid[0, 0].get_ylim()
    grid[0, 0].set_ylim(max(low, -3), min(high, 103))
    if len(seeds) > 1:
        style.legend(figure, style.curve_handles(data.variants, 1, band="", markers=True))
    drawn = captions.interval("Open diamonds: mean over seeds with its 95 % t interval, cut to 0 to 100 %", seeds)
    wilson = ", with the 95 % Wilson interval of this one policy" if data.folder.evaluated else ""
    return figure, (
        f"Success at the end of training, never at its best. {captions.meaning(data, data.successes)} "
        f"Filled: each seed{wilson}. {drawn} "
        + captions.counts(data, seeds)
        + (" The axis does not start at zero." if grid[0, 0].get_ylim()[0] > 0 else "")
        + captions.unfinished(data)
    )


def _final_panel(axes: Axes, data: Data, share: str, seeds: dict[str, list[int]]) -> None:
    """The seeds of each variant side by side, their mean to the right of them."""
    named = sum(map(len, seeds.values())) + len(seeds) <= 16
    ticks: list[float] = []
    labels: list[str] = []
    start = 0.0
    for variant, own in seeds.items():
        rows = data.final[data.final["variant"] == variant].sort_values("seed")
        x = start + min(1.0, 5 / len(own)) * np.arange(len(own))
        look = palette.looks(data.variants)[variant]
        bars: dict[str, Any] = {
            "elinewidth": 0.7,
            "linestyle": "none",
            "color": look.color,
            "marker": look.marker,
        }
        axes.errorbar(x, 100 * rows[share], yerr=_errors(rows[share].to_numpy(), rows, share), **bars)
        ticks += list(x)
        labels += [str(seed) for seed in own]
        start = x[-1]
        if len(own) > 1:
            start += 1
            over = data.final_over_seeds[data.final_over_seeds["variant"] == variant]
            mean = over[f"{share}_mean"].to_numpy()
            bars |= {
                "marker": "D",
                "markerfacecolor": "white",
                "markersize": 5,
                "elinewidth": 1.4,
                "capsize": 2.5,
            }
            axes.errorbar([start], 100 * mean, yerr=_errors(mean, over, share), **bars)
            ticks.append(start)
            labels.append("mean")
        start += 1.5
    axes.set_xticks(ticks if named else [], labels if named else [])
    axes.set_xlim(-0.8, start - 0.7)
    axes.set_xlabel("seed" if named else "seeds, and to their right their mean")
    axes.grid(axis="x", visible=False)
