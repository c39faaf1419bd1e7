"""How fast training runs, and what it spends its time on."""

from itertools import pairwise

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from manyseeds.analysis.data import Data
from manyseeds.report.figures import captions, palette, style

COLLECTION, LEARNING, STEPS = "Perf/collection_time", "Perf/learning_time", "Perf/total_fps"


def throughput(data: Data) -> tuple[Figure, str]:
    """Steps per second against samples, and the time of an iteration split into collection and learning."""
    looks = palette.looks(data.variants)
    figure, grid = style.new_figure(style.TWO_COLUMNS, 2.3, 1, 2)
    speed, split = grid[0]
    seeds: dict[str, list[int]] = {}
    for variant in data.variants:
        curve = data.curve_by_samples(variant, STEPS)
        if curve is None:
            continue
        seeds[variant] = [run.seed for run in data.runs_with(variant, STEPS)]
        look = looks[variant]
        for x, y in zip(curve.x, curve.seeds, strict=True):
            speed.plot(x, y, color=look.color, **style.SEED_LINE)
        speed.plot(curve.band_x, curve.mean, color=look.color, linestyle=look.line, label=variant)
    if seeds:
        speed.set(xlabel=data.sample_axis[1], ylabel="steps per second", ylim=(0, None))
        speed.margins(x=0.01)
        speed.set_xlim(left=0)
        if len(data.variants) > 1:
            speed.legend(loc="lower right")
    else:
        style.annotate(speed, f"No run logs {STEPS}.")
    medians = _split(split, data)
    order = ", variants in the order of the legend" if len(seeds) > 1 else ""
    caption = (
        "Speed of training. Left: environment steps per second, collection and learning together; thin: "
        "each seed; "
        "bold: mean over seeds. Right: median time of an iteration of each seed, split into collection "
        "(simulating) and "
        f"learning (updating the policy){order}. {medians}{captions.counts(data, seeds)}"
        + (f" Each point is the mean of {data.block} successive iterations." if data.block > 1 else "")
    )
    return figure, caption


def _split(axes: Axes, data: Data) -> str:
    runs = [run for run in data.scalars if data.hours(run) is not None]
    if not runs:
        style.annotate(axes, "No run logs its collection and learning time.")
        return ""
    looks = palette.looks(data.variants)
    collection = np.array([np.nanmedian(data.scalars[run][COLLECTION]) for run in runs])
    learning = np.array([np.nanmedian(data.scalars[run][LEARNING]) for run in runs])
    # A gap between variants.
    changes = [before.variant != run.variant for before, run in pairwise(runs)]
    place = np.arange(len(runs)) + 0.6 * np.cumsum([0, *changes])
    for x, run, low, high in zip(place, runs, collection, learning, strict=True):
        color = looks[run.variant].color
        axes.bar(x, low, color=color, width=0.75)
        axes.bar(x, high, bottom=low, facecolor="white", edgecolor=color, hatch="/////", linewidth=0.6, width=0.75)
    if len(runs) <= 16:
        axes.set_xticks(place, [str(run.seed) for run in runs])
    else:
        axes.set_xticks([])
    room = max(0.7, 2.5 - place[-1] / 2)  # So that a bar alone does not fill the panel.
    axes.set(xlabel="seed", ylabel="seconds per iteration", xlim=(-room, place[-1] + room))
    axes.grid(axis="x", visible=False)
    axes.set_ylim(0, 1.18 * (collection + learning).max())
    axes.legend(
        handles=[
            Patch(facecolor="white", edgecolor=palette.GREY, hatch="/////", linewidth=0.6, label="learning"),
            Patch(facecolor=palette.GREY, label="collection"),
        ],
        loc="upper right",
        ncols=2,
    )
    sentences = []
    for variant in dict.fromkeys(run.variant for run in runs):
        own = [place for place, run in enumerate(runs) if run.variant == variant]
        share = np.mean(collection[own] / (collection[own] + learning[own]))
        sentences.append(f"{variant}: {100 * share:.0f} % of the time is collection. ")
    return "".join(sentences)
