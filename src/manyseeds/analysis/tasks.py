"""One number per variant over several experiments, such as one for each task."""

from collections.abc import Sequence

import pandas as pd

from manyseeds import statistics
from manyseeds.analysis.data import Data

COLUMNS = ("variant", "tasks", "seeds", "mean", "low", "high", "iqm", "iqm_low", "iqm_high")


def over_tasks(experiments: Sequence[Data]) -> pd.DataFrame:
    """Aggregate the first success of each experiment, for the variants that all of them have.

    A success rate is a normalized score: 0 is none of the episodes and 1 is all of them.

    Returns:
        One row per variant, `COLUMNS`: `tasks` (how many experiments), `seeds` (runs of all of them), mean and
        interquartile mean as in `manyseeds.statistics.mean_over_tasks` and `iqm_over_tasks`. No row for one experiment,
        or where one has no success.
    """
    rows = []
    if len(experiments) > 1 and all(data.successes for data in experiments):
        for variant in experiments[0].variants:
            scores = {}
            for data in experiments:
                own = data.final.loc[data.final["variant"] == variant, data.successes[0].name].dropna()
                if len(own):
                    scores[str(data.folder.folder)] = own.to_numpy(float)
            if len(scores) == len(experiments):
                runs = sum(map(len, scores.values()))
                mean, middle = statistics.mean_over_tasks(scores), statistics.iqm_over_tasks(scores)
                rows.append((variant, len(scores), runs, *mean, *middle))
    return pd.DataFrame(rows, columns=list(COLUMNS))
