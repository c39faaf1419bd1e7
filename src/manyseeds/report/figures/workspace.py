"""Where in the workspace episodes fail."""

from typing import Any

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from manyseeds.analysis.data import Data
from manyseeds.analysis.results import START_COLUMNS
from manyseeds.report.figures import captions, style

# As the robot sees it: x away from it, y to its left, z up.
PANELS = (
    ("object at the start, from above", "object_y", "object_x", "y (m)", "x (m)"),
    ("target, from above", "target_y", "target_x", "y (m)", "x (m)"),
    ("target, from behind the robot", "target_y", "target_z", "y (m)", "z (m)"),
)
ROBOT_FRAME = "robot's root frame: x points away from the robot, y to its left, z up"


def failure_map(data: Data) -> tuple[Figure, str]:
    """Where the objects and targets of the episodes that fail were, by how many seeds fail them."""
    variants = [variant for variant in data.variants if any(run.variant == variant for run in data.episodes)]
    rows = max(1, len(variants))
    figure, grid = style.new_figure(style.TWO_COLUMNS, 0.7 + 1.1 * rows, rows, 3, sharex=True)
    if not variants:
        return figure, style.nothing(grid, captions.not_evaluated(data))
    summary = []
    most = 1
    for row, variant in zip(grid, variants, strict=True):
        starts, failures, seeds = _failures(data, variant)
        most = max(most, seeds)
        for axes, (_, across, up, _, y_label) in zip(row, PANELS, strict=True):
            _scatter(axes, starts[across].to_numpy(), starts[up].to_numpy(), failures / seeds)
            axes.set_ylabel(y_label)
        if rows > 1:
            row[0].set_ylabel(f"{variant}\n{PANELS[0][4]}")
        summary.append(_summary(variant, failures, seeds))
    for column, (title, _, _, x_label, _) in enumerate(PANELS):
        grid[0, column].set_title(title)
        grid[-1, column].set_xlabel(x_label)
    grid[0, 0].invert_xaxis()  # All panels share it.
    style.legend(figure, _handles(most))
    return figure, (
        "Where episodes fail (target never reached), last checkpoint: where the object lies at the start "
        "and where "
        f"its target is, in the {ROBOT_FRAME}. The episodes are the same for all seeds; a mark grows and "
        f"darkens with "
        f"the share of seeds that fail. {'; '.join(summary)}.{captions.unfinished(data)}"
    )


def _summary(variant: str, failures: np.ndarray, seeds: int) -> str:
    reached = int((failures == 0).sum())
    if seeds == 1:
        return f"{variant} n = 1 seed: it reaches {reached} of {failures.size} episodes"
    none = int((failures == seeds).sum())
    of = f"{variant} n = {seeds} seeds: of {failures.size} episodes"
    return f"{of} all seeds reach {reached}, none reaches {none}"


def _mark(share: float) -> dict[str, Any]:
    """How to draw an episode that this share (0 to 1) of the seeds fails."""
    if share == 0:
        return {"marker": ".", "color": "#C4C4C4", "markersize": 3.2, "markeredgewidth": 0}
    color = to_hex(matplotlib.colormaps["OrRd"](0.4 + 0.6 * share))
    edge = {"markeredgecolor": "white", "markeredgewidth": 0.25}
    return {"marker": "X" if share == 1 else "o", "color": color, "markersize": 2 + 2.5 * share, **edge}


def _handles(seeds: int) -> list[Line2D]:
    labels = {0.0: "every seed reaches the target", 0.5: "some seeds fail", 1.0: "all seeds fail"}
    if seeds == 1:
        labels = {0.0: "target reached", 1.0: "failed"}
    return [Line2D([], [], linestyle="none", **_mark(share), label=label) for share, label in labels.items()]


def _scatter(axes: Axes, x: np.ndarray, y: np.ndarray, share: np.ndarray) -> None:
    for level in np.unique(share):  # Ascending: the worst lie on top.
        axes.plot(x[share == level], y[share == level], linestyle="none", **_mark(float(level)))
    axes.set_aspect("equal", adjustable="box", anchor="N")
    axes.grid(visible=False)


def _failures(data: Data, variant: str) -> tuple[pd.DataFrame, np.ndarray, int]:
    """Starts of the episodes, how many seeds fail each at the last checkpoint, and the number of seeds."""
    tables = data.final_episodes(variant)
    failures = np.sum([1 - table["reached"].to_numpy() for table in tables.values()], axis=0)
    return next(iter(tables.values()))[START_COLUMNS], failures, len(tables)
