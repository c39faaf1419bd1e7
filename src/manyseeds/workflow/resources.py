"""What a job asks of a cluster: run time and memory, estimated so that it is enough on a slow machine."""

import math

# Threads of a run on a cluster, where there are no cores of one machine to share.
CLUSTER_THREADS = 4
# Samples per second of one core of an AMD EPYC (Zen 5), and of a GPU that does 12,000 iterations of 512 environments in
# 6 hours; another machine may be that many times slower.
SAMPLES_PER_S_CPU = 11000.0
SAMPLES_PER_S_GPU = 6800.0
SLOWEST = 4.0
# A day is what most partitions allow. A longer run resumes from its state in its next attempt.
LONGEST_MIN = 24 * 60
START_MIN = 10
BASE_MB = 2000
# Share of a training iteration that more threads do not shorten: 2 cores make one run 1.56 times as fast.
SERIAL_SHARE = 0.28
# Measured: 0.1 MB for each environment; the learner's buffers grow with the observations.
MB_PER_ENV = 1.0
LEAST_MB = 300
LEAST_MB_PER_ENV = 0.05


def training_minutes(samples: int, threads: int, on_gpu: bool) -> int:
    """Return the run time to ask for a training of so many environment steps, in minutes."""
    return _minutes(samples, SAMPLES_PER_S_GPU if on_gpu else SAMPLES_PER_S_CPU * speedup(threads))


def evaluation_minutes(samples: int, threads: int) -> int:
    """Return the run time to ask for an evaluation of so many environment steps, in minutes."""
    return _minutes(samples, SAMPLES_PER_S_CPU * speedup(threads))


def memory_mb(num_envs: int) -> int:
    """Return the memory to ask for with that many environments, in MB."""
    return math.ceil(BASE_MB + MB_PER_ENV * num_envs)


def needed_mb(num_envs: int, samples: int, batch: int, observation: int, action: int, parameters: int) -> int:
    """Return about how much memory one process of a training takes at least, in MB.

    Args:
        num_envs: environments.
        samples: environment steps of an iteration.
        batch: samples of a mini-batch.
        observation: numbers of an observation.
        action: numbers of an action.
        parameters: numbers of the actor and the critic.
    """
    row = observation + 4 * action + 8
    # The rollout and its shuffled copy; a mini-batch; parameters, gradients, Adam's averages and a checkpoint of them.
    numbers = 2 * samples * row + batch * row + 8 * parameters
    return math.ceil(LEAST_MB + 4 * numbers / 1e6 + LEAST_MB_PER_ENV * num_envs)


def speedup(threads: int) -> float:
    """Return how many times as fast as on one thread a run is, by Amdahl's law."""
    return 1 / (SERIAL_SHARE + (1 - SERIAL_SHARE) / threads)


def _minutes(samples: float, per_second: float) -> int:
    return min(LONGEST_MIN, math.ceil(START_MIN + SLOWEST * samples / per_second / 60))
