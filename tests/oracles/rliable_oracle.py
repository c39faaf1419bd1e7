"""Compare manyseeds.statistics with rliable, in an environment of its own (`make oracles`); status 1 says they differ.

    PYTHONPATH=src ENV/bin/python tests/oracles/rliable_oracle.py [RECORD]

RECORD is a file for what is found; rliable.txt holds what was found last, and the versions it was found with.

Estimates must be equal. Limits are compared for the plain bootstrap of the IQM. They come from other draws, and the IQM
of few seeds has gaps between its possible values: rliable's limits must lie among those that ten seeds of our draws
give, or within 1 % of the width of them.
"""

import sys
import time
from importlib.metadata import version
from pathlib import Path

import numpy as np
from rliable import library, metrics

from manyseeds import statistics

RESAMPLES = 20_000
DRAWS = 10
TOLERANCE = 0.01  # of the width


def intervals(scores, function):
    """Estimate, low and high of rliable's percentile bootstrap."""
    estimates, limits = library.get_interval_estimates({"a": scores}, function, reps=RESAMPLES)
    return np.array(estimates["a"]), np.array(limits["a"])


def iqm_bootstrap(values, seed):
    return statistics.iqm_bootstrap(values, resamples=RESAMPLES, seed=seed)


def compare(name, ours, estimate, limits):
    """Say the largest differences to `ours`, a function of the seed, and whether they are small."""
    draws = [ours(seed) for seed in range(DRAWS)]
    width = np.maximum(np.ravel(limits[1] - limits[0]), 1e-12)
    value = float(np.abs(np.ravel(draws[0].estimate) - np.ravel(estimate)).max())
    outside = 0.0
    for want, got in ((limits[0], [d.low for d in draws]), (limits[1], [d.high for d in draws])):
        beyond = np.maximum(np.min(got, axis=0) - want, want - np.max(got, axis=0))
        outside = max(outside, float((np.ravel(beyond) / width).max()))
    good = value < 1e-9 and outside < TOLERANCE
    told = f"estimates differ by {value:.1e}, limits lie outside of our draws' by {100 * outside:.2f} % of the width"
    return verdict(good, f"{name}: {told}")


def verdict(good, told):
    line = f"{'ok ' if good else 'BAD'} {told}"
    print(line, flush=True)
    return line


def main() -> int:
    random = np.random.default_rng(0)
    np.random.seed(0)  # rliable draws from the global generator
    lines = [", ".join(f"{name} {version(name)}" for name in ("rliable", "arch", "numpy", "scipy"))]
    for seeds in (3, 4, 5, 8, 10, 20):
        scores = random.gamma(2.0, size=(seeds, 1))
        theirs = intervals(scores, lambda x: np.array([metrics.aggregate_iqm(x)]))
        lines.append(compare(f"IQM of {seeds} seeds", lambda seed, s=scores[:, 0]: iqm_bootstrap(s, seed), *theirs))

    curves = random.normal(size=(10, 8)).cumsum(axis=1)
    start = time.process_time()
    theirs = intervals(
        curves[:, None, :], lambda x: np.array([metrics.aggregate_iqm(x[..., i]) for i in range(x.shape[-1])])
    )
    middle = time.process_time()
    iqm_bootstrap(curves, 0)
    print(f"    CPU time: rliable {middle - start:.1f} s, ours {time.process_time() - middle:.3f} s")
    lines.append(compare("IQM curve of 10 seeds", lambda seed: iqm_bootstrap(curves, seed), *theirs))

    scores = random.random((12, 1))
    thresholds = np.linspace(0.05, 0.95, 10)
    profile, _ = library.create_performance_profile({"a": scores}, thresholds, reps=10)
    ours = statistics.performance_profile(scores[:, 0], thresholds)
    difference = np.abs(ours.estimate - profile["a"]).max()
    lines.append(verdict(difference < 1e-9, f"performance profile: estimates differ by {difference:.1e}"))

    a, b = random.normal(0.7, size=9), random.normal(size=7)
    theirs = metrics.probability_of_improvement(a[:, None], b[:, None])
    difference = abs(statistics.probability_of_improvement(a, b) - theirs)
    lines.append(verdict(difference < 1e-9, f"probability of improvement: estimates differ by {difference:.1e}"))
    if len(sys.argv) > 1:
        Path(sys.argv[1]).write_text("\n".join(lines) + "\n")
    return int(any(line.startswith("BAD") for line in lines))


if __name__ == "__main__":
    sys.exit(main())
