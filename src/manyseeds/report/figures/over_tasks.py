"""Variants over several tasks: success in each task and over all of them, and the difference to the baseline."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from manyseeds.analysis.tasks import ALL, OverTasks
from manyseeds.core.files import write_atomic
from manyseeds.core.layout import OVER_TASKS
from manyseeds.report.figures import captions, palette, style
from manyseeds.report.figures.options import ONE_COLUMN, TWO_COLUMNS
from manyseeds.report.figures.rows import GAP, WIDEST, band_rows
from manyseeds.report.figures.scales import success_axis
from manyseeds.report.figures.success import LOGARITHMIC
from manyseeds.report.tables.over_tasks import (
    MEAN_NOTE,
    OVER_ALL,
    counts,
    differences_note,
    meaning,
    provenance,
    remarks,
)
from manyseeds.report.templates import escape_rst

LANE = 0.19
"""Height of a variant's lane in a task, in inch; less for many variants."""
TALLEST = 0.9
"""Height of all lanes of a task, in inch."""
APART = 0.16
"""How far seeds are above the middle of the lane, and their mean below it, as a share of the lane."""

_DOT: dict[str, Any] = {"linestyle": "none", "marker": "o", "markersize": 1.9, "markeredgewidth": 0}


def draw_over_tasks(over: OverTasks) -> tuple[Figure, str]:
    """Draw a row per task and one over all: a dot per seed, means with their intervals, and differences.

    Returns:
        The figure and its caption.
    """
    lane = min(LANE, TALLEST / len(over.variants))
    names = {task.name: task.name for task in over.tasks} | {ALL: OVER_ALL.lower()}
    labels = {task: style.wrapped(name, WIDEST) for task, name in names.items()}
    places, rows = band_rows(labels, lane, len(over.variants))
    compared = over.baseline is not None
    columns = 2 if compared else 1
    figure, grid = style.new_figure(TWO_COLUMNS if compared else ONE_COLUMN, rows.height + 0.6, 1, columns, sharey=True)
    looks = palette.looks(over.variants)
    for axes in grid.flat:
        rows.apply(axes)
        axes.axhspan(places[ALL] - GAP / 2, rows.height, color="#F4F4F4", zorder=0, linewidth=0)
    for place, variant in enumerate(over.variants):
        down = lane * (place + 0.5)
        own = over.table[over.table["variant"] == variant]
        y = own["task"].map(places).to_numpy(float) + down
        for task in over.tasks:
            scores = 100 * task.scores.get(variant, pd.Series(dtype=float))
            height = np.full(len(scores), places[task.name] + down - APART * lane)
            grid[0, 0].plot(scores, height, color=looks[variant].color, clip_on=False, zorder=3, **_DOT)
        _means(grid[0, 0], own, ("mean", "low", "high"), y + APART * lane, looks[variant])
        if compared:
            _means(grid[0, 1], own, ("difference", "difference_low", "difference_high"), y, looks[variant])
    logarithmic = _scale(grid[0, 0], over, figure.get_figwidth() / columns)
    grid[0, 0].set_xlabel("success (%)")
    if compared:
        grid[0, 1].axvline(0, color=palette.GREY, linewidth=0.8, zorder=1)
        grid[0, 1].set_xlabel(f"difference to {over.label(str(over.baseline))} (percentage points)")
        low, high = grid[0, 1].get_xlim()
        grid[0, 1].set_xlim(min(low, -0.05 * high), max(high, -0.05 * low))
    style.legend(figure, _handles(over, looks))
    parts = [
        "Success in each task and over all of them.",
        meaning(over),
        "Dots: each seed; marks: mean over seeds with its interval.",
        MEAN_NOTE,
        *([f"Right: {differences_note(over)} An interval on one side of the line shows a difference."] * compared),
        *counts(over),
        *remarks(over),
    ]
    return figure, " ".join(parts) + (LOGARITHMIC if logarithmic else "")


def _means(axes: Axes, own: pd.DataFrame, names: tuple[str, str, str], y: np.ndarray, look: palette.Look) -> None:
    value, low, high = (100 * own[name].to_numpy(float) for name in names)
    errors = np.clip(np.nan_to_num(np.stack([value - low, high - value])), 0, None)
    mark: dict[str, Any] = style.MEAN_MARK | {"marker": look.marker, "markersize": 4.0}
    axes.errorbar(
        value,
        y,
        xerr=errors,
        color=look.color,
        linestyle="none",
        elinewidth=1.3,
        clip_on=False,
        zorder=4,
        **mark,
    )


def _scale(axes: Axes, over: OverTasks, width: float) -> bool:
    """Scale the axis of success in a panel so many inch wide; return whether it is logarithmic."""
    scores = np.concatenate([own.to_numpy(float) for task in over.tasks for own in task.scores.values()])
    drawn = np.concatenate([scores, over.table[["mean", "low", "high"]].to_numpy(float).ravel()])
    ends = 100 * float(np.nanmin(drawn)), 100 * float(np.nanmax(drawn))
    episodes = [task.episodes for task in over.tasks if task.episodes is not None]
    if not episodes:
        return False
    # Where a task is far from solved a linear axis shows it as it is.
    best = 100 * float(scores.max()) if ends[0] >= 50 else 0.0
    return success_axis(axes, "x", ends, best, max(episodes), room=0.26 / (width - 0.8))


def _handles(over: OverTasks, looks: dict[str, palette.Look]) -> list[Artist]:
    color = palette.legend_color(looks, len(over.variants))
    handles: list[Artist] = []
    if len(over.variants) > 1:
        for variant in over.variants:
            mark = style.MEAN_MARK | {"marker": looks[variant].marker, "markersize": 4.0}
            handles.append(Line2D([], [], color=looks[variant].color, linewidth=1.3, label=over.label(variant), **mark))
    handles.append(Line2D([], [], color=color, label="each seed", **_DOT))
    if max(len(scores) for task in over.tasks for scores in task.scores.values()) > 1:
        mark = style.MEAN_MARK | {"markersize": 4.0} if len(over.variants) == 1 else {}
        label = f"mean over seeds, {captions.RATE_INTERVAL}"
        handles.append(Line2D([], [], color=color, linewidth=1.3, label=label, **mark))
    return handles


def save_over_tasks(over: OverTasks) -> list[Path]:
    """Draw the figure into the folder of the experiments, as PNG, SVG and PDF, with its caption; return the files."""
    stem = over.folder / OVER_TASKS
    with style.applied():
        figure, caption = draw_over_tasks(over)
        paths = style.save(figure, stem, "over tasks", provenance(over))
    paths.append(stem.with_suffix(".rst"))
    with write_atomic(paths[-1]) as partial:
        partial.write_text(escape_rst(caption) + "\n", encoding="utf-8")
    return paths
