"""Compare finished runs of other programs: read their logs, write a results folder, and all that is made of it."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from manyseeds.analysis.curves import aggregate
from manyseeds.analysis.data import Data
from manyseeds.analysis.results import ResultsFolder, find_results
from manyseeds.compare.names import folder_name
from manyseeds.compare.results import REWARDS, Choice, Prepared, check_output, find_reward, prepare, write
from manyseeds.compare.runs import common_folder, find_sources, group, read_parts
from manyseeds.core.arguments import at_least, verb_parser
from manyseeds.core.errors import UserError
from manyseeds.core.layout import LEARNING_CURVES, RESULTS
from manyseeds.report.figures.draw import draw
from manyseeds.report.pages.report import write_report
from manyseeds.report.pages.write import write_pages
from manyseeds.report.tables.write import write_tables


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; return 0."""
    return _compare(_parser().parse_args(argv))


def _parser() -> argparse.ArgumentParser:
    parser = verb_parser(
        "compare",
        "Make tables, figures and pages of finished runs: the logs of RSL-RL (Isaac Lab, legged_gym, mjlab), other "
        "TensorBoard event files, progress.csv and evaluations.npz of Stable-Baselines3, and histories of Weights & "
        "Biases as CSV. Logs are only read. docs/your-logs.md explains it.",
        "logs/rsl_rl/franka_lift --name '{stamp}_{variant}_seed{seed}' --output results/franka_lift",
    )
    parser.add_argument(
        "folders", nargs="+", metavar="FOLDER", help="folders with runs in them or below, or VARIANT=FOLDER"
    )
    parser.add_argument(
        "--output", type=Path, metavar="FOLDER", help="results folder (default: results/<FOLDER's name>)"
    )
    parser.add_argument(
        "--name",
        metavar="PATTERN",
        help="what the runs' folders are called, with {variant}, {seed}, {stamp} (a time) and {any}, such as "
        "'{variant}/seed_{seed}' (default: guess)",
    )
    parser.add_argument("--dry-run", action="store_true", help="show what the runs are, and write nothing")
    parser.add_argument("--exclude", nargs="+", default=[], metavar="PATTERN", help="leave out runs with such names")
    parser.add_argument(
        "--at",
        default="common",
        metavar="common|end|N",
        help="compare runs at the last iteration that all reach, each at its end, or at an iteration, without shorter "
        "runs (default: %(default)s)",
    )
    parser.add_argument(
        "--number-seeds", action="store_true", help="number the runs of a variant, whatever their seeds"
    )
    parser.add_argument("--reward", default="", metavar="TAG", help="the tag of the return (default: the known ones)")
    parser.add_argument(
        "--success",
        default="",
        metavar="TAG",
        help="the tag of a success rate from 0 to 1, or none (default: the one with 'success' in its name)",
    )
    parser.add_argument("--reward-terms", default="", metavar="PREFIX", help="how tags of single reward terms begin")
    parser.add_argument(
        "--samples-per-iteration",
        type=at_least(1),
        metavar="N",
        help="environment steps of an iteration, if no log says",
    )
    parser.add_argument("--baseline", metavar="VARIANT", help="compare all other variants with this one")
    parser.add_argument(
        "--label", nargs="+", default=[], metavar="VARIANT=TEXT", help="what tables and figures call variants"
    )
    parser.add_argument(
        "--allow-corrupt", action="store_true", help="read what is left of event files that are corrupt in the middle"
    )
    return parser


def _compare(args: argparse.Namespace) -> int:
    choice = Choice(
        args.reward,
        None if args.success == "none" else args.success,
        args.reward_terms,
        _at(args.at),
        args.samples_per_iteration,
        _labels(args.label),
        args.baseline,
    )
    found = find_sources(args.folders, args.exclude)
    output = args.output or Path(RESULTS) / folder_name(common_folder(found.sources))
    check_output(output)
    parts, empty = read_parts(found.sources, args.reward or REWARDS[0], args.allow_corrupt)
    reward = find_reward([part.log.table for part in parts], args.reward)
    if reward != (args.reward or REWARDS[0]):  # Tags that count something else than it are left out.
        parts, empty = read_parts(found.sources, reward, args.allow_corrupt)
    runs, said = group(parts, args.name, number_seeds=args.number_seeds)
    remarks = [
        *said,
        *([f"Left out (--exclude): {', '.join(found.excluded)}."] if found.excluded else []),
        *([f"Left out, because they logged nothing: {', '.join(empty)}."] if empty else []),
    ]
    prepared = prepare(runs, choice, remarks)
    _show(prepared, [] if args.name else ["Variants and seeds are guessed from names; --name says them."])
    if args.dry_run:
        print(f"Nothing was written (--dry-run); without it results go to {output}.")
        return 0
    print(_write(prepared, output))
    return 0


def _at(text: str) -> Literal["common", "end"] | int:
    if text in ("common", "end"):
        return text  # type: ignore[return-value]
    if text.isascii() and text.isdigit() and int(text) > 0:
        return int(text)
    raise UserError(f"--at {text}: must be common, end or the number of an iteration")


def _labels(texts: Sequence[str]) -> dict[str, str]:
    found = {}
    for text in texts:
        # The name of a variant may have '=' in it, as those of grids have.
        variant, equals, label = text.rpartition("=")
        if not (variant and equals and label) or len(label) > 60 or not label.isprintable():
            raise UserError(f"--label {text}: must be VARIANT=TEXT, with one line of at most 60 characters")
        found[variant] = label
    return found


def _show(prepared: Prepared, notes: Sequence[str]) -> None:
    """Print what the runs are, before anything is written."""
    rows = [("Variant", "Seed", "Iterations", "Samples each", "Logs")]
    for run, table in zip(prepared.runs, prepared.tables, strict=True):
        samples = prepared.samples.get(folder_name(run.variant), 0)
        rows.append(
            (
                run.variant,
                str(run.seed),
                f"{table.index[-1]:,}",
                f"{samples:,}" if samples else "unknown",
                " + ".join(part.source.name for part in run.parts),
            )
        )
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        aligned = [
            cell.rjust(width) if 0 < place < 4 else cell.ljust(width)
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        print("  ".join(aligned).rstrip())
    tags = prepared.tags
    print(f"Return: {tags['reward']}. Success: {tags['success'] or 'none (--success names its tag)'}.")
    for sentence in [*prepared.remarks, *notes]:
        print(f"note: {sentence}")


def _write(prepared: Prepared, output: Path) -> str:
    """Write the results folder and all that is made of it; returns the tables."""
    write(prepared, output)
    aggregate(
        prepared.curves(output),
        output / LEARNING_CURVES,
        warn=lambda sentence: print(f"note: {sentence}", file=sys.stderr),
    )
    [folder] = find_results(output)
    data = Data(folder)
    tables = write_tables(folder)
    shown = _with_data(data)
    draw(folder, shown)
    pages = write_pages(folder)
    report = write_report(data)
    return f"\n{tables}\n{output / 'figures'}: {len(shown)} figure(s)\n{pages}\n{report}"


def _with_data(data: Data) -> list[str]:
    """The figures that show something."""
    folder: ResultsFolder = data.folder
    timed = any(data.hours(run) is not None for run in folder.runs)
    terms = bool(data.tags(folder.tags.reward_terms))
    wanted = {
        "learning_curves": True,
        "learning_curves_wall_clock": timed,
        "reward_terms": terms,
        "reward_terms_wall_clock": terms and timed,
        "final_success": bool(data.successes),
        "final_return": bool(data.final.notna()["return_mean"].any()),
        "differences": bool(data.successes) and len(data.comparisons) > 0,
        "throughput": timed or bool(data.tags("Perf/total_fps")),
    }
    return [name for name, shown in wanted.items() if shown]
