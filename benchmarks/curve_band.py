"""CPU time of the intervals over seeds for one curve: 10 seeds, 12,000 points, 2,000 resamples.

python benchmarks/curve_band.py
"""

import time

import numpy as np

from manyseeds import statistics


def main() -> None:
    curves = np.random.default_rng(0).normal(size=(10, 12_000)).cumsum(axis=1)
    for function in (statistics.t_interval, statistics.simultaneous_band, statistics.iqm_bootstrap):
        function(curves[:, :10])  # first call imports what it needs
        start = time.process_time()
        function(curves)
        print(f"{function.__name__}: {time.process_time() - start:.3f} s")


if __name__ == "__main__":
    main()
