"""What a run on a GPU did, as Markdown for benchmarks/gpu.sh; a run that was cut off is shown as far as it came.

There are two tables: speed, and success at every checkpoint that was evaluated; or the iteration from which two runs
differ, and by how much:

    python benchmarks/_run_table.py RUN
    python benchmarks/_run_table.py RUN --than RUN
"""

import argparse
import json
import math
import sys
from pathlib import Path

import numpy as np
import pandas as pd
from _timing import Table

from manyseeds.core.errors import UserError
from manyseeds.eventfiles.log import read_log
from manyseeds.eventfiles.table import to_table

CLOCK = ("Perf/collection_time", "Perf/learning_time")
LIMITS = (0.9, 0.95)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("--than", type=Path, metavar="RUN", help="compare with this run")
    args = parser.parse_args()
    try:
        if args.than:
            compare(scalars(args.run), scalars(args.than))
        else:
            show(args.run, scalars(args.run))
    except (UserError, OSError) as error:
        print(f"{args.run}: {error}")
        return 1
    return 0


def scalars(run: Path) -> pd.DataFrame:
    """Return a run's scalars, a row for each iteration."""
    return to_table(read_log(run)).to_pandas().set_index("iteration")


def show(run: Path, log: pd.DataFrame) -> None:
    seconds = log[list(CLOCK)].sum(axis=1).cumsum()
    fps = log["Perf/total_fps"].iloc[1:].median() if len(log) > 1 else math.nan
    print(
        f"{len(log)} iterations in {seconds.iloc[-1]:.0f} s of collection and learning, {fps:,.0f} samples/s"
        f" (median); last return {log['Train/mean_reward'].iloc[-1]:.2f}, last success of training episodes"
        f" {log['Metrics/success_rate'].ffill().iloc[-1]:.3f}\n"
        if {"Train/mean_reward", "Metrics/success_rate"} <= set(log.columns)
        else f"{len(log)} iterations in {seconds.iloc[-1]:.0f} s, {fps:,.0f} samples/s; no episode has ended\n"
    )
    path = run / "episodes.csv"
    if not path.is_file():
        print("not evaluated")
        return
    episodes = pd.read_csv(path)
    rates = episodes.groupby("iteration")[["reached", "held"]].mean()
    table = Table("iteration", "training, s", "reached", "held", "episodes")
    for iteration, row in rates.iterrows():
        number = int((episodes["iteration"] == iteration).sum())
        table.row(iteration, f"{seconds[iteration]:.0f}", f"{row.reached:.3f}", f"{row.held:.3f}", number)
    for outcome in rates:
        for limit in LIMITS:
            stays = rates[outcome][::-1].ge(limit).cummin()[::-1]
            when = f"from {seconds[stays.idxmax()]:.0f} s on (iteration {stays.idxmax()})" if stays.any() else "never"
            print(f"\n{100 * limit:.0f} % {outcome}: {when}", end="")
    print()


def compare(one: pd.DataFrame, other: pd.DataFrame) -> None:
    """Print from which iteration on two runs differ, of those that both have."""
    tags = [tag for tag in one.columns.intersection(other.columns) if not tag.startswith("Perf/")]
    both = one.index.intersection(other.index)
    left, right = (frame.loc[both, tags].to_numpy() for frame in (one, other))
    same = (left == right) | (np.isnan(left) & np.isnan(right))
    if same.all():
        print(json.dumps({"iterations": len(both), "identical": True}))
        return
    first = int(both[np.argmax(~same.all(axis=1))])
    worst = np.nanmax(np.abs(left - right) / np.maximum(np.abs(left), 1e-6), axis=1)
    last = tags.index("Train/mean_reward") if "Train/mean_reward" in tags else 0
    print(
        json.dumps(
            {
                "iterations": len(both),
                "identical": False,
                "first iteration that differs": first,
                "largest relative difference there": float(f"{worst[list(both).index(first)]:.2g}"),
                f"last {tags[last]}": [round(float(side[-1, last]), 4) for side in (left, right)],
            }
        )
    )


if __name__ == "__main__":
    sys.exit(main())
