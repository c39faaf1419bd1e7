"""How success and measures are distributed over seeds and episodes."""

from typing import Any

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import LogLocator

from manyseeds import statistics
from manyseeds.analysis.data import Data
from manyseeds.core.description import Outcome
from manyseeds.core.text import count_of
from manyseeds.report.figures import captions, palette, style
from manyseeds.report.figures.options import DEFAULT, ONE_COLUMN, TWO_COLUMNS, Options
from manyseeds.report.figures.scales import success_axis

COLUMNS = 3
"""The most panels side by side."""
WIDE = 30
"""An axis is logarithmic where the values span at least this factor."""
LEAST_SEEDS = 6
"""A profile of fewer seeds gets no band: it would fill the panel."""


def performance_profile(data: Data, options: Options = DEFAULT) -> tuple[Figure, str]:
    """Share of seeds above each success rate, a panel for each variant."""
    if missing := captions.no_success(data):
        figure, grid = style.new_figure(options.inches(ONE_COLUMN), 1.5)
        return figure, style.nothing(grid, missing)
    seeds = captions.seeds_in(data, data.final)
    columns = min(len(seeds), COLUMNS)
    lines = -(-len(seeds) // columns)
    width = options.inches(TWO_COLUMNS if columns > 1 else ONE_COLUMN)
    figure, grid = style.new_figure(
        width, 0.3 + (2.1 if lines == 1 else 1.5) * lines, lines, columns, sharex=True, sharey=True
    )
    success = data.successes[0]
    scores = {
        variant: data.final.loc[data.final["variant"] == variant, success.name].dropna().to_numpy() for variant in seeds
    }
    every = np.concatenate(list(scores.values()))
    # Where the seeds are, and a little on either side.
    lowest, highest = max(0.0, 100 - 1.6 * (100 - 100 * every.min())), 100 - 0.6 * (100 - 100 * every.max())
    episodes = data.final["episodes"].max() if data.folder.evaluated else np.inf
    shown = np.linspace(lowest, 100, 1001) / 100
    logarithmic = False
    for place, (axes, variant) in enumerate(zip(grid.flat, seeds, strict=False)):
        for other in seeds:
            if other != variant:
                share = statistics.performance_profile(scores[other], shown).estimate
                axes.step(100 * shown, 100 * share, where="post", color="#C4C4C4", linewidth=0.7, zorder=1.5)
        _profile(axes, data, variant, scores[variant], shown)
        if len(seeds) > 1:
            axes.set_title(style.wrapped(data.label(variant), (width - 0.5) / columns))
        if np.isfinite(episodes):
            room = 0.26 / ((width - 0.5) / columns)
            logarithmic = success_axis(axes, "x", (lowest, highest), 100 * every.max(), episodes, room=room)
        else:
            axes.set_xlim(lowest, highest)
        axes.set_ylim(-3, 103)
        if place % columns == 0:
            axes.set_ylabel("seeds above τ (%)")
        if place + columns >= len(seeds):
            axes.tick_params(labelbottom=True)
    style.label_below(figure, grid, f"success rate τ (%, {success.title.lower()})")
    for axes in grid.flat[len(seeds) :]:
        axes.set_axis_off()
    style.legend(figure, _profile_handles(data, scores))
    few = [variant for variant in seeds if len(scores[variant]) < LEAST_SEEDS]
    return figure, (
        f"Performance profile: the share of seeds whose success rate ({success.title.lower()}) is above τ. "
        + captions.meaning(data, [success])
        + (f" Band: {_band_words(data)[1]}." if len(few) < len(seeds) else "")
        + (f" {_said_of_few(data, scores, few)}" if few else "")
        + (" Grey: the other variants." if len(seeds) > 1 else "")
        + (" The horizontal scale is logarithmic in the failures." if logarithmic else "")
        + f" {captions.counts(data, seeds)}"
        + captions.unfinished(data)
    )


def _band_words(data: Data) -> tuple[str, str]:
    """What legend and caption call the band of a profile."""
    if data.band == "simultaneous":
        return "95 % band of the whole profile", "95 % band that covers the whole profile at once (Kolmogorov)"
    return "95 % interval at each τ", "95 % interval of the share at each τ (Clopper and Pearson)"


def _said_of_few(data: Data, scores: dict[str, np.ndarray], few: list[str]) -> str:
    counts = sorted({len(scores[variant]) for variant in few})
    parts = [
        f"{count_of(count)} allow{'s' if count == 1 else ''} no band: even if all are above τ, "
        f"{100 * statistics.clopper_pearson(count, count)[0]:.0f} to 100 % of all seeds may be (95 %)"
        for count in counts
    ]
    return f"{'; '.join(parts)}. The profile only shows where they are."


def _profile(axes: Axes, data: Data, variant: str, scores: np.ndarray, thresholds: np.ndarray) -> None:
    look = palette.looks(data.variants)[variant]
    profile = statistics.performance_profile(scores, thresholds, simultaneous=data.band == "simultaneous")
    axes.step(100 * thresholds, 100 * profile.estimate, where="post", color=look.color, zorder=3)
    if len(scores) >= LEAST_SEEDS:
        style.band(axes, 100 * thresholds, 100 * profile.low, 100 * profile.high, look, step="post")
        return
    ordered = np.sort(scores)
    axes.plot(
        100 * ordered, 100 * (1 - np.arange(1, len(scores) + 1) / len(scores)), ".", color=look.color, clip_on=False
    )


def _profile_handles(data: Data, scores: dict[str, np.ndarray]) -> list[Artist]:
    color = palette.legend_color(palette.looks(data.variants), len(scores))
    handles: list[Artist] = [Line2D([], [], color=color, label="share of the seeds")]
    if any(len(own) >= LEAST_SEEDS for own in scores.values()):
        handles.append(style.interval_handle(color, _band_words(data)[0], bars=False))
    if len(scores) > 1:
        handles.append(Line2D([], [], color="#C4C4C4", linewidth=0.7, label="other variants"))
    for count in sorted({len(own) for own in scores.values() if len(own) < LEAST_SEEDS}):
        low = 100 * statistics.clopper_pearson(count, count)[0]
        sentence = f"no band: {count} of {count} seeds above τ allow {low:.0f} to 100 % of all seeds"
        handles.append(Line2D([], [], linestyle="none", label=sentence))
    return handles


def measures(data: Data, options: Options = DEFAULT) -> tuple[Figure, str]:
    """Share of the evaluation episodes up to a value of each measure."""
    outcomes = data.folder.description.measures if data.episodes else ()
    if not outcomes:
        figure, grid = style.new_figure(options.inches(ONE_COLUMN), 1.5)
        sentence = "No outcome of this experiment is a measure." if data.episodes else captions.no_episodes(data)
        return figure, style.nothing(grid, sentence)
    columns = options.columns(len(outcomes), COLUMNS)
    lines = -(-len(outcomes) // columns)
    width = options.inches(TWO_COLUMNS if columns > 1 else ONE_COLUMN)
    figure, grid = style.new_figure(width, 0.2 + 2.0 * lines, lines, columns, sharey=True)
    seeds = captions.seeds_played(data)
    crowded = style.crowded(len(seeds), min(map(len, seeds.values())))
    limits = []
    for place, axes in enumerate(grid.flat):
        if place >= len(outcomes):
            axes.set_axis_off()
            continue
        limits += _distributions(axes, data, outcomes[place], list(seeds), crowded=crowded)
        if place % columns == 0:
            axes.set_ylabel("episodes up to there (%)")
    looks = {variant: palette.looks(data.variants)[variant] for variant in seeds}
    most = max(map(len, seeds.values()))
    color = palette.legend_color(looks, len(seeds))
    handles = style.variant_handles(looks, captions.line_labels(data, seeds, most), markers=crowded)
    if most > 1:
        if not crowded:
            handles.append(style.seed_handle(color))
        handles.append(style.interval_handle(color, captions.RATE_INTERVAL, bars=crowded))
    if limits:
        handles.append(Line2D([], [], **_LIMIT, label=", ".join(dict.fromkeys(limits))))
    style.legend(figure, handles)
    meanings = "; ".join(f"{outcome.title}: {outcome.meaning}" for outcome in outcomes)
    shape = "bars at some points, moved apart" if crowded else "thin: each seed; band"
    drawn = captions.interval(data, f"Lines: mean over seeds; {shape}: pointwise {captions.RATE_INTERVAL_LONG}", seeds)
    return figure, (
        "The share of evaluation episodes up to a value, last checkpoint. "
        f"{meanings}. An episode without a value counts as above all. {drawn} "
        + (f"Dashed: {', '.join(dict.fromkeys(limits))}. " if limits else "")
        + captions.counts(data, seeds)
        + captions.unfinished(data)
    )


_LIMIT: dict[str, Any] = {"color": palette.GREY, "linewidth": 0.8, "linestyle": (0, (3, 2))}


def _distributions(axes: Axes, data: Data, measure: Outcome, variants: list[str], *, crowded: bool) -> list[str]:
    """Draw one panel; returns the numbers of the task that are marked in it, in words."""
    values = {
        variant: [table[measure.name].to_numpy(float) for table in data.final_episodes(variant).values()]
        for variant in variants
    }
    every = np.concatenate([own for seeds in values.values() for own in seeds])
    every = every[np.isfinite(every)]
    axes.set(xlabel=captions.label(measure), ylim=(-3, 103))
    if not every.size:
        style.annotate(axes, f"No episode has a number in {measure.name}.")
        return []
    low, high = np.quantile(every, (0.001, 0.999))  # A few episodes far away must not decide the axis.
    if low == high:
        low, high = low - 0.5, high + 0.5
    logarithmic = low > 0 and high / low > WIDE
    points = np.geomspace(low, high, 200) if logarithmic else np.linspace(low, high, 200)
    for place, (variant, seeds) in enumerate(values.items()):
        look = palette.looks(data.variants)[variant]
        # An episode without a number sorts to the end, above every value.
        shares = np.stack([np.searchsorted(np.sort(own), points, side="right") / own.size for own in seeds])
        mean, lower, upper = (100 * part for part in statistics.rate_interval(shares, seeds[0].size))
        axes.plot(points, mean, color=look.color, linestyle=look.line, zorder=2.5)
        if crowded:
            # Evenly spaced on the axis as it is drawn.
            along = np.linspace(0, 1, points.size)
            style.bars(axes, points, mean, lower, upper, look, place + 0.5, len(values), along)
            continue
        for share in shares:
            axes.plot(points, 100 * share, color=look.color, **style.SEED_LINE)
        if len(seeds) > 1:
            style.band(axes, points, lower, upper, look)
    if logarithmic:
        axes.set_xscale("log")
        axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.xaxis.set_major_formatter(_plain)
        axes.xaxis.set_minor_formatter("")
    axes.set_xlim(low, high)
    return _marks(axes, data, measure, variants)


def _plain(value: float, _place: float) -> str:
    return f"{value:g}"


def _marks(axes: Axes, data: Data, measure: Outcome, variants: list[str]) -> list[str]:
    if not measure.limit:
        return []
    numbers = dict.fromkeys(data.folder.number(measure.limit, variant, evaluation=True) for variant in variants)
    for number in numbers:
        axes.axvline(number, zorder=1.9, **_LIMIT)
    unit = f" {measure.unit}" if measure.unit else ""
    return [f"{measure.limit} = {number:g}{unit}" for number in numbers]
