"""Command line: event files to tables, and tables to learning curves over seeds."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from manyseeds.curves.export import describe, export
from manyseeds.curves.table import FORMATS
from manyseeds.errors import UserError


def main(argv: Sequence[str] | None = None) -> int:
    """Run a subcommand; 0 on success, 2 after an error that the user can mend."""
    args = _parser().parse_args(argv)
    try:
        return _export(args) if args.command == "export" else _aggregate(args)
    except (UserError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m manyseeds.curves", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)

    one = commands.add_parser(
        "export",
        help="a run's event files to a table",
        description="Write all scalars of one run as a table: a row per iteration, a column per tag. In CSV "
        "an empty field was never logged and 'nan' was logged as NaN. Old RSL-RL tag names become today's; "
        "Train/*/time, whose step is the clock, is left out.",
    )
    one.add_argument(
        "log_dir",
        type=Path,
        metavar="LOG_DIR",
        help="folder with the event files of one run, or one event file",
    )
    one.add_argument("--output", type=Path, metavar="FILE", help="the table (default: standard output)")
    one.add_argument("--account", type=Path, metavar="FILE", help="also write the account of the export as JSON")
    one.add_argument(
        "--tags",
        nargs="+",
        metavar="PATTERN",
        help="only tags that match one of these, such as 'Episode_Reward/*'",
    )
    one.add_argument("--format", choices=FORMATS, help="default: by the name of the output, else csv")
    one.add_argument(
        "--allow-corrupt",
        action="store_true",
        help="read what is left of a file that is corrupt in its middle",
    )
    one.add_argument(
        "--first-iteration",
        type=int,
        default=1,
        metavar="N",
        help="the number of the log's first iteration: 0 for stock RSL-RL; the table counts completed iterations "
        "(default: %(default)s, no change)",
    )

    many = commands.add_parser(
        "aggregate",
        help="tables of several seeds to learning curves",
        description="Write a row per variant, tag and iteration: mean with t interval, interquartile "
        "mean with bootstrap interval.",
    )
    source = many.add_mutually_exclusive_group(required=True)
    source.add_argument(
        "--config", type=Path, metavar="FILE", help="results/<experiment>/config.json, which names the runs"
    )
    source.add_argument(
        "--runs",
        nargs="+",
        metavar="NAME=FILE",
        help="tables of runs instead, with the variant of each: baseline=a.csv baseline=b.csv",
    )
    many.add_argument(
        "--samples-per-iteration", type=int, metavar="N", help="environment steps per iteration, with --runs"
    )
    many.add_argument("--output", type=Path, required=True, metavar="FILE", help="the CSV file")
    many.add_argument("--confidence", type=float, default=0.95, help="of the intervals (default: %(default)s)")
    many.add_argument("--resamples", type=int, default=2000, help="bootstrap draws (default: %(default)s)")
    many.add_argument("--seed", type=int, default=0, help="of the bootstrap draws (default: %(default)s)")
    many.add_argument("--allow-missing", action="store_true", help="go on without runs that have no table")
    return parser


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
        progress=_show_bytes if sys.stderr.isatty() else None,
    )
    for line in describe(account):
        print(line, file=sys.stderr)
    return 0


def _aggregate(args: argparse.Namespace) -> int:
    if not 0 < args.confidence < 1:
        raise UserError(f"--confidence {args.confidence}: must lie between 0 and 1")
    if args.resamples < 1:
        raise UserError(f"--resamples {args.resamples}: must be at least 1")
    # Here and not above, because `export` is quick and needs neither the configuration nor SciPy.
    from manyseeds.curves.aggregate import aggregate, named_runs, runs_of_experiment

    variants = runs_of_experiment(args.config) if args.config else named_runs(args.runs, args.samples_per_iteration)
    rows = aggregate(
        variants,
        args.output,
        confidence=args.confidence,
        resamples=args.resamples,
        seed=args.seed,
        allow_missing=args.allow_missing,
        warn=lambda sentence: print(f"warning: {sentence}", file=sys.stderr),
        progress=_show_line if sys.stderr.isatty() else lambda _: None,
    )
    print(f"{rows:,} rows of {len(variants)} variant(s) written to {args.output}", file=sys.stderr)
    return 0


def _show_bytes(name: str, done: int, size: int) -> None:
    share = 100 * done // max(size, 1)
    _show_line(f"{name}: {done / 1e6:,.0f} of {size / 1e6:,.0f} MB ({share} %)")


def _show_line(text: str) -> None:
    print(f"\r\x1b[K{text}", end="\r", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
