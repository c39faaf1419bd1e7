"""Send finished runs to Weights & Biases or MLflow, or what was not sent while they trained."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from manyseeds.core.arguments import split_names, verb_parser
from manyseeds.core.errors import UserError
from manyseeds.core.layout import EXTERNAL_WORK, LOGGERS_LOCK
from manyseeds.core.locks import locked
from manyseeds.core.loggers import LOGGERS
from manyseeds.core.packages import missing
from manyseeds.core.text import did_you_mean
from manyseeds.loggers.account import read_account, write_account
from manyseeds.loggers.feed import KINDS, sentence
from manyseeds.loggers.rows import Row, all_rows
from manyseeds.loggers.run import Run, run_in
from manyseeds.loggers.wandb_logger import FOLDER


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; return 1 when a run could not be sent."""
    parser = verb_parser(
        "sync",
        "Send the scalars of runs to Weights & Biases or MLflow, from their event files. What is there already is not "
        "sent again.",
        "results/lift_object\nresults/lift_object/default/seed_1 --to wandb",
    )
    parser.add_argument("folders", nargs="+", type=Path, metavar="FOLDER", help="runs, or folders with runs below")
    parser.add_argument(
        "--to",
        type=logger_names,
        default=(),
        metavar="NAMES",
        help=f"{' or '.join(LOGGERS)}, or both with a comma (where training was to send each run)",
    )
    arguments = parser.parse_args(argv)
    failed = False
    for folder in dict.fromkeys(run for given in arguments.folders for run in runs_below(given)):
        run = run_in(folder)
        names = arguments.to or tuple(read_account(run))
        if not names:
            raise UserError(f"{folder} was trained without a logger; --to wandb or --to mlflow says where it is sent")
        if problem := missing(names):
            raise UserError(problem)
        failed |= not _send(run, names)
    return int(failed)


def logger_names(text: str) -> tuple[str, ...]:
    """Return the names in a text with commas.

    Raises:
        argparse.ArgumentTypeError: when one is unknown.
    """
    loggers = tuple(dict.fromkeys(split_names(text)))
    for name in loggers:
        if name not in LOGGERS:
            hint = did_you_mean(name, list(LOGGERS))
            raise argparse.ArgumentTypeError(f"{name!r} is unknown{hint}; known are {', '.join(LOGGERS)}")
    return loggers


def runs_below(folder: Path) -> list[Path]:
    """Return the folder if it has event files, or those below that have.

    Raises:
        UserError: when there is none.
    """
    if not folder.is_dir():
        raise UserError(f"{folder} is not a folder")
    found = sorted({path.parent for path in folder.rglob("*tfevents*") if path.is_file()})
    found = [path for path in found if not {EXTERNAL_WORK, FOLDER} & set(path.relative_to(folder).parts)]
    if folder in found:
        return [folder]
    if not found:
        raise UserError(f"{folder}: no event file (a name with 'tfevents') in this folder or below")
    return found


def _send(run: Run, names: Sequence[str]) -> bool:
    """Send one run to trackers; return whether all have it."""
    try:
        with locked(run.folder / LOGGERS_LOCK):
            rows = all_rows(run.folder)
            done = [_send_to(name, run, rows) for name in names]
        return all(done)
    except BlockingIOError:
        print(f"{run.folder}: its training is sending it")
        return True
    except UserError as error:  # nothing logged yet, or damaged
        print(f"error: {run.folder}: {error}", file=sys.stderr)
        return False


def _send_to(name: str, run: Run, rows: Sequence[Row]) -> bool:
    last = rows[-1].step
    title = LOGGERS[name]
    if read_account(run).get(name, {}).get("sent", -1) >= last:
        print(f"{run.folder}: {title} has it")
        return True
    logger = KINDS[name](run, True)
    try:
        known = logger.open()
        logger.send(fresh := [row for row in rows if row.step > known])
        logger.close(run.is_finished)
    except Exception as error:
        logger.abandon()
        print(f"error: {run.folder}: {title} cannot be reached: {sentence(error)}.", file=sys.stderr)
        return False
    write_account(run, name, last, logger.url)
    print(f"{run.folder}: sent {len(fresh)} of {len(rows)} iterations to {logger.url or title}")
    return True
