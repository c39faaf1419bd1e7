"""How every figure looks and how it is saved: type, colors, lines, markers, legends, formats."""

import textwrap
from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from matplotlib import rcParamsDefault
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from manyseeds.core.files import write_atomic
from manyseeds.report.figures.palette import GREY, Look

FORMATS = ("png", "svg", "pdf")

CROWD = 3
"""With more variants in one panel, seeds are left out and intervals are bars at a few points."""
ENOUGH_SEEDS = 6
"""With fewer, bands are so wide that even three of them hide each other."""
SEED_LINE: dict[str, Any] = {"linewidth": 0.45, "alpha": 0.45, "zorder": 1.8}
BAND: dict[str, Any] = {"alpha": 0.28, "linewidth": 0, "zorder": 2.2}
EDGE: dict[str, Any] = {"linewidth": 0.6, "alpha": 0.9, "zorder": 2.3}
BAR: dict[str, Any] = {"linestyle": "none", "elinewidth": 0.8, "capsize": 1.4, "capthick": 0.8}
MEAN_MARK: dict[str, Any] = {"marker": "D", "markerfacecolor": "white", "markersize": 4.2, "markeredgewidth": 1.1}

_KEPT = ("backend", "backend_fallback", "interactive", "toolbar", "timezone", "webagg.port")
"""Settings that draw nothing, and which Matplotlib warns about."""
RC: Any = {
    # Names of variants and tags are no formulas.
    "text.parse_math": False,
    # Matplotlib ships this font, so that every machine sets the same glyphs.
    "font.family": "DejaVu Sans",
    "font.size": 7,
    "axes.labelsize": 7,
    "axes.titlesize": 7,
    "axes.titlelocation": "left",
    "axes.titlepad": 4,
    "xtick.labelsize": 6.5,
    "ytick.labelsize": 6.5,
    "legend.fontsize": 6.5,
    "legend.frameon": False,
    "legend.handlelength": 3.0,  # So that every pattern of dashes shows.
    "legend.columnspacing": 1.4,
    "lines.linewidth": 1.5,
    "lines.markersize": 3.5,
    "axes.linewidth": 0.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.formatter.limits": (-3, 5),
    "grid.color": "#DDDDDD",
    "grid.linewidth": 0.4,
    "axes.axisbelow": True,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "xtick.major.size": 2.5,
    "ytick.major.size": 2.5,
    "savefig.dpi": 250,
    "svg.fonttype": "path",  # Outlines, since a reader's machine may lack the font.
    "svg.hashsalt": "manyseeds",  # Otherwise the identifiers in an SVG differ from run to run.
    "pdf.fonttype": 42,  # TrueType, which journals accept; Matplotlib's Type 3 they refuse.
    "axes.unicode_minus": True,
}


def new_figure(width: float, height: float, rows: int = 1, columns: int = 1, **options: Any) -> tuple:
    """Make a figure of `width` x `height` inch with a grid of axes, always a 2-D array."""
    figure = Figure(figsize=(width, height), layout="constrained")  # not by pyplot, which would look for a window
    return figure, figure.subplots(rows, columns, squeeze=False, **options)


def applied() -> AbstractContextManager[None]:
    """Apply the style, and nothing of a user's matplotlibrc, while a figure is drawn and saved."""
    return matplotlib.rc_context({key: value for key, value in rcParamsDefault.items() if key not in _KEPT} | RC)


def legend(figure: Figure, handles: Sequence[Artist]) -> None:
    """Put one legend above all panels, in as many columns as fit, and make the figure taller by its rows."""
    if not handles:
        return
    for handle in handles:
        handle.set_label(wrapped(str(handle.get_label()), figure.get_figwidth() - 0.6))
    # A letter of this size is about 0.05 inch wide; a line sample with its gaps takes 0.5.
    lines = [str(handle.get_label()).split("\n") for handle in handles]
    widths = [0.5 + 0.05 * max(map(len, own)) for own in lines]
    columns = len(handles)
    while columns > 1 and sum(max(widths[place::columns]) for place in range(columns)) > figure.get_figwidth():
        columns -= 1
    rows = sum(max(map(len, lines[row : row + columns])) for row in range(0, len(lines), columns))
    figure.set_figheight(figure.get_figheight() + 0.14 * rows)
    figure.legend(handles=_by_rows(handles, columns), loc="outside upper center", ncols=columns)


def _by_rows(handles: Sequence[Artist], columns: int) -> list[Artist]:
    """Order entries so that a legend, which fills its columns one after the other, reads row by row."""
    return [handle for column in range(columns) for handle in handles[column::columns]]


def variant_handles(looks: dict[str, Look], labels: Sequence[str], *, markers: bool = False) -> list[Artist]:
    """A legend entry for each variant, with its line and, if wanted, its marker."""
    return [
        Line2D([], [], color=look.color, linestyle=look.line, marker=look.marker if markers else "", label=label)
        for look, label in zip(looks.values(), labels, strict=True)
    ]


def seed_handle(color: str, label: str = "each seed") -> Artist:
    """The legend entry of the thin lines."""
    return Line2D([], [], color=color, **SEED_LINE, label=label)


def interval_handle(color: str, label: str, *, bars: bool) -> Artist:
    """The legend entry of an interval, drawn as a band or as bars."""
    if bars:
        return Line2D([], [], color=color, linestyle="none", marker="|", markersize=8, label=label)
    return Patch(facecolor=(color, BAND["alpha"]), edgecolor=color, linewidth=EDGE["linewidth"], label=label)


def crowded(variants: int, seeds: int) -> bool:
    """Whether bands of so many variants in one panel, the fewest with so many seeds, would hide each other."""
    return variants > (CROWD if seeds >= ENOUGH_SEEDS else CROWD - 1)


def band(axes: Axes, x: np.ndarray, low: np.ndarray, high: np.ndarray, look: Look, **options: Any) -> None:
    """Draw an interval along x as a band with edges, which show through a bundle of lines of the same color."""
    axes.fill_between(x, low, high, color=look.color, **BAND, **options)
    step: dict[str, Any] = {"drawstyle": f"steps-{options['step']}"} if "step" in options else {}
    for edge in (low, high):
        axes.plot(x, edge, color=look.color, **EDGE, **step)


def bars(
    axes: Axes,
    x: np.ndarray,
    middle: np.ndarray,
    low: np.ndarray,
    high: np.ndarray,
    look: Look,
    place: float,
    of: int,
    along: np.ndarray | None = None,
) -> None:
    """Draw an interval along x as bars at a few points, moved apart for several variants.

    Args:
        axes: the panel.
        x: (points,).
        middle: (points,) between the limits `low` and `high`.
        low: (points,); NaN where there is no interval.
        high: (points,).
        look: of the variant.
        place: how far its bars are moved, from 0 to `of`.
        of: how many variants there are.
        along: (points,) where x is on the drawn axis, if the axis is not linear.
    """
    known = np.flatnonzero(np.isfinite(low) & np.isfinite(high))
    if not known.size:
        return
    drawn = (x if along is None else along)[known]
    points = max(2, min(6, 36 // of))
    wanted = drawn[0] + (drawn[-1] - drawn[0]) / points * (np.arange(points) + place / of)
    at = known[np.unique(np.abs(drawn[:, None] - wanted).argmin(axis=0))]
    errors = np.clip([middle[at] - low[at], high[at] - middle[at]], 0, None)
    marks: dict[str, Any] = {"marker": look.marker, "markersize": 2.8, "zorder": 3}
    axes.errorbar(x[at], middle[at], yerr=errors, color=look.color, **BAR, **marks)


def wrapped(text: str, inches: float) -> str:
    """Break a text into lines of about so many inch."""
    return textwrap.fill(text, max(8, int(inches / 0.053)))


def label_below(figure: Figure, grid: np.ndarray, label: str) -> None:
    """Name the horizontal axis that all panels share, once if they are narrow."""
    columns = grid.shape[1]
    if columns > 1 and figure.get_figwidth() / columns < 1.8:
        figure.supxlabel(label, fontsize=RC["axes.labelsize"])
        return
    for axes in grid[-1]:
        axes.set_xlabel(label)


def annotate(axes: Axes, sentence: str) -> None:
    """Put a sentence into an empty panel, where the data for it are missing."""
    axes.set_axis_off()
    axes.text(0.5, 0.5, sentence, ha="center", va="center", color=GREY, transform=axes.transAxes, wrap=True)


NOTHING = "nothing"
"""The label of a figure without any data."""


def nothing(grid: np.ndarray, sentence: str) -> str:
    """Put a sentence into every panel of a figure without any data, and return it as the caption."""
    for axes in grid.flat:
        annotate(axes, sentence)
    grid.flat[0].figure.set_label(NOTHING)
    return sentence


def is_empty(figure: Figure) -> bool:
    """Return whether a figure shows `nothing`."""
    return figure.get_label() == NOTHING


def save(figure: Figure, stem: Path, title: str, description: str) -> list[Path]:
    """Write `<stem>.png`, `.svg` and `.pdf` and close the figure; equal figures give equal bytes.

    Args:
        figure: what to save.
        stem: path without suffix.
        title: short name, kept in the files' metadata.
        description: which runs made the figure, kept in the files' metadata.

    Returns:
        The paths written.
    """
    metadata: dict[str, dict[str, str | None]] = {
        "png": {"Title": title, "Description": description, "Software": "manyseeds"},
        "svg": {"Title": title, "Description": description, "Creator": "manyseeds", "Date": None},
        "pdf": {
            "Title": title,
            "Subject": description,
            "Creator": "manyseeds",
            "Producer": "Matplotlib",
            "CreationDate": None,
        },
    }
    paths = []
    for suffix in FORMATS:
        path = stem.with_name(f"{stem.name}.{suffix}")
        with write_atomic(path) as partial:
            figure.savefig(partial, format=suffix, metadata=metadata[suffix])
        paths.append(path)
        # The layout found for the first format holds for the others; finding one takes as long as drawing.
        figure.set_layout_engine(None)
    return paths
