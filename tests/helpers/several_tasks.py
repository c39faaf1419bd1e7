"""Results of several experiments with scores that are written down."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from helpers.synthetic_results import make_scalars, write_config
from manyseeds.core.description import Description, Outcome, Start

EPISODES = 20
DOCKING = Description(
    starts=(Start("current", "current", "m/s"),),
    outcomes=(Outcome("docked", "Docked", "share", "the boat touched the pier softly"),),
)
DRIFTING = Description(
    starts=(Start("current", "current", "m/s"),),
    outcomes=(Outcome("drift", "Drift", "measure", "how far the boat drifted", "m", "lower"),),
)


def make_task(
    folder: Path,
    scores: Mapping[str, Sequence[float]],
    *,
    description: Description = DOCKING,
    missing: Sequence[int] = (),
    **fields: object,
) -> Path:
    """Write an experiment whose runs succeed in these shares of `EPISODES` episodes; seeds are 1, 2, and so on.

    Args:
        folder: to make.
        scores: of each variant, by seed.
        description: of the task.
        missing: seeds that leave nothing.
        fields: more of config.json.
    """
    starts = np.linspace(0.1, 1, EPISODES)
    for variant, own in scores.items():
        for seed, score in enumerate(own, start=1):
            if seed in missing:
                continue
            run = folder / variant / f"seed_{seed}"
            run.mkdir(parents=True)
            make_scalars(10, seed).to_csv(run / "scalars.csv", index=False)
            reached = np.arange(EPISODES) < round(score * EPISODES)
            columns = {"iteration": 10, "episode": np.arange(EPISODES), "current": starts}
            columns[description.outcomes[0].name] = reached.astype(int)
            pd.DataFrame(columns | {"return": 1.0}).to_csv(run / "episodes.csv", index=False)
    write_config(folder, list(scores), range(1, 1 + max(map(len, scores.values()))), description, **fields)
    return folder
