"""Scalars as a table: a row per iteration, a column per tag; CSV and Parquet."""

import sys
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import pyarrow as pa
import pyarrow.csv
from numpy.typing import NDArray

from manyseeds.core.errors import UserError
from manyseeds.core.files import write_atomic
from manyseeds.eventfiles.log import RunLog

FORMATS = ("csv", "parquet")
ITERATION = "iteration"


@dataclass(frozen=True)
class Scalars:
    """One run's table.

    `iteration` (rows,) int64; `columns` tag -> (rows,) float32, with NaN for missing values and for logged NaN.
    """

    iteration: NDArray[np.int64]
    columns: dict[str, NDArray[np.float32]]


def to_table(log: RunLog, patterns: list[str] | None = None) -> pa.Table:
    """Return rows by ascending `iteration` (int64), and columns by tag in alphabetical order (float32).

    A value that was never logged is null; a NaN that was logged stays NaN.

    Args:
        log: the scalars.
        patterns: shell patterns; only matching tags become columns. None: all.

    Raises:
        UserError: if no tag matches.
    """
    present = np.unique(log.tag)
    chosen = sorted(
        (log.tags[number], number) for number in present if patterns is None or _matches(log.tags[number], patterns)
    )
    if not chosen:
        known = ", ".join(sorted(log.tags[number] for number in present))
        raise UserError(f"--tags {' '.join(patterns or [])}: no tag matches; there are {known}")
    wanted = np.isin(log.tag, [number for _, number in chosen])
    tag, step, value = log.tag[wanted], log.step[wanted], log.value[wanted]
    iterations, row = np.unique(step, return_inverse=True)
    order = np.argsort(tag, kind="stable")
    numbers, starts = np.unique(tag[order], return_index=True)
    rows_of = dict(zip(numbers.tolist(), np.split(order, starts[1:]), strict=True))
    arrays = [arrow_array(iterations)]
    for _, number in chosen:
        column = np.zeros(len(iterations), np.float32)
        missing = np.ones(len(iterations), bool)
        rows = row[rows_of[number]]
        column[rows] = value[rows_of[number]]
        missing[rows] = False
        arrays.append(arrow_array(column, missing))
    return pa.Table.from_arrays(arrays, names=[ITERATION, *(name for name, _ in chosen)])


def arrow_array(values: NDArray[Any], missing: NDArray[np.bool_] | None = None) -> pa.Array:
    """Return numbers (n,) as an Arrow array, null where `missing` (n,); `pa.array` would import pandas."""
    valid = None if missing is None else pa.py_buffer(np.packbits(~missing, bitorder="little"))
    data = pa.py_buffer(np.ascontiguousarray(values))
    return pa.Array.from_buffers(pa.from_numpy_dtype(values.dtype), len(values), [valid, data])


def write_table(table: pa.Table, path: Path | None, file_format: str = "csv") -> None:
    """Write a table whole or not at all, or to standard output.

    In CSV a missing value is an empty field, NaN is `nan`, infinities are `inf` and `-inf`; floats have the
    fewest digits that read back as the same float32.
    """
    if path is None:
        _write(table, sys.stdout.buffer, file_format)
        return
    with write_atomic(path) as partial, partial.open("wb") as stream:
        _write(table, stream, file_format)


def _write(table: pa.Table, sink: BinaryIO, file_format: str) -> None:
    if file_format == "parquet":
        from pyarrow import parquet  # imported late: it takes half as long as reading a log

        parquet.write_table(table, sink)
    else:
        pa.csv.write_csv(table, sink, pa.csv.WriteOptions(quoting_style="none", quoting_header="needed"))


def read_table(path: Path) -> pa.Table:
    """Read a table of `write_table`: `iteration` int64, other columns float32, with NaN and missing kept apart.

    Raises:
        UserError: if the file is missing, has no `iteration` column or holds anything but numbers.
    """
    try:
        if path.suffix == ".parquet":
            from pyarrow import parquet

            table = parquet.read_table(path)
        else:
            # Inferred types would take a column of -0 for integers, and the default nulls include "nan".
            with pa.csv.open_csv(path) as stream:
                types = dict.fromkeys(stream.schema.names, pa.float32()) | {ITERATION: pa.int64()}
            options = pa.csv.ConvertOptions(null_values=[""], column_types=types)
            table = pa.csv.read_csv(path, convert_options=options)
        if ITERATION not in table.column_names:
            raise UserError(f"{path}: no column '{ITERATION}'")
        kinds = [pa.int64() if name == ITERATION else pa.float32() for name in table.column_names]
        return table.cast(pa.schema(list(zip(table.column_names, kinds, strict=True))))
    except FileNotFoundError:
        raise UserError(f"{path}: no such file") from None
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise UserError(f"{path}: not a table of scalars: {error}") from None


def read_scalars(path: Path) -> Scalars:
    """Read a table of scalars as arrays; see `Scalars`, and `read_table` for the errors."""
    table = read_table(path)
    columns = {
        name: np.asarray(table[name].fill_null(np.nan).to_numpy()) for name in table.column_names if name != ITERATION
    }
    return Scalars(np.asarray(table[ITERATION].to_numpy()), columns)


def _matches(name: str, patterns: list[str]) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in patterns)
