"""Success of the evaluated checkpoints, over training and at its end, and how variants differ in it."""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from manyseeds.analysis.data import Data
from manyseeds.core.description import Outcome
from manyseeds.report.figures import captions, palette, style
from manyseeds.report.figures.options import DEFAULT, ONE_COLUMN, TWO_COLUMNS, Options, panel_groups
from manyseeds.report.figures.rows import LINE, WIDEST, Rows, make_rows
from manyseeds.report.figures.scales import success_axis

COLUMNS = 3
"""The most panels side by side."""
TALL = 5.0
"""A narrow figure is not made taller than that, in inch, to stack its panels."""
DENSE = 12
"""With more checkpoints than this, only some of them carry a bar."""
LOGARITHMIC = " The scale is logarithmic in the failures; 100 % is drawn where half an episode fails."


def success_per_checkpoint(data: Data, options: Options = DEFAULT) -> tuple[Figure, str]:
    """Share of evaluation episodes that succeed, for every checkpoint."""
    groups = panel_groups(data, options.panels)
    panels = max(1, len(data.successes)) if data.episodes else 1
    width = options.inches(TWO_COLUMNS if len(groups) > 1 else ONE_COLUMN)
    figure, grid = style.new_figure(width, 0.3 + 1.8 * panels, panels, len(groups), sharex=True, sharey=True)
    if missing := captions.no_success(data) or ("" if data.episodes else captions.no_episodes(data)):
        return figure, style.nothing(grid, missing)
    seeds = captions.seeds_in(data, data.rates)
    crowded = max(len(variants) for _, variants in groups) > style.CROWD
    for row, outcome in zip(grid, data.successes, strict=True):
        for axes, (_, variants) in zip(row, groups, strict=True):
            shown = [variant for variant in variants if variant in seeds]
            for place, variant in enumerate(shown):
                _checkpoints(axes, data, variant, outcome.name, (place, len(shown)), crowded=crowded)
            axes.margins(x=0.02)
        row[0].set_ylabel(captions.label(outcome))
    best = max(100 * data.rates[outcome.name].max() for outcome in data.successes)
    highest = max(_ends(data.rates_over_seeds, outcome)[1] for outcome in data.successes)
    logarithmic = False
    for axes in grid.flat:
        logarithmic = success_axis(axes, "y", (0, max(highest, best)), best, data.rates["episodes"].max())
        axes.set_xlim(left=0)
    for axes, (title, _) in zip(grid[0], groups, strict=True):
        axes.set_title(title)
    for axes in grid[-1]:
        axes.set_xlabel(data.sample_axis[1])
    most = max(map(len, seeds.values()))
    looks = {variant: palette.looks(data.variants)[variant] for variant in seeds}
    color = palette.legend_color(looks, len(seeds))
    handles = style.variant_handles(looks, captions.line_labels(data, seeds, most), markers=True)
    if most > 1:
        if not crowded:
            handles.append(Line2D([], [], color=color, **_SEED_DOT, label="each seed"))
        handles.append(style.interval_handle(color, captions.RATE_INTERVAL, bars=True))
    style.legend(figure, handles)
    drawn = captions.interval(
        data,
        ("" if crowded else "Dots: each seed; ")
        + f"marks: mean over seeds; bars: pointwise {captions.RATE_INTERVAL_LONG}",
        seeds,
    )
    return figure, (
        f"Success of every checkpoint on the same episodes. {captions.meaning(data, data.successes)} {drawn} "
        "Lines only join the checkpoints of a variant; its marks are moved apart from those of others. "
        + captions.counts(data, seeds)
        + (LOGARITHMIC if logarithmic else "")
    )


_SEED_DOT: dict[str, Any] = {"linestyle": "none", "marker": "o", "markersize": 1.9, "markeredgewidth": 0, "alpha": 0.6}


def _checkpoints(axes: Axes, data: Data, variant: str, share: str, among: tuple[int, int], *, crowded: bool) -> None:
    look = palette.looks(data.variants)[variant]
    over = data.rates_over_seeds[data.rates_over_seeds["variant"] == variant]
    x = data.to_axis(variant, over["iteration"].to_numpy())
    place, of = among
    wide = 0.7 * float(np.diff(x).min()) / of if len(x) > 1 else 0.0
    apart = wide * (place - (of - 1) / 2)
    mean = over[f"{share}_mean"].to_numpy()
    axes.plot(x + apart, 100 * mean, color=look.color, linestyle=look.line, linewidth=0.6, alpha=0.6, zorder=2)
    if not crowded:
        own = data.rates[data.rates["variant"] == variant]
        at = data.to_axis(variant, own["iteration"].to_numpy())
        left = apart - 0.22 * min(wide, 0.25 * float(np.ptp(x)) / of)
        axes.plot(at + left, 100 * own[share], color=look.color, clip_on=False, zorder=2.1, **_SEED_DOT)
    errors = _errors(mean, over, share)
    every = -(-len(x) // DENSE)
    kept = np.arange(len(x)) % every == (len(x) - 1) % every  # The last one always carries a bar.
    axes.errorbar(
        x + apart,
        100 * mean,
        yerr=np.where(kept, errors, 0),
        color=look.color,
        marker=look.marker,
        markersize=2.8 if crowded else 3.5,
        clip_on=False,
        zorder=3 + place,
        **style.BAR,
    )


def _errors(center: np.ndarray, table: pd.DataFrame, share: str) -> np.ndarray:
    """Lengths of error bars, percent, (2, rows); 0 where there is no interval."""
    if f"{share}_low" not in table:
        return np.zeros((2, len(table)))
    errors = np.stack([center - table[f"{share}_low"], table[f"{share}_high"] - center])
    return 100 * np.clip(np.nan_to_num(errors), 0, None)


def final_success(data: Data, options: Options = DEFAULT) -> tuple[Figure, str]:
    """Success of the last checkpoint, or at the end of training, a dot per seed."""
    if missing := captions.no_success(data):
        figure, grid = style.new_figure(options.inches(ONE_COLUMN), 1.5)
        return figure, style.nothing(grid, missing)
    seeds = captions.seeds_in(data, data.final)
    rows = make_rows(data, seeds)
    figure, grid = row_figure(data.successes, rows, options)
    panels = grid.flat[: len(data.successes)]
    best = max(100 * data.final[outcome.name].max() for outcome in data.successes)
    ends = [_ends(table, outcome) for outcome in data.successes for table in (data.final, data.final_over_seeds)]
    drawn_ends = min(low for low, _ in ends), max(high for _, high in ends)
    episodes = data.final["episodes"].max() if data.folder.evaluated else np.inf
    logarithmic = False
    for axes, outcome in zip(panels, data.successes, strict=True):
        axes.set_title(captions.label(outcome).removesuffix(" (%)"))
        for variant in seeds:
            _final_rows(axes, data, outcome.name, variant, rows)
        if np.isfinite(episodes):
            room = 0.26 / ((figure.get_figwidth() - 1.0) / min(len(panels), COLUMNS))
            logarithmic = success_axis(axes, "x", drawn_ends, best, episodes, room=room)
    style.label_below(figure, grid, "episodes (%)")
    style.legend(figure, _final_handles(data, seeds))
    drawn = captions.interval(data, f"Diamonds: mean over seeds, with its {captions.RATE_INTERVAL_LONG}", seeds)
    wilson = ", with the 95 % Wilson interval of this one policy over other episodes" if _has_wilson(data) else ""
    return figure, (
        f"{captions.reported(data)} {captions.meaning(data, data.successes)} "
        f"Filled: each seed{wilson}. {drawn} "
        + captions.counts(data, seeds)
        + (LOGARITHMIC if logarithmic else " The axis does not start at zero." if drawn_ends[0] > 5 else "")
        + captions.unfinished(data)
        + captions.too_narrow(data)
    )


def row_figure(outcomes: tuple[Outcome, ...], rows: Rows, options: Options) -> tuple[Figure, np.ndarray]:
    """A panel for each outcome, which share the rows; side by side, unless they are narrow and low."""
    columns = min(len(outcomes), COLUMNS)
    if options.width == "one" and rows.height * len(outcomes) <= TALL:
        columns = 1
    lines = -(-len(outcomes) // columns)
    width = options.inches(TWO_COLUMNS if columns > 1 else ONE_COLUMN)
    figure, grid = style.new_figure(width, (rows.height + 0.6) * lines, lines, columns, sharey=True)
    for place, axes in enumerate(grid.flat):
        if place < len(outcomes):
            rows.apply(axes)
        else:
            axes.set_axis_off()
    return figure, grid


def _ends(table: pd.DataFrame, outcome: Outcome) -> tuple[float, float]:
    """The lowest and highest rate or limit in a table, in percent."""
    endings = ("", "_mean", "_low", "_high")
    numbers = table[[outcome.name + end for end in endings if outcome.name + end in table]].to_numpy(float)
    return float(100 * np.nanmin(numbers)), float(100 * np.nanmax(numbers))


def _final_rows(axes: Axes, data: Data, share: str, variant: str, rows: Rows) -> None:
    look = palette.looks(data.variants)[variant]
    own = data.final[data.final["variant"] == variant].sort_values("seed")
    y = [rows.seeds[variant, int(seed)] for seed in own["seed"]]
    axes.errorbar(
        100 * own[share],
        y,
        xerr=_errors(own[share].to_numpy(), own, share),
        color=look.color,
        linestyle="none",
        marker="o",
        markersize=min(2.8, 60 * rows.pitch),
        elinewidth=0.5,
        clip_on=False,
        zorder=3,
    )
    if variant in rows.summary:
        over = data.final_over_seeds[data.final_over_seeds["variant"] == variant]
        mean = over[f"{share}_mean"].to_numpy()
        axes.errorbar(
            100 * mean,
            [rows.summary[variant]],
            xerr=_errors(mean, over, share),
            color=look.color,
            linestyle="none",
            elinewidth=1.8,
            clip_on=False,
            zorder=4,
            **style.MEAN_MARK,
        )


def _has_wilson(data: Data) -> bool:
    """Whether a seed's rate is that of one policy."""
    return data.folder.evaluated and data.folder.evaluate.checkpoints == 1


def _final_handles(data: Data, seeds: dict[str, list[int]]) -> list[Artist]:
    color = palette.legend_color(palette.looks(data.variants), len(seeds))
    wilson = ", 95 % Wilson interval over episodes" if _has_wilson(data) else ""
    handles: list[Artist] = [
        Line2D([], [], color=color, linewidth=0.5, marker="o", markersize=2.8, label=f"one seed{wilson}")
    ]
    if max(map(len, seeds.values())) > 1:
        label = f"mean over seeds, {captions.RATE_INTERVAL}"
        handles.append(Line2D([], [], color=color, linewidth=1.8, label=label, **style.MEAN_MARK))
    return handles


def differences(data: Data, options: Options = DEFAULT) -> tuple[Figure, str]:
    """How the variants differ at the end of training, with the intervals of the differences."""
    if missing := captions.no_success(data) or _no_comparison(data):
        figure, grid = style.new_figure(options.inches(ONE_COLUMN), 1.5)
        return figure, style.nothing(grid, missing)
    table = data.comparisons
    outcomes = tuple(outcome for outcome in data.successes if (table["outcome"] == outcome.name).any())
    pairs = list(dict.fromkeys(zip(table["a"], table["b"], strict=True)))
    names = tuple(style.wrapped(f"{data.label(a)} - {data.label(b)}", 2 * WIDEST) for a, b in pairs)
    pitch = max(0.17, LINE * max(1 + name.count("\n") for name in names))
    places = tuple(pitch * (place + 0.7) for place in range(len(pairs)))
    rows = Rows({}, {}, pitch, places, names, pitch * (len(pairs) + 0.4), ())
    figure, grid = row_figure(outcomes, rows, options)
    panels = grid.flat[: len(outcomes)]
    looks = palette.looks(data.variants)
    for axes, outcome in zip(panels, outcomes, strict=True):
        axes.axvline(0, color=palette.GREY, linewidth=0.8, zorder=1)
        axes.set_title(captions.label(outcome).removesuffix(" (%)"))
        own = table[table["outcome"] == outcome.name].set_index(["a", "b"])
        for y, pair in zip(places, pairs, strict=True):
            _difference(axes, own.loc[pair], y, looks[pair[0]].color)
        _balance(axes)
    style.label_below(figure, grid, "difference (percentage points)")
    together = f", all {len(pairs)} comparisons together" if len(pairs) > 1 else ""
    handle = Line2D([], [], color=palette.GREY, linewidth=1.8, **style.MEAN_MARK)
    handle.set_label(f"difference of means, 95 % interval over seeds{together}")
    style.legend(figure, [handle])
    return figure, captions.differences(data, outcomes)


def _no_comparison(data: Data) -> str:
    return "" if len(data.comparisons) else "There are no two variants to compare."


def _difference(axes: Axes, row: pd.Series, y: float, color: str) -> None:
    limits = 100 * row[["low", "high"]].to_numpy(float)
    if np.isfinite(limits).all():
        axes.plot(limits, [y, y], color=color, linewidth=1.8, solid_capstyle="butt", zorder=3)
    axes.plot(100 * row["difference"], y, color=color, zorder=4, linestyle="none", **style.MEAN_MARK)


def _balance(axes: Axes) -> None:
    """Keep the line of no difference within the panel."""
    low, high = axes.get_xlim()
    margin = 0.05 * (max(high, 0) - min(low, 0))
    axes.set_xlim(min(low, -margin), max(high, margin))
