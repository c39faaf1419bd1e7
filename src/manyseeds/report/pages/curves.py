"""Write curves.html: every curve of an experiment in one page that needs no network."""

import base64
import html
import json
import math
import re
from collections.abc import Sequence
from importlib.resources import files
from typing import Any

import numpy as np
from scipy.special import stdtrit

from manyseeds.analysis.data import Data, block_means
from manyseeds.analysis.results import Experiment, Run
from manyseeds.core.files import write_atomic
from manyseeds.report.command import for_each_experiment, results_parser
from manyseeds.report.figures.palette import looks

# A screen shows no more points of a curve, and so a page of ten seeds stays within a few megabytes.
POINTS = 1000
EVALUATED = {"Evaluation/reached": "reached", "Evaluation/held": "held"}


def page(experiment: Experiment) -> str:
    """The page of one experiment, as HTML.

    Raises:
        UserError: when an input file is malformed.
    """
    data = Data(experiment)
    embedded = json.dumps(_embedded(data), separators=(",", ":"), allow_nan=False, ensure_ascii=False)
    parts = {
        "title": html.escape(f"Curves of {experiment.name}"),
        "description": html.escape(data.description),
        "style": _asset("page.css"),
        "script": _asset("page.js"),
        # Within a script element "</" and "<!--" have a meaning of their own.
        "data": embedded.replace("<", "\\u003c"),
    }
    return re.sub(r"\{\{(\w+)\}\}", lambda match: parts[match[1]], _asset("page.html"))


def _asset(name: str) -> str:
    return files("manyseeds.report.pages").joinpath(name).read_text(encoding="utf-8").rstrip("\n")


def _embedded(data: Data) -> dict[str, Any]:
    longest = max((table.index[-1] for table in data.scalars.values()), default=1)
    block = max(1, math.ceil(longest / POINTS))
    tags = sorted({tag for table in data.scalars.values() for tag in table.columns if table[tag].notna().any()})
    if data.episodes:
        tags = [*EVALUATED, *tags]
    scalars = data.experiment.scalars
    most = max(len(data.experiment.of(variant)) for variant in data.variants)
    return {
        "block": block,
        "knowsSamples": data.knows_samples,
        "tags": tags,
        "picked": [tag for tag in (scalars.reward, scalars.success, *EVALUATED) if tag in tags] or tags[:2],
        "shares": [*EVALUATED, scalars.success],
        "t": {count: float(stdtrit(count - 1, 0.975)) for count in range(2, most + 1)},
        "variants": [
            {
                "name": variant,
                "color": look.color,
                "dash": look.dash,
                "samples": data.experiment.samples_per_iteration.get(variant, 1),
            }
            for variant, look in looks(data.variants).items()
        ],
        "runs": [_run(data, run, tags, block) for run in data.experiment.runs],
    }


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
    if run in data.episodes:
        rates = data.rates[(data.rates["variant"] == run.variant) & (data.rates["seed"] == run.seed)]
        for tag, flag in EVALUATED.items():
            series[tag] = {
                "x": _encoded(rates["iteration"].to_numpy()),
                "y": _encoded(rates[flag].to_numpy()),
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


def write_page(experiment: Experiment) -> str:
    """Write the page into the experiment's folder; returns its path and size in a sentence."""
    content = page(experiment)
    path = experiment.folder / "curves.html"
    with write_atomic(path) as partial:
        partial.write_text(content, encoding="utf-8")
    return f"{path}: {len(content) / 1e6:.2f} MB"


def main(argv: Sequence[str] | None = None) -> int:
    """Command line: write the page of every experiment in a results folder."""
    arguments = results_parser("pages", __doc__).parse_args(argv)
    return for_each_experiment(arguments.results_dir, write_page)
