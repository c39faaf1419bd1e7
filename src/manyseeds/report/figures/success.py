"""Success of the evaluated checkpoints, over training and at its end."""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from manyseeds.analysis.data import Data
from manyseeds.report.figures import captions, palette, style

FLAGS = {"reached": "reached (%)", "held": "held to the end (%)"}


def success_per_checkpoint(data: Data) -> tuple[Figure, str]:
    """Share of evaluation episodes that succeed, for every checkpoint."""
    figure, grid = style.new_figure(style.ONE_COLUMN, 3.7, 2, 1, sharex=True, sharey=True)
    if not data.episodes:
        return figure, style.nothing(grid, captions.not_evaluated(data))
    seeds = captions.seeds_in(data, data.rates)
    for axes, (flag, label) in zip(grid[:, 0], FLAGS.items(), strict=True):
        for variant in seeds:
            _checkpoints(axes, data, variant, flag)
        axes.set_ylabel(label)
        axes.set_ylim(-3, 103)
        axes.set_xlim(left=0)
    grid[1, 0].set_xlabel(data.sample_axis[1])
    most = max(map(len, seeds.values()))
    style.legend(figure, style.curve_handles(data.variants, most, band="", markers=True))
    drawn = captions.interval(
        "Thin: each seed; marks: mean over seeds; bars: pointwise 95 % t interval over seeds, cut to 0 to 100 %",
        seeds,
    )
    return figure, (
        f"Success of every checkpoint on the same {captions.episodes(data)} evaluation episodes, "
        f"deterministic "
        f"policy. {captions.MEANING} {drawn} {captions.counts(data, seeds)}"
    )


def _checkpoints(axes: Axes, data: Data, variant: str, flag: str) -> None:
    look = palette.looks(data.variants)[variant]
    for _, own in data.rates[data.rates["variant"] == variant].groupby("seed"):
        x = data.to_axis(variant, own["iteration"].to_numpy())
        axes.plot(x, 100 * own[flag], color=look.color, **style.SEED_LINE)
    over = data.rates_over_seeds[data.rates_over_seeds["variant"] == variant]
    mean = over[f"{flag}_mean"].to_numpy()
    axes.errorbar(
        data.to_axis(variant, over["iteration"].to_numpy()),
        100 * mean,
        yerr=_errors(mean, over, flag),
        color=look.color,
        linestyle=look.line,
        marker=look.marker,
        capsize=1.8,
        elinewidth=0.8,
        capthick=0.8,
        zorder=3 + data.variants.index(variant),
    )


def _errors(center: np.ndarray, table: pd.DataFrame, flag: str) -> np.ndarray:
    """Lengths of error bars, percent, (2, rows); 0 where there is no interval."""
    errors = np.stack([center - table[f"{flag}_low"], table[f"{flag}_high"] - center])
    return 100 * np.clip(np.nan_to_num(errors), 0, None)


def final_success(data: Data) -> tuple[Figure, str]:
    """Success of the last checkpoint, a dot per seed."""
    figure, grid = style.new_figure(style.TWO_COLUMNS, 2.5, 1, 2, sharey=True)
    if not data.episodes:
        return figure, style.nothing(grid, captions.not_evaluated(data))
    seeds = captions.seeds_in(data, data.final)
    for axes, (flag, label) in zip(grid[0], FLAGS.items(), strict=True):
        axes.set_title(label.removesuffix(" (%)"))
        _final_panel(axes, data, flag, seeds)
    grid[0, 0].set_ylabel("episodes (%)")
    low, high = grid[0, 0].get_ylim()
    grid[0, 0].set_ylim(max(low, -3), min(high, 103))
    if len(seeds) > 1:
        style.legend(figure, style.curve_handles(data.variants, 1, band="", markers=True))
    drawn = captions.interval("Open diamonds: mean over seeds with its 95 % t interval, cut to 0 to 100 %", seeds)
    return figure, (
        f"Success of the last checkpoint, never of the best, on {captions.episodes(data)} episodes. "
        f"{captions.MEANING} Filled: each seed, with the 95 % Wilson interval of this one policy. {drawn} "
        + captions.counts(data, seeds)
        + (" The axis does not start at zero." if grid[0, 0].get_ylim()[0] > 0 else "")
        + captions.unfinished(data)
    )


def _final_panel(axes: Axes, data: Data, flag: str, seeds: dict[str, list[int]]) -> None:
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
        axes.errorbar(x, 100 * rows[flag], yerr=_errors(rows[flag].to_numpy(), rows, flag), **bars)
        ticks += list(x)
        labels += [str(seed) for seed in own]
        start = x[-1]
        if len(own) > 1:
            start += 1
            over = data.final_over_seeds[data.final_over_seeds["variant"] == variant]
            mean = over[f"{flag}_mean"].to_numpy()
            bars |= {
                "marker": "D",
                "markerfacecolor": "white",
                "markersize": 5,
                "elinewidth": 1.4,
                "capsize": 2.5,
            }
            axes.errorbar([start], 100 * mean, yerr=_errors(mean, over, flag), **bars)
            ticks.append(start)
            labels.append("mean")
        start += 1.5
    axes.set_xticks(ticks if named else [], labels if named else [])
    axes.set_xlim(-0.8, start - 0.7)
    axes.set_xlabel("seed" if named else "seeds, and to their right their mean")
    axes.grid(axis="x", visible=False)
