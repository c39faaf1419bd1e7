"""Turn the event files of a run into a table of scalars."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from manyseeds.core.arguments import verb_parser
from manyseeds.eventfiles.export import describe, export
from manyseeds.eventfiles.log import REWARD
from manyseeds.eventfiles.table import FORMATS


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; return 0."""
    return _export(_parser().parse_args(argv))


def _parser() -> argparse.ArgumentParser:
    one = verb_parser(
        "scalars",
        "Write all scalars of one run as a table: one row per iteration, one column per tag. In CSV "
        "an empty field was never logged, and 'nan' was logged as NaN. Old RSL-RL tags get today's names. "
        "Tags whose steps are seconds or samples are left out.",
        "logs/rsl_rl/generic_experiment/2026-01-31_10-00-00 --output scalars.csv",
    )
    one.add_argument(
        "log_dir",
        type=Path,
        metavar="LOG_DIR",
        help="folder with the event files of one run, or one event file",
    )
    one.add_argument("--output", type=Path, metavar="FILE", help="the table (default: standard output)")
    one.add_argument("--account", type=Path, metavar="FILE", help="also write a report of the export as JSON")
    one.add_argument(
        "--tags",
        nargs="+",
        metavar="PATTERN",
        help="keep only tags that match one of these patterns, such as 'Episode_Reward/*'",
    )
    one.add_argument("--format", choices=FORMATS, help="default: the suffix of the output, else csv")
    one.add_argument(
        "--allow-corrupt",
        action="store_true",
        help="read what is left of a file that is corrupt in the middle",
    )
    one.add_argument(
        "--first-iteration",
        type=int,
        default=1,
        metavar="N",
        help="number of the first iteration in the log, 0 for stock RSL-RL; the table always counts completed "
        "iterations (default: %(default)s)",
    )
    one.add_argument(
        "--iterations-of",
        default=REWARD,
        metavar="TAG",
        help="the tag whose steps are iterations; tags that count something else are left out (default: %(default)s)",
    )
    return one


def _export(args: argparse.Namespace) -> int:
    named = "parquet" if args.output and args.output.suffix == ".parquet" else "csv"
    account = export(
        args.log_dir,
        args.output,
        account_path=args.account,
        tags=args.tags,
        file_format=args.format or named,
        allow_corrupt=args.allow_corrupt,
        first_iteration=args.first_iteration,
        iterations_of=args.iterations_of,
        progress=_show_bytes if sys.stderr.isatty() else None,
    )
    for line in describe(account):
        print(line, file=sys.stderr)
    return 0


def _show_bytes(name: str, done: int, size: int) -> None:
    share = 100 * done // max(size, 1)
    _show_line(f"{name}: {done / 1e6:,.0f} of {size / 1e6:,.0f} MB ({share} %)")


def _show_line(text: str) -> None:
    print(f"\r\x1b[K{text}", end="\r", file=sys.stderr, flush=True)
