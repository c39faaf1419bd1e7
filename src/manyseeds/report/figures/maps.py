"""Where episodes start that fail."""

from typing import Any

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from manyseeds.analysis.data import Data
from manyseeds.report.figures import captions, style


def failure_map(data: Data) -> tuple[Figure, str]:
    """Where episodes start that fail, by how many seeds fail them, in the pictures that the description names."""
    maps = data.folder.description.maps
    variants = [variant for variant in data.variants if any(run.variant == variant for run in data.episodes)]
    rows = max(1, len(variants)) if maps else 1
    columns = max(1, len(maps))
    figure, grid = style.new_figure(style.TWO_COLUMNS, 0.7 + 1.1 * rows, rows, columns, sharex="col", sharey="col")
    missing = captions.no_success(data) or ("" if variants else captions.no_episodes(data))
    if missing or not maps:
        return figure, style.nothing(grid, missing or "The task's description names no map to draw starts in.")
    titles = {start.name: captions.label(start) for start in data.folder.description.starts}
    summary = []
    most = 1
    for row, variant in zip(grid, variants, strict=True):
        starts, failures, seeds = _failures(data, variant)
        most = max(most, seeds)
        for axes, picture in zip(row, maps, strict=True):
            _scatter(axes, starts[picture.across].to_numpy(), starts[picture.up].to_numpy(), failures / seeds)
            axes.set_ylabel(titles[picture.up])
        if rows > 1:
            row[0].set_ylabel(f"{variant}\n{titles[maps[0].up]}")
        summary.append(_summary(variant, failures, seeds))
    for column, picture in enumerate(maps):
        grid[0, column].set_title(picture.title)
        grid[-1, column].set_xlabel(titles[picture.across])
        if picture.flip:
            grid[0, column].invert_xaxis()  # The panels of a column share it.
    style.legend(figure, _handles(most))
    success = data.successes[0]
    return figure, (
        f"Where episodes start that fail, last checkpoint. An episode succeeds ({success.title.lower()}) if "
        f"{success.meaning}. The episodes are the same for all seeds; a mark grows and darkens with the share of seeds "
        f"that fail. {'; '.join(summary)}.{captions.unfinished(data)}"
    )


def _summary(variant: str, failures: np.ndarray, seeds: int) -> str:
    succeeded = int((failures == 0).sum())
    if seeds == 1:
        return f"{variant} n = 1 seed: it succeeds in {succeeded} of {failures.size} episodes"
    none = int((failures == seeds).sum())
    of = f"{variant} n = {seeds} seeds: of {failures.size} episodes"
    return f"{of} all seeds succeed in {succeeded}, none in {none}"


def _mark(share: float) -> dict[str, Any]:
    """How to draw an episode that this share (0 to 1) of the seeds fails."""
    if share == 0:
        return {"marker": ".", "color": "#C4C4C4", "markersize": 3.2, "markeredgewidth": 0}
    color = to_hex(matplotlib.colormaps["OrRd"](0.4 + 0.6 * share))
    edge = {"markeredgecolor": "white", "markeredgewidth": 0.25}
    return {"marker": "X" if share == 1 else "o", "color": color, "markersize": 2 + 2.5 * share, **edge}


def _handles(seeds: int) -> list[Line2D]:
    labels = {0.0: "every seed succeeds", 0.5: "some seeds fail", 1.0: "all seeds fail"}
    if seeds == 1:
        labels = {0.0: "succeeded", 1.0: "failed"}
    return [Line2D([], [], linestyle="none", **_mark(share), label=label) for share, label in labels.items()]


def _scatter(axes: Axes, x: np.ndarray, y: np.ndarray, share: np.ndarray) -> None:
    for level in np.unique(share):  # Ascending: the worst lie on top.
        axes.plot(x[share == level], y[share == level], linestyle="none", **_mark(float(level)))
    axes.set_aspect("equal", adjustable="box", anchor="N")
    axes.grid(visible=False)


def _failures(data: Data, variant: str) -> tuple[pd.DataFrame, np.ndarray, int]:
    """Starts of the episodes, how many seeds fail each at the last checkpoint, and the number of seeds."""
    tables = data.final_episodes(variant)
    success, columns = data.successes[0].name, [start.name for start in data.folder.description.starts]
    failures = np.sum([1 - table[success].to_numpy() for table in tables.values()], axis=0)
    return next(iter(tables.values()))[columns], failures, len(tables)
