"""How fast training runs, and what it spends its time on."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from manyseeds.analysis.data import Data
from manyseeds.report.figures import captions, palette, style
from manyseeds.report.figures.options import DEFAULT, TWO_COLUMNS, Options
from manyseeds.report.figures.rows import Rows, make_rows

COLLECTION, LEARNING, STEPS = "Perf/collection_time", "Perf/learning_time", "Perf/total_fps"
LIGHT = 0.35
"""How strong the color of learning is, as a share of that of collection."""


def throughput(data: Data, options: Options = DEFAULT) -> tuple[Figure, str]:
    """Steps per second against samples, and the time of an iteration split into collection and learning."""
    looks = palette.looks(data.variants)
    timed = {
        variant: [run.seed for run in data.scalars if run.variant == variant and data.hours(run) is not None]
        for variant in data.variants
    }
    timed = {variant: seeds for variant, seeds in timed.items() if seeds}
    rows = make_rows(data, timed, block=0.3, summary="") if timed else None
    height = max(1.6, rows.height if rows else 0)
    panels = (2, 1) if options.width == "one" else (1, 2)
    figure, grid = style.new_figure(options.inches(TWO_COLUMNS), 0.4 + height * panels[0], *panels)
    speed, split = grid.flat
    seeds: dict[str, list[int]] = {}
    crowded = len(data.variants) > style.CROWD
    for variant in data.variants:
        curve = data.curve_by_samples(variant, STEPS)
        if curve is None:
            continue
        seeds[variant] = [run.seed for run in data.runs_with(variant, STEPS)]
        look = looks[variant]
        for x, y in zip(curve.x, curve.seeds, strict=True):
            if not crowded:
                speed.plot(x, y, color=look.color, **style.SEED_LINE)
        speed.plot(curve.band_x, curve.mean, color=look.color, linestyle=look.line)
    if seeds:
        speed.set(xlabel=data.sample_axis[1], ylabel="steps per second", ylim=(0, None))
        speed.margins(x=0.01)
        speed.set_xlim(left=0)
    else:
        style.annotate(speed, f"No run logs {STEPS}.")
    medians = _split(split, data, rows)
    most = max(map(len, seeds.values()), default=0)
    color = palette.legend_color(looks, len(looks))
    handles = style.variant_handles(looks, captions.line_labels(data, looks, most)) if seeds else []
    if most > 1 and not crowded:
        handles.append(style.seed_handle(color))
    if rows:
        handles += [
            Patch(facecolor=color, label="collection"),
            Patch(facecolor=color, alpha=LIGHT, linewidth=0, label="learning"),
        ]
    style.legend(figure, handles)
    drawn = "mean over seeds" if crowded else "thin: each seed; bold: mean over seeds"
    return figure, (
        "Speed of training. One panel: environment steps per second, collection and learning together; "
        f"{drawn}. The other: median time of an iteration of each seed, split into collection (simulating) and "
        f"learning (updating the policy). {medians}{captions.counts(data, seeds)}"
        + (f" Each point is the mean of {data.block} successive iterations." if data.block > 1 else "")
        + " How many threads a run had, on which machine and what ran at the same time: provenance.html."
    )


def _split(axes: Axes, data: Data, rows: Rows | None) -> str:
    if rows is None:
        style.annotate(axes, "No run logs its collection and learning time.")
        return ""
    rows.apply(axes)
    runs = [run for run in data.scalars if (run.variant, run.seed) in rows.seeds]
    looks = palette.looks(data.variants)
    collection = np.array([np.nanmedian(data.scalars[run][COLLECTION]) for run in runs])
    learning = np.array([np.nanmedian(data.scalars[run][LEARNING]) for run in runs])
    for run, first, second in zip(runs, collection, learning, strict=True):
        color, y = looks[run.variant].color, rows.seeds[run.variant, run.seed]
        axes.barh(y, first, height=0.8 * rows.pitch, color=color)
        axes.barh(y, second, left=first, height=0.8 * rows.pitch, color=color, alpha=LIGHT)
    axes.set_xlabel("seconds per iteration")
    axes.set_xlim(0, 1.04 * (collection + learning).max())
    sentences = []
    for variant in dict.fromkeys(run.variant for run in runs):
        own = [place for place, run in enumerate(runs) if run.variant == variant]
        share = np.mean(collection[own] / (collection[own] + learning[own]))
        sentences.append(f"{data.label(variant)}: {100 * share:.0f} % of the time is collection. ")
    return "".join(sentences)
