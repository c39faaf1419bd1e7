"""What the columns of episodes.csv tell of a task, where no config.json describes it."""

from collections.abc import Sequence

import pandas as pd

from manyseeds.core.description import Description, Outcome, Start

KNOWN = ("iteration", "episode", "return")


def infer_description(tables: Sequence[tuple[str, pd.DataFrame]]) -> Description:
    """Tell starts, shares and measures apart.

    A column of zeros and ones is a share. A column in which every checkpoint and seed of a variant agrees, episode by
    episode, is a start, unless it is empty throughout. Any other is a measure, and so is a column where nothing is
    repeated that could agree.

    Args:
        tables: variant and episodes of each run.
    """
    columns = dict.fromkeys(column for _, table in tables for column in table.columns if column not in KNOWN)
    starts, outcomes = [], []
    for column in columns:
        own = [(variant, table) for variant, table in tables if column in table]
        title = column.replace("_", " ")
        if all(table[column].isin((0, 1)).all() for _, table in own):
            outcomes.append(Outcome(column, title.capitalize(), "share", f"the column {column} is 1"))
        elif _repeats(own, column):
            starts.append(Start(column, title))
        else:
            outcomes.append(Outcome(column, title.capitalize(), "measure", f"the column {column}", better=""))
    return Description(tuple(starts), tuple(outcomes))


def _repeats(tables: Sequence[tuple[str, pd.DataFrame]], column: str) -> bool:
    together = pd.concat(
        [table.reindex(columns=["episode", column]).assign(variant=variant) for variant, table in tables]
    )
    groups = together.groupby(["variant", "episode"])[column]
    agree = (groups.size() > 1).all() and (groups.nunique(dropna=False) == 1).all()
    return bool(agree and together[column].notna().any())
