"""Learning curves against samples and wall-clock."""

from collections.abc import Callable, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from manyseeds.analysis.data import Curve, Data
from manyseeds.analysis.results import OURS
from manyseeds.report.figures import captions, palette, style
from manyseeds.report.figures.options import DEFAULT, ONE_COLUMN, TWO_COLUMNS, Options, panel_groups

Getter = Callable[[str, str], Curve | None]


def learning_curves(data: Data, options: Options = DEFAULT) -> tuple[Figure, str]:
    """Return and success in training against samples."""
    return _main(data, options, data.curve_by_samples, data.sample_axis[1], 1.0, _samples(data))


def learning_curves_wall_clock(data: Data, options: Options = DEFAULT) -> tuple[Figure, str]:
    """Return and success in training against wall-clock."""
    factor, label = _clock(data)
    return _main(data, options, data.curve_by_wall_clock, label, factor, _CLOCK)


def reward_terms(data: Data, options: Options = DEFAULT) -> tuple[Figure, str]:
    """Every reward term against samples."""
    return _terms(data, options, data.curve_by_samples, data.sample_axis[1], 1.0, _samples(data))


def reward_terms_wall_clock(data: Data, options: Options = DEFAULT) -> tuple[Figure, str]:
    """Every reward term against wall-clock."""
    factor, label = _clock(data)
    return _terms(data, options, data.curve_by_wall_clock, label, factor, _CLOCK)


def _samples(data: Data) -> str:
    if data.knows_samples and data.folder.unit != "samples":
        return f"against {data.folder.unit}"
    if data.knows_samples:
        return "against samples (environment steps, all environments together)"
    return "against iterations"


_CLOCK = (
    "against wall-clock (collection and learning, without starting up and evaluating; "
    "seeds are interpolated to common times for the mean)"
)


def _clock(data: Data) -> tuple[float, str]:
    ends = [hours[-1] for run in data.scalars if (hours := data.hours(run)) is not None]
    return (1.0, "hours of training") if max(ends, default=0) >= 2 else (60.0, "minutes of training")


def _main(data: Data, options: Options, get: Getter, label: str, factor: float, against: str) -> tuple[Figure, str]:
    groups = panel_groups(data, options.panels)
    width = options.inches(TWO_COLUMNS if len(groups) > 1 else ONE_COLUMN)
    figure, grid = style.new_figure(width, 3.5, 2, len(groups), sharex=True, sharey="row")
    tags = data.folder.tags
    names = ("return per episode", "success rate in training (%)")
    rows = list(zip(grid, (tags.reward, tags.success), names, strict=True))
    drawing = _Drawing(data, get, factor, max(len(own) for _, own in groups))
    for row, tag, name in rows:
        row[0].set_ylabel(name)
        if tag:
            drawing.row(list(row), [tag] * len(groups), [own for _, own in groups])
        else:
            for axes in row:
                style.annotate(axes, f"No success rate is logged by {data.folder.trainer}.")
    for axes, (title, _) in zip(grid[0], groups, strict=True):
        axes.set_title(title)
    for axes in grid[-1]:
        axes.set_xlabel(label)
    drawing.legend(figure)
    what = "Return per episode and success rate" if tags.success else "Return per episode"
    named = ", ".join(tag for _, tag, _ in rows if tag)
    logged = "" if data.folder.trainer == OURS else f" as {data.folder.trainer} logs them ({named}),"
    parts = [f"{what} during training{logged} {against}.", drawing.caption()]
    if tags.success and not data.folder.evaluated_by_trainer:
        parts.append(captions.training_success(data))
    return figure, " ".join(parts)


def _terms(data: Data, options: Options, get: Getter, label: str, factor: float, against: str) -> tuple[Figure, str]:
    prefix = data.folder.tags.reward_terms
    tags = data.tags(prefix) or [prefix]
    columns = options.columns(len(tags), 3)
    rows = -(-len(tags) // columns)
    width = options.inches(TWO_COLUMNS if columns > 1 else ONE_COLUMN)
    figure, grid = style.new_figure(width, 0.4 + 1.5 * rows, rows, columns, sharex=True)
    drawing = _Drawing(data, get, factor, len(data.variants))
    for axes, tag in zip(grid.flat, tags, strict=False):
        drawing.row([axes], [tag], [data.variants])
        axes.set_title(style.wrapped(tag.removeprefix(prefix).replace("_", " "), (width - 0.8) / columns))
    ours = data.folder.trainer == OURS
    for place, axes in enumerate(grid.flat):
        if place >= len(tags):
            axes.set_axis_off()
        if place % columns == 0:
            axes.set_ylabel("weighted (1/s)" if ours else "as logged")
        if place + columns >= len(tags):  # Nothing below this panel.
            axes.set_xlabel(label)
            axes.tick_params(labelbottom=True)
    drawing.legend(figure)
    unit = (
        "weighted, summed over an episode and divided by the full length of an episode"
        if ours
        else f"as {data.folder.trainer} logs them"
    )
    return figure, f"Reward terms ({prefix.rstrip('/')}: {unit}) {against}. {drawing.caption()}"


class _Drawing:
    """Panels of curves in one way of drawing, and what legend and caption then say."""

    def __init__(self, data: Data, get: Getter, factor: float, most_variants: int) -> None:
        self.data = data
        self.get = get
        self.factor = factor
        counts = [sum(run.variant == variant for run in data.scalars) for variant in data.variants]
        self.crowded = style.crowded(most_variants, min(counts))
        self.looks = palette.looks(data.variants)
        self.drawn: dict[str, dict[str, int]] = {}

    def row(self, panels: Sequence[Axes], tags: Sequence[str], groups: Sequence[Sequence[str]]) -> None:
        """Draw panels that share their vertical axis, each with its tag and variants."""
        every: list[Curve] = []
        share = False
        for axes, tag, variants in zip(panels, tags, groups, strict=True):
            share = tag == self.data.folder.tags.success
            curves = {variant: curve for variant in variants if (curve := self.get(variant, tag)) is not None}
            self.drawn.setdefault(tag, {}).update({variant: curve.count for variant, curve in curves.items()})
            if not curves:
                style.annotate(axes, f"No run logs {tag}." if self.data.scalars else "No run has a scalars.csv.")
                continue
            for place, (variant, curve) in enumerate(curves.items()):
                self._curve(axes, curve, variant, place, len(curves), 100.0 if share else 1.0)
            axes.margins(x=0.01)
            axes.set_xlim(left=0)
            every += curves.values()
        if every:
            limits = _limits(every, 100.0 if share else 1.0, seeds=not self.crowded)
            for axes in panels:
                axes.set_ylim(*(np.clip(limits, -2, 102) if share else limits))

    def _curve(self, axes: Axes, curve: Curve, variant: str, place: int, of: int, scale: float) -> None:
        look = self.looks[variant]
        x, mean, low, high = curve.band_x * self.factor, *(scale * np.stack((curve.mean, curve.low, curve.high)))
        axes.plot(x, mean, color=look.color, linestyle=look.line, zorder=2.5)
        if self.crowded:
            style.bars(axes, x, mean, low, high, look, place + 1, of)
            return
        for own, y in zip(curve.x, curve.seeds, strict=True):
            axes.plot(own * self.factor, y * scale, color=look.color, **style.SEED_LINE)
        style.band(axes, x, low, high, look)

    @property
    def _most(self) -> int:
        return max((count for counts in self.drawn.values() for count in counts.values()), default=0)

    def legend(self, figure: Figure) -> None:
        """Say what lines and bands are."""
        if not self._most:
            return
        looks = self.looks
        color = palette.legend_color(looks, len(looks))
        handles = style.variant_handles(looks, captions.line_labels(self.data, looks, self._most))
        if self._most > 1:
            if not self.crowded:
                handles.append(style.seed_handle(color))
            handles += [
                style.interval_handle(color, name, bars=self.crowded)
                for name in dict.fromkeys(captions.band(self.data, tag)[0] for tag in self.drawn if self.drawn[tag])
                if name
            ]
        style.legend(figure, handles)

    def caption(self) -> str:
        """Say the same in sentences, and name the seeds."""
        data = self.data
        seeds = {variant: [run.seed for run in data.scalars if run.variant == variant] for variant in data.variants}
        bands: dict[str, list[str]] = {}
        for tag, counts in self.drawn.items():
            if counts:
                bands.setdefault(captions.band(data, tag)[1], []).append(tag)
        shape = "bars at some points, moved apart" if self.crowded else "band"
        kinds = "; ".join(
            f"{shape}: {kind}" + (f" ({', '.join(own)})" if len(bands) > 1 else "")
            for kind, own in bands.items()
            if kind
        )
        lines = "Lines: mean over seeds" if self.crowded else "Thin: each seed; bold: mean over seeds"
        sentences = [
            captions.interval(
                data,
                "; ".join(filter(None, (lines, kinds and f"{kinds}, drawn where all seeds have data"))),
                {variant: own for variant, own in seeds.items() if own},
            ),
            captions.counts(data, seeds),
        ]
        for tag, counts in self.drawn.items():
            for variant, count in counts.items():
                if count < len(seeds[variant]):
                    sentences.append(
                        f"{tag}: n = {count} of {len(seeds[variant])} for {data.label(variant)}, the others lack it."
                    )
        if data.block > 1:
            sentences.append(f"Each point is the mean of {data.block} successive iterations.")
        return " ".join(sentences)


def _limits(curves: list[Curve], scale: float, *, seeds: bool) -> tuple[float, float]:
    """Limits that show all that is drawn; a band that two or three seeds make very wide may leave the panel."""
    values = np.concatenate([y for curve in curves for y in (curve.seeds if seeds else [curve.mean])])
    bands = np.concatenate([band for curve in curves for band in (curve.low, curve.high)])
    if not np.isfinite(values).any():  # seeds that share no time, or a single point
        return 0.0, scale
    low, high = np.nanmin(values), np.nanmax(values)
    room = 0.3 * (high - low) or 0.05 * abs(high) or 1.0
    bands = bands[np.isfinite(bands)]
    if bands.size:
        low, high = min(low, max(bands.min(), low - room)), max(high, min(bands.max(), high + room))
    margin = 0.04 * (high - low) or room
    return (low - margin) * scale, (high + margin) * scale
