"""Turn the scalars of several seeds into learning curves."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from manyseeds.analysis.curves import aggregate, named_runs, runs_of_experiment
from manyseeds.core.arguments import verb_parser
from manyseeds.core.errors import UserError
from manyseeds.core.layout import LEARNING_CURVES
from manyseeds.core.manifest import check_made, write_manifest


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; return 0."""
    return _aggregate(_parser().parse_args(argv))


def _parser() -> argparse.ArgumentParser:
    many = verb_parser(
        "curves",
        "Write a row per variant, tag and iteration: mean with t interval, interquartile mean with bootstrap interval.",
        "--config results/lift_object/config.json --output learning_curves.csv",
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
    return many


def _aggregate(args: argparse.Namespace) -> int:
    if not 0 < args.confidence < 1:
        raise UserError(f"--confidence {args.confidence}: must lie between 0 and 1")
    if args.resamples < 1:
        raise UserError(f"--resamples {args.resamples}: must be at least 1")
    variants = runs_of_experiment(args.config) if args.config else named_runs(args.runs, args.samples_per_iteration)
    tables = [path for variant in variants for path in variant.tables.values()]
    for path in tables:
        check_made(path, "scalars")
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
    if args.config:
        name = "" if args.output.name == LEARNING_CURVES else args.output.stem
        write_manifest(args.output.parent, "curves", [args.output], tables, name)
    print(f"{rows:,} rows of {len(variants)} variant(s) written to {args.output}", file=sys.stderr)
    return 0


def _show_line(text: str) -> None:
    print(f"\r\x1b[K{text}", end="\r", file=sys.stderr, flush=True)
