"""Write curves.html: every curve of an experiment in one page, drawn by Plotly, that needs no network."""

import base64
import json
import math
from collections.abc import Sequence
from importlib.resources import files
from typing import Any

import numpy as np
from scipy.special import ndtri, stdtrit

from manyseeds.analysis.curves import ENDED
from manyseeds.analysis.data import Data, block_means
from manyseeds.analysis.rates import column
from manyseeds.analysis.results import ResultsFolder, Run
from manyseeds.core.files import write_atomic
from manyseeds.report.command import for_each_folder, results_parser
from manyseeds.report.figures.palette import looks
from manyseeds.report.templates import render_html

# A screen shows no more points of a curve, and the data of ten seeds stay within a few megabytes.
POINTS = 1000


def page(folder: ResultsFolder) -> str:
    """The page of one experiment, as HTML.

    Raises:
        UserError: when an input file is malformed.
    """
    from plotly.offline import get_plotlyjs  # Late: tables and figures do without it.

    data = Data(folder)
    content = _content(data)
    embedded = json.dumps(content, separators=(",", ":"), allow_nan=False, ensure_ascii=False)
    variants = [
        variant | {"runs": [run for run in content["runs"] if run["variant"] == place]}
        for place, variant in enumerate(content["variants"])
    ]
    return render_html(
        "curves.html.j2",
        title=f"Curves of {folder.name}",
        description=data.provenance,
        **content | {"variants": variants},
        # Within a script element "</" and "<!--" have a meaning of their own.
        data=embedded.replace("<", "\\u003c"),
        plotly=get_plotlyjs(),
        script=files("manyseeds.report").joinpath("templates/curves.js").read_text(encoding="utf-8"),
    )


def _content(data: Data) -> dict[str, Any]:
    """What the page shows: the curves of every run, and what there is to choose from."""
    longest = max((table.index[-1] for table in data.scalars.values()), default=1)
    block = max(1, math.ceil(longest / POINTS))
    evaluated = _evaluated(data)
    tags = sorted({tag for table in data.scalars.values() for tag in table.columns if table[tag].notna().any()})
    tags = [*evaluated, *tags]
    meant = data.folder.tags
    successes = [tag for tag, name in evaluated.items() if name in {outcome.name for outcome in data.successes}]
    most = max(len(data.folder.of(variant)) for variant in data.variants)
    runs = [_run(data, run, tags, block) for run in data.folder.runs]
    return {
        "block": block,
        "axes": {
            **({"samples": data.folder.unit} if data.knows_samples else {}),
            "iterations": "iterations",
            **({"hours": "hours of training"} if any(run["hours"] for run in runs) else {}),
        },
        "tags": tags,
        "picked": [tag for tag in (meant.reward, meant.success, *successes) if tag in tags] or tags[:2],
        "shares": [*(_tag(outcome.name) for outcome in data.folder.description.shares), meant.success],
        "t": {count: float(stdtrit(count - 1, 0.975)) for count in range(2, most + 1)},
        "normal": float(ndtri(0.975)),
        "variants": [
            {
                "name": data.label(variant),
                "color": look.color,
                "dash": ",".join(f"{length}px" for length in look.dash.split()) or "solid",
                "samples": data.folder.samples_per_iteration.get(variant, 1),
            }
            for variant, look in looks(data.variants).items()
        ],
        "runs": runs,
    }


def _tag(outcome: str) -> str:
    return f"Evaluation/{outcome}"


def _evaluated(data: Data) -> dict[str, str]:
    """The tags of evaluated outcomes, and their columns in the rates."""
    return {_tag(outcome.name): column(outcome) for outcome in data.folder.outcomes} if data.episodes else {}


def _run(data: Data, run: Run, tags: list[str], block: int) -> dict[str, Any]:
    series: dict[str, dict[str, str]] = {}
    iterations = np.array([])
    hours = None
    if run in data.scalars:
        table = data.scalars[run]
        iterations = block_means(table.index.to_numpy(np.float64)[None], block)[0]
        clock = data.hours(run)
        hours = None if clock is None else _encoded(block_means(clock[None], block)[0])
        for tag in tags:
            if tag in table and table[tag].notna().any():
                series[tag] = {"y": _encoded(block_means(table[tag].to_numpy()[None], block)[0])}
        if data.folder.tags.success in series and ENDED in table:
            ended = block * block_means(table[ENDED].to_numpy()[None], block)[0]
            series[data.folder.tags.success]["n"] = _encoded(ended)
    if run in data.episodes:
        rates = data.rates[(data.rates["variant"] == run.variant) & (data.rates["seed"] == run.seed)]
        for tag, name in _evaluated(data).items():
            series[tag] = {
                "x": _encoded(rates["iteration"].to_numpy()),
                "y": _encoded(rates[name].to_numpy()),
                "n": _encoded(rates["episodes"].to_numpy()),
            }
    return {
        "variant": data.variants.index(run.variant),
        "seed": run.seed,
        "key": f"{run.variant}/{run.seed}",
        "iterations": _encoded(iterations),
        "hours": hours,
        "series": series,
    }


def _encoded(values: np.ndarray) -> str:
    """Little-endian float32 in base64: half the size of text, and read by JavaScript in one step."""
    return base64.b64encode(np.asarray(values, dtype="<f4").tobytes()).decode()


def write_page(folder: ResultsFolder) -> str:
    """Write the page into the results folder; returns its path and size in a sentence."""
    content = page(folder)
    path = folder.folder / "curves.html"
    with write_atomic(path) as partial:
        partial.write_text(content, encoding="utf-8")
    return f"{path}: {len(content) / 1e6:.2f} MB"


def main(argv: Sequence[str] | None = None) -> int:
    """Command line: write the page of every experiment in a results folder."""
    arguments = results_parser("pages", __doc__).parse_args(argv)
    return for_each_folder(arguments.results_dir, write_page)
