"""Write provenance.html: what made each run of an experiment (run.json), and what was asked for (config.json)."""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from manyseeds.analysis.results import ResultsFolder, Run, describe
from manyseeds.core.errors import UserError
from manyseeds.core.files import parse_json, write_atomic
from manyseeds.report.command import for_each_folder, results_parser
from manyseeds.report.templates import render_html

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


def provenance_page(folder: ResultsFolder) -> str:
    """The page of one experiment, as HTML.

    Raises:
        UserError: when a run.json or the config.json cannot be read.
    """
    records = {run: _read(run.folder / "run.json") for run in folder.runs}
    return render_html(
        "provenance.html.j2",
        title=f"Provenance of {folder.name}",
        description=describe(folder),
        **_account(folder, records),
        sums=[
            f"{digest}  {run.variant}/seed_{run.seed}/{name}"
            for run, record in records.items()
            for name, digest in _mapping(record, "outputs").items()
        ],
    )


def account(folder: ResultsFolder) -> dict[str, Any]:
    """What made the runs, for a page: `header` and `rows` of a table, `packages` by runs, and the `config` as text.

    Raises:
        UserError: when a run.json or the config.json cannot be read.
    """
    return _account(folder, {run: _read(run.folder / "run.json") for run in folder.runs})


def _account(folder: ResultsFolder, records: Mapping[Run, Mapping[str, Any] | None]) -> dict[str, Any]:
    config = _read(folder.folder / "config.json")
    return {
        "header": HEADER,
        "rows": [(folder.label(run.variant), run.seed, *_cells(record)) for run, record in records.items()],
        "packages": _packages(records),
        "config": None if config is None else json.dumps(config, indent=2),
    }


def _read(path: Path) -> dict[str, Any] | None:
    if not path.is_file():
        return None
    try:
        content = parse_json(path.read_text(encoding="utf-8"))
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
    made = _mapping(record, "made_by").get("digest")
    changed += f", code digest {str(made)[:12]}" if made else ", unknown code digest"
    changed += ", other code accepted" if record.get("accepted") else ""
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


def _packages(records: Mapping[Run, Mapping[str, Any] | None]) -> list[tuple[str, str]]:
    """Runs, and the packages that all of these had."""
    runs_of: dict[str, list[str]] = {}
    for run, record in records.items():
        packages = ", ".join(f"{name} {version}" for name, version in _mapping(record, "packages").items())
        if packages:
            runs_of.setdefault(packages, []).append(f"{run.variant} seed {run.seed}")
    return [
        ("All runs" if len(runs) == len(records) else ", ".join(runs), packages) for packages, runs in runs_of.items()
    ]


def _hours(started: object, ended: object) -> str:
    try:
        span = datetime.fromisoformat(str(ended)) - datetime.fromisoformat(str(started))
    except (ValueError, TypeError):
        return ""
    return f"{span.total_seconds() / 3600:.2f}"


def write_provenance(folder: ResultsFolder) -> str:
    """Write the page into the experiment's folder; returns its path."""
    path = folder.folder / "provenance.html"
    content = provenance_page(folder)
    with write_atomic(path) as partial:
        partial.write_text(content, encoding="utf-8")
    return str(path)


def main(argv: Sequence[str] | None = None) -> int:
    """Command line: write the page of every experiment in a results folder."""
    arguments = results_parser("pages", __doc__).parse_args(argv)
    return for_each_folder(arguments.results_dir, write_provenance)
