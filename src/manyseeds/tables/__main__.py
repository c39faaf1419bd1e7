"""Write the success-rate tables of an experiment: CSV of every checkpoint, Markdown, HTML and LaTeX of the last."""

import sys
from collections.abc import Sequence

from manyseeds.command import for_each_experiment, results_parser
from manyseeds.files import write_atomic
from manyseeds.results import Experiment, describe, read_all_episodes
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
    arguments = results_parser("manyseeds.tables", __doc__).parse_args(argv)
    return for_each_experiment(arguments.results_dir, write_tables)


if __name__ == "__main__":
    sys.exit(main())
