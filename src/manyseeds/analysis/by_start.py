"""Success by what an episode starts with: for each name of a start column, such as each kind of object, the rates."""

from collections.abc import Mapping

import pandas as pd

from manyseeds.analysis.rates import Sample, column, over_seeds
from manyseeds.analysis.results import ResultsFolder, Run
from manyseeds.core.description import Start
from manyseeds.core.errors import UserError

SHOWN = ("mean", "low", "high", "min", "max")
"""What of `manyseeds.analysis.rates.over_seeds` the table has."""


def by_start(folder: ResultsFolder, episodes: Mapping[str, Mapping[Run, pd.DataFrame]]) -> pd.DataFrame:
    """Statistics of the seeds' rates over the episodes that start with each name of a start column.

    Args:
        folder: the outcomes, and the start columns with names.
        episodes: the reported episodes of each variant's seeds.

    Returns:
        One row per variant, start column and name that has episodes: `start`, `name`, `iteration`, `seeds`, `episodes`
        (of a seed); for each compared outcome `<outcome>_` with each of `SHOWN`, the limits for new seeds on these
        episodes; for every other outcome its mean over seeds. No rows where no start column has names.

    Raises:
        UserError: when an episode's number has no name.
    """
    named = [start for start in folder.description.starts if start.names]
    rows = []
    for variant, runs in episodes.items():
        for start in named:
            parts = {run: _parts(run, start, table) for run, table in runs.items()}
            for name in start.names:
                own = [tables[name] for tables in parts.values() if name in tables]
                if own:
                    rows.append({"variant": variant, "start": start.name, "name": name} | _row(folder, own))
    return pd.DataFrame(rows)


def _parts(run: Run, start: Start, table: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """Return the episodes of each name that has some."""
    numbers = table[start.name]
    if not numbers.isin(range(len(start.names))).all():
        raise UserError(
            f"{run.episodes}: column {start.name!r} must hold whole numbers from 0 to {len(start.names) - 1}, which "
            f"stand for {', '.join(start.names)}"
        )
    return {name: own for place, name in enumerate(start.names) if len(own := table[numbers == place])}


def _row(folder: ResultsFolder, own: list[pd.DataFrame]) -> dict[str, object]:
    row: dict[str, object] = {"iteration": own[0]["iteration"].iloc[0], "seeds": len(own), "episodes": len(own[0])}
    for outcome in folder.outcomes:
        numbers = pd.Series([table[outcome.name].mean() for table in own])
        if outcome in folder.compared:
            sample = Sample(numbers.to_numpy(float), outcome.kind == "share", len(own[0]))
            row |= {f"{outcome.name}_{key}": value for key, value in over_seeds(sample).items() if key in SHOWN}
        else:
            row[column(outcome)] = numbers.mean()
    return row
