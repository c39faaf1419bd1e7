"""Learning curves against samples and wall-clock."""

from collections.abc import Callable, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from manyseeds.analysis.data import Curve, Data
from manyseeds.report.figures import captions, palette, style

# What the legend and the caption call the band.
BAND_NAMES = {
    "pointwise": ("95 % t interval", "pointwise 95 % t interval over seeds"),
    "simultaneous": (
        "95 % simultaneous band",
        "simultaneous 95 % t band over seeds, which covers the whole mean curve at once",
    ),
}

Getter = Callable[[str, str], Curve | None]


def learning_curves(data: Data) -> tuple[Figure, str]:
    """Return and success in training against samples."""
    return _main(data, data.curve_by_samples, data.sample_axis[1], 1.0, _SAMPLES)


def learning_curves_wall_clock(data: Data) -> tuple[Figure, str]:
    """Return and success in training against wall-clock."""
    factor, label = _clock(data)
    return _main(data, data.curve_by_wall_clock, label, factor, _CLOCK)


def reward_terms(data: Data) -> tuple[Figure, str]:
    """Every reward term against samples."""
    return _terms(data, data.curve_by_samples, data.sample_axis[1], 1.0, _SAMPLES)


def reward_terms_wall_clock(data: Data) -> tuple[Figure, str]:
    """Every reward term against wall-clock."""
    factor, label = _clock(data)
    return _terms(data, data.curve_by_wall_clock, label, factor, _CLOCK)


_SAMPLES = "against samples (environment steps, all environments together)"
_CLOCK = (
    "against wall-clock (collection and learning, without starting up and evaluating; "
    "seeds are interpolated to common times for the mean)"
)


def _clock(data: Data) -> tuple[float, str]:
    ends = [hours[-1] for run in data.scalars if (hours := data.hours(run)) is not None]
    return (1.0, "hours of training") if max(ends, default=0) >= 2 else (60.0, "minutes of training")


def _main(data: Data, get: Getter, label: str, factor: float, against: str) -> tuple[Figure, str]:
    figure, grid = style.new_figure(style.ONE_COLUMN, 3.7, 2, 1, sharex=True)
    tags = data.folder.tags
    panels = list(zip(grid[:, 0], (tags.reward, tags.success), strict=True))
    drawn = _draw(data, get, [(axes, tag) for axes, tag in panels if tag], factor)
    if not tags.success:
        style.annotate(grid[1, 0], f"The trainer {data.folder.trainer} logs no success rate.")
    grid[1, 0].set_xlabel(label)
    for axes, name in zip(grid[:, 0], ("return per episode", "success rate in training (%)"), strict=True):
        axes.set_ylabel(name)
    _legend(figure, data, drawn)
    what = "Return per episode and success rate" if tags.success else "Return per episode"
    named = ", ".join(tag for _, tag in panels if tag)
    logged = "" if data.folder.evaluated else f" as {data.folder.trainer} logs them ({named}),"
    return figure, f"{what} during training{logged} {against}. " + _caption(data, drawn)


def _terms(data: Data, get: Getter, label: str, factor: float, against: str) -> tuple[Figure, str]:
    prefix = data.folder.tags.reward_terms
    tags = data.tags(prefix) or [prefix]
    columns = min(3, len(tags))
    rows = -(-len(tags) // columns)
    width = style.TWO_COLUMNS if columns > 1 else style.ONE_COLUMN
    figure, grid = style.new_figure(width, 0.5 + 1.55 * rows, rows, columns, sharex=True)
    panels = list(zip(grid.flat, tags, strict=False))
    drawn = _draw(data, get, panels, factor)
    for place, axes in enumerate(grid.flat):
        if place < len(tags):
            axes.set_title(tags[place].removeprefix(prefix).replace("_", " "))
        else:
            axes.set_axis_off()
        if place + columns >= len(tags):  # Nothing below this panel.
            axes.set_xlabel(label)
            axes.tick_params(labelbottom=True)
    _legend(figure, data, drawn)
    lead = f"Reward terms ({prefix.rstrip('/')}, as the environment logs them) {against}. "
    return figure, lead + _caption(data, drawn)


def _draw(data: Data, get: Getter, panels: Sequence[tuple[Axes, str]], factor: float) -> dict[str, dict[str, int]]:
    """Draw each tag into its axes; returns how many seeds of each variant each tag has."""
    looks = palette.looks(data.variants)
    drawn: dict[str, dict[str, int]] = {}
    for axes, tag in panels:
        is_share = tag == data.folder.tags.success
        scale = 100.0 if is_share else 1.0
        curves = {variant: curve for variant in data.variants if (curve := get(variant, tag)) is not None}
        drawn[tag] = {variant: curve.count for variant, curve in curves.items()}
        if not curves:
            style.annotate(axes, f"No run logs {tag}." if data.scalars else "No run has a scalars.csv.")
        for variant, curve in curves.items():
            _draw_curve(axes, curve, looks[variant], factor, scale, top=1.0 if is_share else None)
        if curves:
            limits = _limits(list(curves.values()), scale)
            axes.set_ylim(*(np.clip(limits, -2, 102) if is_share else limits))
            axes.margins(x=0.01)
            axes.set_xlim(left=0)
    return drawn


def _draw_curve(axes: Axes, curve: Curve, look: palette.Look, factor: float, scale: float, top: float | None) -> None:
    for x, y in zip(curve.x, curve.seeds, strict=True):
        axes.plot(x * factor, y * scale, color=look.color, **style.SEED_LINE)
    low, high = (curve.low, curve.high) if top is None else np.clip((curve.low, curve.high), 0, top)
    axes.fill_between(curve.band_x * factor, low * scale, high * scale, color=look.color, **style.BAND)
    axes.plot(curve.band_x * factor, curve.mean * scale, color=look.color, linestyle=look.line)


def _limits(curves: list[Curve], scale: float) -> tuple[float, float]:
    """Limits that show all seeds; a band that two or three seeds make very wide may leave the panel."""
    values = np.concatenate([y for curve in curves for y in curve.seeds])
    bands = np.concatenate([band for curve in curves for band in (curve.low, curve.high)])
    low, high = np.nanmin(values), np.nanmax(values)
    room = 0.3 * (high - low) or 0.05 * abs(high) or 1.0
    bands = bands[np.isfinite(bands)]
    if bands.size:
        low, high = min(low, max(bands.min(), low - room)), max(high, min(bands.max(), high + room))
    margin = 0.04 * (high - low) or room
    return (low - margin) * scale, (high + margin) * scale


def _legend(figure: Figure, data: Data, drawn: dict[str, dict[str, int]]) -> None:
    most = max((count for counts in drawn.values() for count in counts.values()), default=0)
    if most:
        style.legend(figure, style.curve_handles(data.variants, most, band=BAND_NAMES[data.band][0]))


def _caption(data: Data, drawn: dict[str, dict[str, int]]) -> str:
    seeds = {variant: [run.seed for run in data.scalars if run.variant == variant] for variant in data.variants}
    sentences = [
        captions.interval(
            f"Thin: each seed; bold: mean over seeds; band: {BAND_NAMES[data.band][1]}, drawn where all seeds "
            "have data",
            {variant: own for variant, own in seeds.items() if own},
        ),
        captions.counts(data, seeds),
    ]
    for tag, counts in drawn.items():
        for variant, count in counts.items():
            if count < len(seeds[variant]):
                sentences.append(f"{tag}: n = {count} of {len(seeds[variant])} for {variant}, the others lack it.")
    if data.block > 1:
        sentences.append(f"Each point is the mean of {data.block} successive iterations.")
    return " ".join(sentences)
