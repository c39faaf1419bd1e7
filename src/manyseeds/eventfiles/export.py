"""One run's log folder to one table, with an account of every record that was read, cut or lost."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from manyseeds.core.files import write_atomic
from manyseeds.eventfiles.log import Progress, RunLog, read_log
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
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Read a run's event files and write its scalars as a table.

    Args:
        log_dir: folder of one run's event files, or one event file.
        output: the table; None writes to standard output.
        account_path: where the account goes as JSON, if anywhere.
        tags: shell patterns of the tags to keep, under today's names; None keeps all.
        file_format: "csv" or "parquet".
        allow_corrupt: go on when the middle of a file is corrupt.
        first_iteration: the number that the log gives to the first iteration; the table says how many are completed.
        progress: called with (file name, bytes read, bytes in all).

    Returns:
        The account (see `account_of`).

    Raises:
        UserError: when the log cannot be read, is corrupt and that is not allowed, holds no scalars, or no
            tag matches.
    """
    log = read_log(log_dir, allow_corrupt=allow_corrupt, progress=progress)
    log.step[:] += 1 - first_iteration
    table = to_table(log, tags)
    account = account_of(log, rows=table.num_rows, columns=table.num_columns - 1)
    write_table(table, output, file_format)
    if account_path:
        with write_atomic(account_path) as partial:
            partial.write_text(json.dumps(account, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    return account


def account_of(log: RunLog, *, rows: int, columns: int) -> dict[str, Any]:
    """What was read, written, cut and lost, in all and per file.

    Keys: `records` read and sound, `scalars` read per iteration, `clock_scalars` left out, `scalars_cut` and
        `rows_cut` at a resume, `corrupt_bytes`, `unreadable_bytes`, `truncated_bytes`, `rows` and `columns`
        written, and `files` in the order of their first wall time, each with the same numbers and `damage` as
        a list of {kind, offset, size}.
    """
    files = [asdict(file) for file in log.files]
    account: dict[str, Any] = {"rows": rows, "columns": columns}
    for key in ("records", "scalars", "clock_scalars", "undecodable", "rows_cut", "scalars_cut"):
        account[key] = sum(file[key] for file in files)
    for kind in ("corrupt", "unreadable", "truncated"):
        account[f"{kind}_bytes"] = sum(d["size"] for file in files for d in file["damage"] if d["kind"] == kind)
    return account | {"files": files}


def describe(account: dict[str, Any]) -> list[str]:
    """The account in sentences: one for the run, one for each stretch of a file that was lost."""
    lines = [
        f"{account['records']:,} records in {len(account['files'])} file(s), "
        f"{account['rows']:,} rows x {account['columns']} tags written, "
        f"{account['rows_cut']:,} rows cut at a resume"
    ]
    for file in account["files"]:
        for damage in file["damage"]:
            place = f"{file['name']}: {damage['kind']} at byte {damage['offset']:,}"
            lines.append(f"{place}: {damage['size']:,} bytes not used")
        if file["undecodable"]:
            lines.append(f"{file['name']}: {file['undecodable']:,} records are no events")
    return lines
