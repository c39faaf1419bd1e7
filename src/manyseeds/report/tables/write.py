"""Write the success-rate tables of an experiment: CSV of every checkpoint, Markdown, HTML and LaTeX of the last."""

from collections.abc import Sequence

import pandas as pd

from manyseeds.analysis.comparison import compared
from manyseeds.analysis.rates import at_the_end, success_rates, success_rates_over_seeds
from manyseeds.analysis.results import Experiment, describe, read_all_episodes
from manyseeds.config.external import OURS
from manyseeds.core.files import write_atomic
from manyseeds.report.command import for_each_experiment, results_parser
from manyseeds.report.tables.formats import FORMATS
from manyseeds.report.tables.text import Grid, compared_grid, final_grid
from manyseeds.report.tables.training import (
    compared_in_training,
    compared_in_training_grid,
    training_grid,
    training_rates,
    training_rates_over_seeds,
)


def write_tables(experiment: Experiment) -> str:
    """Write all tables into the experiment's folder.

    Returns:
        The final tables as Markdown.

    Raises:
        UserError: when no run was evaluated (of another trainer: has scalars) or a CSV file is malformed.
    """
    frames, grids = _evaluated(experiment) if experiment.trainer == OURS else _trained(experiment)
    texts = {suffix: render(grids, describe(experiment)) for suffix, render in FORMATS.items()}
    for name, frame in frames.items():
        with write_atomic(experiment.folder / f"{name}.csv") as path:
            frame.to_csv(path, index=False, lineterminator="\n", float_format="%.9g")
    for suffix, text in texts.items():
        with write_atomic(experiment.folder / f"success_rates.{suffix}") as path:
            path.write_text(text, encoding="utf-8")
    return texts["md"]


def _evaluated(experiment: Experiment) -> tuple[dict[str, pd.DataFrame], list[Grid]]:
    episodes = read_all_episodes(experiment)
    rates = success_rates(experiment, episodes)
    seeds, pairs = success_rates_over_seeds(rates), compared(episodes, at_the_end(rates))
    grids = [final_grid(rates, seeds), *([compared_grid(pairs)] if len(pairs) else [])]
    return _frames(rates, seeds, pairs), grids


def _trained(experiment: Experiment) -> tuple[dict[str, pd.DataFrame], list[Grid]]:
    rates = training_rates(experiment)
    seeds, pairs = training_rates_over_seeds(rates), compared_in_training(rates)
    grids = [training_grid(experiment, rates, seeds), *([compared_in_training_grid(pairs)] if len(pairs) else [])]
    return _frames(rates, seeds, pairs), grids


def _frames(rates: pd.DataFrame, seeds: pd.DataFrame, pairs: pd.DataFrame) -> dict[str, pd.DataFrame]:
    return {"success_rates": rates, "success_rates_over_seeds": seeds, "success_rates_compared": pairs}


def main(argv: Sequence[str] | None = None) -> int:
    """Command line: write the tables of every experiment in a results folder and print the final ones."""
    arguments = results_parser("tables", __doc__).parse_args(argv)
    return for_each_experiment(arguments.results_dir, write_tables)
