"""Write provenance.html: what made each run of an experiment (run.json), and what was asked for (config.json)."""

import html
import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from manyseeds.analysis.results import Experiment, Run, describe
from manyseeds.core.errors import UserError
from manyseeds.core.files import write_atomic
from manyseeds.report.command import for_each_experiment, results_parser

HEADER = (
    "Variant",
    "Seed",
    "Code",
    "Started",
    "Hours",
    "Resumed",
    "Threads",
    "Processor",
    "GPU",
    "Container",
    "Python",
)

_PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<link rel="icon" href="data:,">
<title>Provenance of {name}</title>
<style>
body {{ font: 14px/1.45 system-ui, sans-serif; color: #1a1a1a; background: #fff; margin: 1.5rem; }}
div {{ overflow-x: auto; }}
table {{ border-collapse: collapse; border-top: 2px solid #1a1a1a; border-bottom: 2px solid #1a1a1a; }}
th, td {{ padding: .25rem .6rem; text-align: left; vertical-align: top; font-variant-numeric: tabular-nums; }}
th {{ border-bottom: 1px solid #1a1a1a; }}
pre {{ background: #f6f6f6; padding: .8rem; overflow-x: auto; }}
.sums {{ font-size: .85em; }}
</style>
</head>
<body>
<h1>Provenance of {name}</h1>
<p>{description}</p>
<div><table>
<thead><tr>{header}</tr></thead>
<tbody>
{rows}
</tbody>
</table></div>
{sections}
</body>
</html>
"""


def provenance_page(experiment: Experiment) -> str:
    """The page of one experiment, as HTML.

    Raises:
        UserError: when a run.json or the config.json cannot be read.
    """
    records = {run: _read(run.folder / "run.json") for run in experiment.runs}
    rows = [_row([run.variant, str(run.seed), *_cells(record)]) for run, record in records.items()]
    sections = [_packages(records)]
    config = _read(experiment.folder / "config.json")
    if config is not None:
        sections.append(f"<h2>Configuration, resolved</h2>\n<pre>{html.escape(json.dumps(config, indent=2))}</pre>")
    sums = [
        f"{digest}  {run.variant}/seed_{run.seed}/{name}"
        for run, record in records.items()
        for name, digest in _mapping(record, "outputs").items()
    ]
    if sums:
        text = html.escape("\n".join(sums))
        sections.append(f'<h2>SHA-256 of what the runs left</h2>\n<pre class="sums">{text}</pre>')
    return _PAGE.format(
        name=html.escape(experiment.name),
        description=html.escape(describe(experiment)),
        header="".join(f"<th>{cell}</th>" for cell in HEADER),
        rows="\n".join(rows),
        sections="\n".join(sections),
    )


def _read(path: Path) -> dict[str, Any] | None:
    if not path.is_file():
        return None
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise UserError(f"{path}: not readable as JSON: {error}") from error
    if not isinstance(content, dict):
        raise UserError(f"{path}: must hold an object at its top, not {type(content).__name__}")
    return content


def _mapping(record: Mapping[str, Any] | None, key: str) -> Mapping[str, Any]:
    value = (record or {}).get(key)
    return value if isinstance(value, dict) else {}


def _cells(record: Mapping[str, Any] | None) -> list[str]:
    if record is None:
        return ["no run.json", *[""] * (len(HEADER) - 3)]
    code, hardware = _mapping(record, "code"), _mapping(record, "hardware")
    commit = str(code.get("commit") or "")[:12]
    changed = ", changed" if code.get("dirty") else ""
    cores = f"{hardware.get('cpu') or 'unknown'}, {hardware.get('cores')} cores"
    return [
        f"{code.get('version', '')} {commit}{changed}".strip(),
        str(record.get("started", "")),
        _hours(record.get("started"), record.get("ended")),
        str(record.get("resumed", "")),
        str(record.get("threads", "")),
        cores,
        ", ".join(map(str, hardware.get("gpu") or [])),
        " ".join(str(record[key]) for key in ("container", "container_digest") if record.get(key)),
        str(record.get("python", "")),
    ]


def _packages(records: Mapping[Run, Mapping[str, Any] | None]) -> str:
    """A section with the packages of each run, said once for all runs that have the same."""
    runs_of: dict[str, list[str]] = {}
    for run, record in records.items():
        packages = ", ".join(f"{name} {version}" for name, version in _mapping(record, "packages").items())
        if packages:
            runs_of.setdefault(packages, []).append(f"{run.variant} seed {run.seed}")
    lines = [
        f"<p>{html.escape('All runs' if len(runs) == len(records) else ', '.join(runs))}: {html.escape(packages)}.</p>"
        for packages, runs in runs_of.items()
    ]
    return "\n".join(["<h2>Packages</h2>", *lines]) if lines else ""


def _hours(started: object, ended: object) -> str:
    try:
        span = datetime.fromisoformat(str(ended)) - datetime.fromisoformat(str(started))
    except (ValueError, TypeError):
        return ""
    return f"{span.total_seconds() / 3600:.2f}"


def _row(cells: Sequence[str]) -> str:
    return f"<tr>{''.join(f'<td>{html.escape(cell)}</td>' for cell in cells)}</tr>"


def write_provenance(experiment: Experiment) -> str:
    """Write the page into the experiment's folder; returns its path."""
    path = experiment.folder / "provenance.html"
    content = provenance_page(experiment)
    with write_atomic(path) as partial:
        partial.write_text(content, encoding="utf-8")
    return str(path)


def main(argv: Sequence[str] | None = None) -> int:
    """Command line: write the page of every experiment in a results folder."""
    arguments = results_parser("pages", __doc__).parse_args(argv)
    return for_each_experiment(arguments.results_dir, write_provenance)
