"""What the command lines of tables, figures and pages share."""

import argparse
import os
import sys
from collections.abc import Callable
from pathlib import Path

from manyseeds.analysis.results import ResultsFolder, find_results
from manyseeds.core.arguments import verb_parser


def results_parser(verb: str, description: str | None) -> argparse.ArgumentParser:
    """Make the parser of `manyseeds VERB RESULTS_DIR`."""
    parser = verb_parser(verb, description, "results/lift_object")
    parser.add_argument("results_dir", type=Path, help="an experiment's results folder, or a folder of such folders")
    return parser


def without_windows() -> None:
    """Let Matplotlib draw into files only; call it before Matplotlib is imported, which refuses a notebook's choice."""
    os.environ["MPLBACKEND"] = "agg"


def for_each_folder(results_dir: Path, work: Callable[[ResultsFolder], str]) -> int:
    """Do one thing with every experiment in a results folder and print what it returns.

    Runs that are missing or left out are named on stderr.

    Args:
        results_dir: an experiment's folder, or a folder of such folders.
        work: takes a results folder, returns what to print.

    Returns:
        The exit code, 0.
    """
    for folder in find_results(results_dir):
        for note in folder.notes:
            print(f"note: {note}", file=sys.stderr)
        print(work(folder))
    return 0
