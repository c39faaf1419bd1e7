"""Where episodes start that fail."""

from typing import Any

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.colors import PowerNorm
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from manyseeds.analysis.data import Data
from manyseeds.analysis.examples import fields_along
from manyseeds.report.figures import captions, style
from manyseeds.report.figures.options import DEFAULT, ONE_COLUMN, TWO_COLUMNS, Options

DOTS = 60
"""With more episodes that fail, only those get a dot that the most seeds fail."""
_DOT: dict[str, Any] = {"linestyle": "none", "marker": "o", "color": "black", "markeredgewidth": 0}


def failure_map(data: Data, options: Options = DEFAULT) -> tuple[Figure, str]:
    """Where episodes start that fail: the failure rate in fields of the maps that the description names."""
    maps = data.folder.description.maps
    variants = [variant for variant in data.variants if any(run.variant == variant for run in data.episodes)]
    missing = captions.no_success(data) or ("" if variants else captions.no_episodes(data))
    if missing or not maps:
        figure, grid = style.new_figure(options.inches(ONE_COLUMN), 1.5)
        return figure, style.nothing(grid, missing or "The task's description names no map to draw starts in.")
    # A narrow figure has room for all maps of one variant, or one map of each.
    narrow = options.width == "one"
    maps = maps[:1] if narrow and len(variants) > 1 else maps
    found = {variant: _failures(data, variant) for variant in variants}
    starts = pd.concat([own for own, _, _ in found.values()])
    spans = [(np.ptp(starts[item.across]) or 1.0, np.ptp(starts[item.up]) or 1.0) for item in maps]
    # Panels side by side are as wide as their maps, so that all have one height.
    ratios = [across / up for across, up in spans]
    width = options.inches(TWO_COLUMNS)
    if narrow:
        columns = 1 if len(variants) == 1 else 2
        lines = -(-len(variants) * len(maps) // columns)
        wide = [(width - 1.3) / columns] * len(maps)
        heights = [(width - 1.3) / columns / ratio for ratio in (ratios if columns == 1 else ratios * lines)]
        figure, panels = style.new_figure(
            width, 0.6 + sum(heights) + 0.5 * lines, lines, columns, height_ratios=heights
        )
        for axes in panels.flat[len(variants) * len(maps) :]:
            axes.set_axis_off()
        grid = panels.flat[: len(variants) * len(maps)].reshape(len(variants), len(maps))
    else:
        height = (width - 0.9 - 0.45 * len(maps)) / sum(ratios)
        wide = [height * ratio for ratio in ratios]
        shape = len(variants), len(maps)
        figure, panels = style.new_figure(width, 0.7 + (height + 0.16) * shape[0], *shape, width_ratios=ratios)
        grid = panels
    titles = {start.name: captions.label(start) for start in data.folder.description.starts}
    fields = fields_along(len(starts) // len(variants))
    binned = {
        variant: [_binned(own, failures / seeds, (item.across, item.up), starts, fields) for item in maps]
        for variant, (own, failures, seeds) in found.items()
    }
    highest = max(np.nanmax(rates) for own in binned.values() for _, _, rates in own)
    norm = PowerNorm(0.5, 0, 100 * max(highest, 1e-3))
    mesh = None
    for row, (variant, (own, failures, seeds)) in zip(grid, found.items(), strict=True):
        for axes, item, (across, up, rates) in zip(row, maps, binned[variant], strict=True):
            mesh = axes.pcolormesh(across, up, 100 * rates.T, norm=norm, cmap=_COLORS, zorder=1)
            _dots(axes, own[item.across].to_numpy(), own[item.up].to_numpy(), failures, seeds)
            axes.set(aspect="equal", ylabel=titles[item.up], xlabel=titles[item.across])
            axes.set(xlim=(across[0], across[-1]), ylim=(up[0], up[-1]))
            axes.grid(visible=False)
            if item.flip:
                axes.invert_xaxis()
        if len(found) > 1 and narrow:
            row[0].set_title(style.wrapped(data.label(variant), 1.3))
        elif len(found) > 1:
            name = style.wrapped(data.label(variant), 1.0)
            row[0].set_ylabel(f"{name}\n{titles[maps[0].up]}")
    for place, item in enumerate(maps):
        if len(found) == 1 or not narrow:
            grid[0, place].set_title(style.wrapped(item.title, wide[place]))
        for axes in () if narrow else grid[:-1, place]:
            axes.set_xlabel("")
            axes.tick_params(labelbottom=False)
    assert mesh is not None
    long = min(1.0, 1.6 / (figure.get_figheight() - 0.6))
    bar = figure.colorbar(mesh, ax=panels, shrink=long, pad=0.01, aspect=14)
    bar.set_label("failed episodes (%)")
    bar.outline.set_linewidth(0.4)
    most = max(seeds for _, _, seeds in found.values())
    style.legend(figure, _handles(most))
    success = data.successes[0]
    summary = "; ".join(_summary(data, variant, *own[1:]) for variant, own in found.items())
    return figure, (
        f"Where episodes start that fail, last checkpoint. An episode succeeds ({success.title.lower()}) if "
        f"{success.meaning}. Color: failed episodes in a field, mean over seeds; about "
        f"{len(starts) / len(variants) / fields**2:.0f} episodes a field. Dots: episodes that seeds fail, the "
        f"larger the more seeds; at most {DOTS} in a map, those that the most seeds fail. The episodes are the same "
        f"for all seeds. {'Shown: ' + maps[0].title + '. ' if narrow and len(found) > 1 else ''}{summary}. "
        f"{captions.counts(data, captions.seeds_played(data))}" + captions.unfinished(data)
    )


_COLORS = matplotlib.colormaps["OrRd"]


def _binned(
    own: pd.DataFrame, share: np.ndarray, columns: tuple[str, str], starts: pd.DataFrame, fields: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Edges across and up, and the mean failure rate (0 to 1) in each field; NaN without an episode."""
    edges = [np.linspace(starts[name].min(), starts[name].max() + 1e-9, fields + 1) for name in columns]
    x, y = (own[name].to_numpy() for name in columns)
    count, *_ = np.histogram2d(x, y, bins=edges)
    total, *_ = np.histogram2d(x, y, bins=edges, weights=share)
    with np.errstate(invalid="ignore"):
        return edges[0], edges[1], total / count


def _size(share: float) -> float:
    return 1.0 + 2.2 * share**0.5


def _dots(axes: Axes, x: np.ndarray, y: np.ndarray, failures: np.ndarray, seeds: int) -> None:
    order = np.argsort(-failures, kind="stable")[:DOTS]
    for count in np.unique(failures[order]):
        if count:
            at = order[failures[order] == count]
            axes.plot(x[at], y[at], markersize=_size(count / seeds), alpha=0.7, zorder=3, **_DOT)


def _handles(seeds: int) -> list[Artist]:
    labels = {1 / seeds: "an episode that one seed fails", 1.0: "that all seeds fail"}
    if seeds == 1:
        labels = {1.0: "a failed episode"}
    return [Line2D([], [], markersize=_size(share), alpha=0.7, label=text, **_DOT) for share, text in labels.items()]


def _summary(data: Data, variant: str, failures: np.ndarray, seeds: int) -> str:
    succeeded, name = int((failures == 0).sum()), data.label(variant)
    if seeds == 1:
        return f"{name}: the seed succeeds in {succeeded} of {failures.size} episodes"
    none = int((failures == seeds).sum())
    return f"{name}: of {failures.size} episodes all seeds succeed in {succeeded}, none in {none}"


def _failures(data: Data, variant: str) -> tuple[pd.DataFrame, np.ndarray, int]:
    """Starts of the episodes, how many seeds fail each at the last checkpoint, and the number of seeds."""
    tables = data.final_episodes(variant)
    success, columns = data.successes[0].name, [start.name for start in data.folder.description.starts]
    failures = np.sum([1 - table[success].to_numpy() for table in tables.values()], axis=0)
    return next(iter(tables.values()))[columns], failures, len(tables)
