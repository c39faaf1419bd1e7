"""How every figure looks and how it is saved: sizes, type, colors, lines, markers, formats."""

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
from manyseeds.report.figures.palette import GREY, looks

# Widths in inch of one and of two columns of the usual two-column paper (IEEE: 3.5 and 7.16).
ONE_COLUMN = 3.5
TWO_COLUMNS = 7.16

FORMATS = ("png", "svg", "pdf")

SEED_LINE: dict[str, Any] = {"linewidth": 0.55, "alpha": 0.55}
BAND: dict[str, Any] = {"alpha": 0.2, "linewidth": 0}

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
    "legend.handlelength": 2.4,
    "legend.columnspacing": 1.4,
    "lines.linewidth": 1.5,
    "lines.markersize": 3.5,
    "axes.linewidth": 0.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#DDDDDD",
    "grid.linewidth": 0.4,
    "axes.axisbelow": True,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "xtick.major.size": 2.5,
    "ytick.major.size": 2.5,
    "figure.constrained_layout.use": True,
    "savefig.dpi": 250,
    "svg.fonttype": "path",  # Outlines, since a reader's machine may lack the font.
    "svg.hashsalt": "manyseeds",  # Otherwise the identifiers in an SVG differ from run to run.
    "pdf.fonttype": 42,  # TrueType, which journals accept; Matplotlib's Type 3 they refuse.
    "axes.unicode_minus": True,
}


def new_figure(width: float, height: float, rows: int = 1, columns: int = 1, **options: Any) -> tuple:
    """Make a figure of `width` x `height` inch with a grid of axes, always a 2-D array."""
    figure = Figure(figsize=(width, height))  # not by pyplot, which would look for a window
    return figure, figure.subplots(rows, columns, squeeze=False, **options)


def applied() -> AbstractContextManager[None]:
    """Apply the style, and nothing of a user's matplotlibrc, while a figure is drawn and saved."""
    return matplotlib.rc_context({key: value for key, value in rcParamsDefault.items() if key not in _KEPT} | RC)


def legend(figure: Figure, handles: Sequence[Artist]) -> None:
    """Put one legend above all panels, in as many columns as fit into the figure's width."""
    if not handles:
        return
    # A letter of this size is about 0.05 inch wide; a line sample with its gaps takes 0.45.
    widths = [0.45 + 0.05 * len(str(handle.get_label())) for handle in handles]
    columns = len(handles)
    while columns > 1 and sum(max(widths[place::columns]) for place in range(columns)) > figure.get_figwidth():
        columns -= 1
    figure.legend(handles=_by_rows(handles, columns), loc="outside upper center", ncols=columns)


def _by_rows(handles: Sequence[Artist], columns: int) -> list[Artist]:
    """Order entries so that a legend, which fills its columns one after the other, reads row by row."""
    return [handle for column in range(columns) for handle in handles[column::columns]]


def curve_handles(variants: list[str], most: int, *, band: str, markers: bool = False) -> list[Artist]:
    """Legend entries of a figure with a thin line per seed, a bold line per variant and an interval.

    Args:
        variants: their names.
        most: the largest number of seeds of a variant.
        band: what the interval is; no entry when empty.
        markers: whether bold lines carry the variant's marker.
    """
    look_of = looks(variants)
    first = next(iter(look_of.values()))
    color = GREY if len(variants) > 1 else first.color
    count = "one seed" if most == 1 else f"mean of {most} seeds"
    names = dict(zip(variants, variants if len(variants) > 1 else [count], strict=True))
    handles: list[Artist] = [
        Line2D(
            [],
            [],
            color=look.color,
            linestyle=look.line,
            marker=look.marker if markers else "",
            label=names[variant],
        )
        for variant, look in look_of.items()
    ]
    if most > 1:
        handles.append(Line2D([], [], color=color, **SEED_LINE, label="each seed"))
        if band:
            handles.append(Patch(color=color, alpha=BAND["alpha"], linewidth=0, label=band))
    return handles


def annotate(axes: Axes, sentence: str) -> None:
    """Put a sentence into an empty panel, where the data for it are missing."""
    axes.set_axis_off()
    axes.text(0.5, 0.5, sentence, ha="center", va="center", color=GREY, transform=axes.transAxes, wrap=True)


def nothing(grid: np.ndarray, sentence: str) -> str:
    """Put a sentence into every panel of a figure without any data, and return it as the caption."""
    for axes in grid.flat:
        annotate(axes, sentence)
    return sentence


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
    return paths
