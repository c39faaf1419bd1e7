"""One run's log folder to one table, with a report (account) of every record that was read, cut or lost."""

import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from manyseeds.core.errors import UserError
from manyseeds.core.files import write_atomic
from manyseeds.core.manifest import write_manifest
from manyseeds.core.record import check_left
from manyseeds.eventfiles.log import REWARD, Progress, RunLog, read_log
from manyseeds.eventfiles.table import to_table, write_table


def export(
    log_dir: Path,
    output: Path | None,
    *,
    account_path: Path | None = None,
    tags: list[str] | None = None,
    file_format: str = "csv",
    allow_corrupt: bool = False,
    first_iteration: int = 1,
    iterations_of: str = REWARD,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Read a run's event files and write its scalars as a table.

    Args:
        log_dir: folder of one run's event files, or one event file.
        output: the table; None writes to standard output.
        account_path: file for the account as JSON; None writes none.
        tags: shell patterns of the tags to keep, by today's names; None keeps all.
        file_format: "csv" or "parquet".
        allow_corrupt: continue if the middle of a file is corrupt.
        first_iteration: number of the first iteration in the log; the table counts completed iterations.
        iterations_of: the tag whose steps are iterations; tags that count seconds or samples are left out.
        progress: called with (file name, bytes read, total bytes).

    Returns:
        The account (see `account_of`).

    Raises:
        UserError: if the log cannot be read, is corrupt without `allow_corrupt`, holds no scalars, or no tag matches.
    """
    for file in [] if allow_corrupt else _event_files(log_dir):
        check_left(file)
    log = read_log(log_dir, iterations_of=iterations_of, allow_corrupt=allow_corrupt, progress=progress)
    log.step[:] += 1 - first_iteration
    begun = log.step >= 0
    if not begun.any():
        raise UserError(f"{log_dir}: all steps are negative; --first-iteration is the number of the first iteration")
    table = to_table(replace(log, tag=log.tag[begun], step=log.step[begun], value=log.value[begun]), tags)
    account = account_of(log, rows=table.num_rows, columns=table.num_columns - 1)
    account["before_start"] = int((~begun).sum())
    write_table(table, output, file_format)
    if account_path:
        with write_atomic(account_path) as partial:
            partial.write_text(json.dumps(account, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    if account_path and output:
        write_manifest(output.parent, "scalars", [output, account_path], _event_files(log_dir), output.stem)
    return account


def _event_files(log_dir: Path) -> list[Path]:
    return sorted(log_dir.glob("*tfevents*")) if log_dir.is_dir() else [log_dir]


def account_of(log: RunLog, *, rows: int, columns: int) -> dict[str, Any]:
    """Return what was read, written, cut and lost, in total and per file.

    Keys: `records` read and valid, per-iteration `scalars` read, `clock_scalars` left out, `undecodable` records,
    `scalars_cut` and `rows_cut` at resumes, `corrupt_bytes`, `unreadable_bytes`, `truncated_bytes`, `rows` and
    `columns` written, `before_start`, the values left out because their step is negative, `left_out`, the tags that
    count something else than iterations, and `files` in the order of their first wall time, each with the same numbers
    and `damage` as a list of {kind, offset, size}.
    """
    files = [asdict(file) for file in log.files]
    account: dict[str, Any] = {"rows": rows, "columns": columns}
    for key in ("records", "scalars", "clock_scalars", "undecodable", "rows_cut", "scalars_cut"):
        account[key] = sum(file[key] for file in files)
    for kind in ("corrupt", "unreadable", "truncated"):
        account[f"{kind}_bytes"] = sum(d["size"] for file in files for d in file["damage"] if d["kind"] == kind)
    return account | {"left_out": log.left_out, "files": files}


def describe(account: dict[str, Any]) -> list[str]:
    """Return the account in sentences: one for the run, and one for each lost part of a file."""
    lines = [
        f"{account['records']:,} records in {len(account['files'])} file(s), "
        f"{account['rows']:,} rows x {account['columns']} tags written, "
        f"{account['rows_cut']:,} rows cut at a resume"
    ]
    if left_out := account["left_out"]:
        lines.append(f"left out, because their steps are not iterations: {', '.join(left_out)}")
    if account["before_start"]:
        lines.append(f"{account['before_start']:,} value(s) left out, because their step is negative")
    if account["scalars_cut"]:
        lines.append(f"{account['scalars_cut']:,} value(s) replaced by later ones of the same or an earlier step")
    for file in account["files"]:
        for damage in file["damage"]:
            place = f"{file['name']}: {damage['kind']} at byte {damage['offset']:,}"
            lines.append(f"{place}: {damage['size']:,} bytes not used")
        if file["undecodable"]:
            lines.append(f"{file['name']}: {file['undecodable']:,} records are not events")
    return lines
