"""Return of the last checkpoint, or at the end of training; it is there where nothing is a success rate, too."""

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from manyseeds import statistics
from manyseeds.analysis.data import Data
from manyseeds.analysis.rates import column
from manyseeds.report.figures import captions, palette, style
from manyseeds.report.figures.options import DEFAULT, ONE_COLUMN, Options
from manyseeds.report.figures.rows import make_rows


def final_return(data: Data, options: Options = DEFAULT) -> tuple[Figure, str]:
    """Return per episode at the end of training, a dot per seed."""
    outcome = data.folder.outcomes[-1]
    name = column(outcome)
    final = data.final.dropna(subset=[name]) if data.has_rates else None
    if final is None or final.empty:
        figure, grid = style.new_figure(options.inches(ONE_COLUMN), 1.5)
        return figure, style.nothing(grid, f"No run has a number of {outcome.tag or outcome.title} at its end.")
    seeds = captions.seeds_in(data, final)
    rows = make_rows(data, seeds)
    figure, grid = style.new_figure(options.inches(ONE_COLUMN), rows.height + 0.6)
    axes = grid[0, 0]
    rows.apply(axes)
    looks = palette.looks(data.variants)
    for variant, own in seeds.items():
        numbers = final[final["variant"] == variant].set_index("seed")[name][own].to_numpy(float)
        color, places = looks[variant].color, [rows.seeds[variant, seed] for seed in own]
        axes.plot(numbers, places, color=color, linestyle="none", marker="o", markersize=min(2.8, 60 * rows.pitch))
        if variant in rows.summary:
            mean, low, high = map(float, statistics.t_interval(numbers))
            if np.isfinite([low, high]).all() and low < high:
                lane = [rows.summary[variant]] * 2
                axes.plot([low, high], lane, color=color, linewidth=1.8, solid_capstyle="butt", zorder=3)
            axes.plot(mean, rows.summary[variant], color=color, linestyle="none", zorder=4, **style.MEAN_MARK)
    axes.set_xlabel("return per episode")
    color = palette.legend_color(looks, len(seeds))
    handles = [Line2D([], [], color=color, linestyle="none", marker="o", markersize=2.8, label="one seed")]
    if max(map(len, seeds.values())) > 1:
        label = "mean over seeds, 95 % interval over seeds"
        handles.append(Line2D([], [], color=color, linewidth=1.8, label=label, **style.MEAN_MARK))
    style.legend(figure, handles)
    drawn = captions.interval(data, "Diamonds: mean over seeds, with its 95 % t interval over seeds", seeds)
    return figure, (
        f"{captions.reported(data, outcome.title)} {captions.meaning(data, [outcome])} Filled: each seed. {drawn} "
        + captions.counts(data, seeds)
        + captions.unfinished(data)
    )
