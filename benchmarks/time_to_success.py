"""How long training took to success, from a results folder: seconds and samples of every seed, and the worst seed.

    python benchmarks/time_to_success.py [results/<experiment>] [--threshold 0.9] [--outcome held]

A seed's time is the time of the first evaluated checkpoint from which on the success rate, over the evaluation's
episodes, stays at or above the threshold. Seconds are those of collection and learning up to that checkpoint, from
scalars.csv; evaluation and start-up do not count. The seconds depend on how many runs shared the machine; "threads" is
the number of threads of each run. The time is an upper bound, as coarse as the checkpoints.
"""

import argparse
import json
import math
import sys
from pathlib import Path

from _timing import Table

from manyseeds.analysis.rates import evaluation_rates
from manyseeds.analysis.results import ResultsFolder, Run, find_results, read_episodes, read_scalars
from manyseeds.core.errors import UserError

PUBLISHED = Path(__file__).resolve().parents[1] / "results" / "published"
CLOCK = ("Perf/collection_time", "Perf/learning_time")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("results", type=Path, nargs="?", default=PUBLISHED, help="folder of one or more experiments")
    parser.add_argument("--threshold", type=float, default=0.9, help="share of the episodes that must succeed")
    parser.add_argument("--outcome", help="the share that counts as success (default: the first of each experiment)")
    args = parser.parse_args()
    try:
        if not 0 < args.threshold <= 1:
            raise UserError(f"--threshold is {args.threshold}; it must be greater than 0 and at most 1.")
        for experiment in find_results(args.results):
            names = [share.name for share in experiment.successes]
            outcome = args.outcome or next(iter(names), None)
            if outcome not in names:
                raise UserError(
                    f"--outcome is {outcome}; {experiment.folder} has {', '.join(names) or 'no such share'}."
                )
            for variant in experiment.variants:
                print(f"{experiment.name}, {variant}: {outcome} >= {args.threshold:g} from then on\n")
                show(experiment, variant, outcome, args.threshold)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


def show(folder: ResultsFolder, variant: str, outcome: str, threshold: float) -> None:
    samples_per_iteration = folder.samples_per_iteration.get(variant)
    table = Table("seed", "iteration", "samples", "s", "threads", f"{outcome} there", f"{outcome} at the end")
    times = {}
    for run in folder.of(variant):
        rates = evaluation_rates(folder, {run: read_episodes(run, folder.description)}).set_index("iteration")[outcome]
        stays = rates[::-1].ge(threshold).cummin()[::-1]
        end = f"{rates.iloc[-1]:.3f}"
        if not stays.any():
            times[run.seed] = (math.inf, math.inf)
            table.row(run.seed, "never", "", "", threads(run), "", end)
            continue
        first = int(stays.idxmax())
        scalars = read_scalars(run)
        known = all(tag in scalars for tag in CLOCK)
        seconds = scalars.loc[:first, list(CLOCK)].ffill().bfill().sum().sum() if known else math.nan
        samples = first * samples_per_iteration if samples_per_iteration else math.nan
        times[run.seed] = (seconds, samples)
        table.row(run.seed, first, f"{samples:,.0f}", f"{seconds:.0f}", threads(run), f"{rates[first]:.3f}", end)
    worst = max(times, key=lambda seed: times[seed])
    seconds, samples = times[worst]
    never = sum(math.isinf(time) for time, _ in times.values())
    if never:
        print(f"\n{never} of {len(times)} seeds never get there\n")
    else:
        print(f"\nworst seed of {len(times)}: {worst}, {seconds:.0f} s, {samples:,.0f} samples\n")


def threads(run: Run) -> str:
    path = run.folder / "run.json"
    return str(json.loads(path.read_text(encoding="utf-8")).get("threads", "")) if path.is_file() else ""


if __name__ == "__main__":
    sys.exit(main())
