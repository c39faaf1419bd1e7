"""Write the success-rate tables of an experiment: CSV of every checkpoint, Markdown, HTML and LaTeX of the last."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from manyseeds.errors import UserError
from manyseeds.files import write_atomic
from manyseeds.results import Experiment, describe, find_experiments, print_notes, read_all_episodes
from manyseeds.tables.comparison import compared
from manyseeds.tables.formats import FORMATS
from manyseeds.tables.rates import at_the_end, success_rates, success_rates_over_seeds
from manyseeds.tables.text import compared_grid, final_grid


def write_tables(experiment: Experiment) -> str:
    """Write all tables into the experiment's folder.

    Returns:
        The final tables as Markdown.

    Raises:
        UserError: when no run was evaluated or an episodes.csv is malformed.
    """
    episodes = read_all_episodes(experiment)
    rates = success_rates(experiment, episodes)
    frames = {
        "success_rates": rates,
        "success_rates_over_seeds": success_rates_over_seeds(rates),
        "success_rates_compared": compared(episodes, at_the_end(rates)),
    }
    grids = [final_grid(rates, frames["success_rates_over_seeds"])]
    if len(frames["success_rates_compared"]):
        grids.append(compared_grid(frames["success_rates_compared"]))
    texts = {suffix: render(grids, describe(experiment)) for suffix, render in FORMATS.items()}
    for name, frame in frames.items():
        with write_atomic(experiment.folder / f"{name}.csv") as path:
            frame.to_csv(path, index=False, lineterminator="\n", float_format="%.9g")
    for suffix, text in texts.items():
        with write_atomic(experiment.folder / f"success_rates.{suffix}") as path:
            path.write_text(text, encoding="utf-8")
    return texts["md"]


def main(argv: Sequence[str] | None = None) -> int:
    """Command line: write the tables of every experiment in a results folder and print the final ones."""
    parser = argparse.ArgumentParser(prog="python -m manyseeds.tables", description=__doc__)
    parser.add_argument("results_dir", type=Path, help="an experiment's results folder, or a folder of such folders")
    arguments = parser.parse_args(argv)
    try:
        for experiment in find_experiments(arguments.results_dir):
            print_notes(experiment)
            print(write_tables(experiment))
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
