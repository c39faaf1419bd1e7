"""What the command lines share that work on finished experiments: tables, figures, pages."""

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

from manyseeds.analysis.results import Experiment, find_experiments
from manyseeds.core.arguments import verb_parser
from manyseeds.core.errors import UserError


def results_parser(verb: str, description: str | None) -> argparse.ArgumentParser:
    """Make the parser of `manyseeds VERB RESULTS_DIR`."""
    parser = verb_parser(verb, description, "results/lift_object")
    parser.add_argument("results_dir", type=Path, help="an experiment's results folder, or a folder of such folders")
    return parser


def for_each_experiment(results_dir: Path, work: Callable[[Experiment], str]) -> int:
    """Do one thing with every experiment in a results folder and print what it says.

    Runs that are missing or left out are told on stderr, and so is an error that the user can mend.

    Args:
        results_dir: an experiment's folder, or a folder of such folders.
        work: takes an experiment, returns what to print.

    Returns:
        The exit status: 0, or 2 after such an error.
    """
    try:
        for experiment in find_experiments(results_dir):
            for note in experiment.notes:
                print(f"note: {note}", file=sys.stderr)
            print(work(experiment))
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0
