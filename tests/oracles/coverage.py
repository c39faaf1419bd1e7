"""How often the 95 % intervals of manyseeds.statistics cover, by simulation (`make coverage`): writes docs/coverage.md.

    python tests/oracles/coverage.py docs/coverage.md

Populations of seeds are beta distributions (mean and standard deviation of the seeds' true rates), the rates of 40
seeds that were trained and evaluated (seed_rates.csv: four batches, 1,000 episodes each), and mixtures in which some
seeds fail altogether. Each replicate draws seeds, and their episodes. "Before" are the intervals that were used until
manyseeds 0.3: Student's t cut to 0 to 1, percentile bootstraps, Welch without correction.
"""

import sys
import time
from collections.abc import Callable, Sequence
from functools import cache
from itertools import combinations
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import scipy

from manyseeds import statistics
from manyseeds.core.layout import REPOSITORY
from manyseeds.statistics import Interval

SEEDS = (3, 5, 10, 20)
REPLICATES = 10_000
FEW = 2_000  # replicates of what is slow
EPISODES = 1000
OBSERVED = Path(__file__).with_name("seed_rates.csv")
GRID = {
    0.5: (0.05, 0.1, 0.15, 0.2, 0.3),
    0.8: (0.02, 0.05, 0.1, 0.15, 0.2),
    0.9: (0.01, 0.02, 0.05, 0.1, 0.15),
    0.95: (0.005, 0.01, 0.02, 0.03, 0.05, 0.1),
    0.98: (0.005, 0.01, 0.02, 0.03, 0.05),
    0.99: (0.003, 0.005, 0.01, 0.02, 0.03),
    0.995: (0.002, 0.005, 0.01),
}
"""Mean rates, and standard deviations between seeds."""


class Population(NamedTuple):
    """Seeds to draw from: `draw` makes true rates of a shape; `sd` is their standard deviation."""

    name: str
    mean: float
    sd: float
    draw: Callable[[np.random.Generator, tuple[int, ...]], np.ndarray]
    observed: bool = False  # rates of episodes that were played: no further draw


def beta(mean: float, sd: float) -> Population:
    size = mean * (1 - mean) / sd**2 - 1
    return Population(
        f"beta, mean {100 * mean:g} %, SD {100 * sd:g}",
        mean,
        sd,
        lambda random, shape: random.beta(mean * size, (1 - mean) * size, size=shape),
    )


def observed(iteration: int, outcome: str = "reached") -> Population:
    table = pd.read_csv(OBSERVED)
    rates = table.loc[table["iteration"] == iteration, outcome].to_numpy()
    moments = f"mean {100 * rates.mean():.1f} %, SD {100 * rates.std():.1f}"
    name = f"40 trained seeds, {outcome}, iteration {iteration} ({moments})"
    return Population(name, rates.mean(), rates.std(), lambda random, shape: random.choice(rates, size=shape), True)


def mixture(share: float, failing: float, rest: Population) -> Population:
    mean = share * failing + (1 - share) * rest.mean

    def draw(random: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
        return np.where(random.random(shape) < share, failing, rest.draw(random, shape))

    return Population(f"{100 * share:g} % of seeds at {100 * failing:g} %, the rest: {rest.name}", mean, np.nan, draw)


def rates_of(population: Population, random: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    true = population.draw(random, shape)
    return true if population.observed else random.binomial(EPISODES, true) / EPISODES


def covered(interval: Interval, truth: float) -> float:
    """Share of the intervals that contain the true value, in percent; a missing interval does not."""
    return 100 * float(np.mean((interval.low <= truth + 1e-12) & (truth - 1e-12 <= interval.high)))


def t_cut(values: np.ndarray) -> Interval:
    mean, low, high = statistics.t_interval(values)
    return Interval(mean, np.clip(low, 0, 1), np.clip(high, 0, 1))


def means(population: Population, method: Callable[[np.ndarray], Interval], seeds: int, replicates: int) -> float:
    random = np.random.default_rng([seeds, 1])
    return covered(method(rates_of(population, random, (seeds, replicates))), population.mean)


def logit_t(rates: np.ndarray) -> Interval:
    return statistics.rate_interval(rates, EPISODES)


def welch(a: np.ndarray, b: np.ndarray) -> Interval:
    (ma, va), (mb, vb) = ((x.mean(axis=0), x.var(axis=0, ddof=1) / len(x)) for x in (a, b))
    with np.errstate(all="ignore"):
        freedom = (va + vb) ** 2 / (va**2 / (len(a) - 1) + vb**2 / (len(b) - 1))
    half = scipy.special.stdtrit(freedom, 0.975) * np.sqrt(va + vb)
    return Interval(ma - mb, ma - mb - half, ma - mb + half)


def mover(a: np.ndarray, b: np.ndarray) -> Interval:
    return statistics.rate_difference(a, b, EPISODES)


def differences(
    a: Population, b: Population, seeds: tuple[int, int], method: Callable[..., Interval], replicates: int = REPLICATES
) -> float:
    random = np.random.default_rng([*seeds, 2])
    drawn = [rates_of(own, random, (n, replicates)) for own, n in zip((a, b), seeds, strict=True)]
    return covered(method(*drawn), a.mean - b.mean)


def paired_rates(
    a: Population, b: Population, alike: float, random: np.random.Generator, shape: tuple[int, ...]
) -> tuple[np.ndarray, np.ndarray]:
    """Rates of the same seeds under two conditions: beta distributions whose normal scores correlate by `alike`."""
    scores = random.normal(size=(2, *shape))
    scores[1] = alike * scores[0] + np.sqrt(1 - alike**2) * scores[1]
    places = np.linspace(0, 1, 4001)[1:-1]
    drawn = []
    for own, ranks in zip((a, b), scipy.special.ndtr(scores), strict=True):
        size = own.mean * (1 - own.mean) / own.sd**2 - 1
        true = np.interp(ranks, places, scipy.stats.beta.ppf(places, own.mean * size, (1 - own.mean) * size))
        drawn.append(random.binomial(EPISODES, true) / EPISODES)
    return drawn[0], drawn[1]


def paired(a: Population, b: Population, alike: float, seeds: int, new: bool, replicates: int = REPLICATES) -> float:
    """The difference of two conditions of the same seeds: Student's t of the differences, or (new) ours."""
    rates = paired_rates(a, b, alike, np.random.default_rng([seeds, int(10 * alike), 11]), (seeds, replicates))
    found = statistics.paired_rate_difference(*rates, EPISODES) if new else statistics.t_interval(rates[0] - rates[1])
    return covered(found, a.mean - b.mean)


def families(population: Population, variants: int, seeds: int, corrected: bool, replicates: int = REPLICATES) -> float:
    """Share of the tables of equal variants in which all intervals cover, in percent."""
    random = np.random.default_rng([seeds, variants, 3])
    drawn = [rates_of(population, random, (seeds, replicates)) for _ in range(variants)]
    pairs = list(combinations(range(variants), 2))
    whole = np.ones(replicates, bool)
    for a, b in pairs:
        if corrected:
            found = statistics.rate_difference(drawn[a], drawn[b], EPISODES, comparisons=len(pairs))
        else:
            found = welch(drawn[a], drawn[b])
        whole &= (found.low <= 0) & (found.high >= 0)
    return 100 * float(whole.mean())


def improvements(truth: float, seeds: int, new: bool, replicates: int = FEW) -> float:
    """Two normal populations, of which one is better with the probability `truth`."""
    random = np.random.default_rng([seeds, 4])
    shift = np.sqrt(2) * scipy.special.ndtri(truth)
    a, b = random.normal(shift, 1, (replicates, seeds)), random.normal(0, 1, (replicates, seeds))
    wins = (a[:, :, None] > b[:, None, :]).astype(float)
    seen = wins.mean(axis=(1, 2))
    if new:
        return covered(Interval(seen, *statistics.newcombe_5(seen, seeds, seeds)), truth)
    weights = random.multinomial(seeds, np.full(seeds, 1 / seeds), size=(2, replicates, 400)) / seeds
    draws = np.einsum("rbi,rij,rbj->rb", weights[0], wins, weights[1], optimize=True)
    low, high = np.quantile(draws, (0.025, 0.975), axis=1)
    return covered(Interval(seen, low, high), truth)


def over_tasks(
    tasks: Sequence[tuple[Population, Population]], seeds: int, difference: bool, replicates: int = REPLICATES
) -> float:
    """The mean over tasks of a variant, or the mean difference of two."""
    random = np.random.default_rng([seeds, len(tasks), 12])
    drawn = [[rates_of(own, random, (seeds, replicates)) for own in pair] for pair in tasks]
    a, b = ([statistics.rate_moments(pair[place], EPISODES) for pair in drawn] for place in (0, 1))
    truth = float(np.mean([first.mean - difference * second.mean for first, second in tasks]))
    return covered(statistics.difference_over_tasks(a, b) if difference else statistics.mean_over_tasks(a), truth)


def profiles(share: float, seeds: int, new: bool) -> float:
    """Exact: the sum over all counts whose interval contains the true share above a threshold."""
    counts = np.arange(seeds + 1)
    chances = scipy.stats.binom.pmf(counts, seeds, share)
    if new:
        low, high = statistics.clopper_pearson(counts, seeds)
    else:
        low, high = (scipy.stats.binom.ppf(tail, seeds, counts / seeds) / seeds for tail in (0.025, 0.975))
    return 100 * float(chances[(low <= share) & (share <= high)].sum())


def profile_bands(seeds: int, replicates: int = FEW) -> float:
    """The whole profile at once, of scores that are uniform."""
    random = np.random.default_rng([seeds, 5])
    thresholds = np.linspace(0, 1, 101)
    hits = 0
    for _ in range(replicates):
        band = statistics.performance_profile(random.random(seeds), thresholds, simultaneous=True)
        hits += bool(np.all((band.low <= 1 - thresholds + 1e-12) & (1 - thresholds <= band.high + 1e-12)))
    return 100 * hits / replicates


PHASES = {"flat start (mean below 1 %)": (0, 0.01), "rising (1 to 90 %)": (0.01, 0.9), "plateau": (0.9, 1.01)}


def rise(middle: np.ndarray, height: np.ndarray) -> np.ndarray:
    """Return logistic curves (..., 61) over a training from 0 to 1, from their middles and heights (..., 1)."""
    return height / (1 + np.exp(-(np.linspace(0, 1, 61) - middle) / 0.04))


def curves(seeds: int, new: bool, replicates: int = FEW, episodes: int = 50) -> dict[str, float]:
    """Success in training: logistic curves of seeds that rise at different times, with `episodes` an iteration."""
    random = np.random.default_rng([seeds, 6])

    def chances(shape: int) -> np.ndarray:
        middle = random.normal(0.4, 0.05, (1, shape, 1))
        return rise(middle, random.beta(0.95 * 80, 0.05 * 80, (1, shape, 1)))[0]

    truth = chances(200_000).mean(axis=0)
    true = chances(seeds * replicates).reshape(seeds, replicates, -1)
    rates = random.binomial(episodes, true) / episodes
    band = statistics.rate_interval(rates, episodes) if new else statistics.t_interval(rates)
    hit = (band.low <= truth) & (truth <= band.high)
    return {name: 100 * float(hit[:, (low <= truth) & (truth < high)].mean()) for name, (low, high) in PHASES.items()}


@cache
def published_returns() -> np.ndarray:
    """Return the mean rewards that the published seeds logged, (seeds, iterations)."""
    files = sorted((REPOSITORY / "results/published/lift_object/default").glob("seed_*/scalars.csv"))
    return np.array([pd.read_csv(file)["Train/mean_reward"].to_numpy() for file in files])


def like_published(random: np.random.Generator, seeds: int) -> np.ndarray:
    """Curves with the mean and the covariance of the published returns, (seeds, iterations), normally distributed."""
    trained = published_returns()
    weights = random.normal(size=(seeds, len(trained))) / np.sqrt(len(trained) - 1)
    return trained.mean(axis=0) + weights @ (trained - trained.mean(axis=0))


def rising(noise: float) -> Callable[[np.random.Generator, int], np.ndarray]:
    """Logistic curves that rise at different times to different heights, (seeds, 61), with noise at each point."""

    def draw(random: np.random.Generator, seeds: int) -> np.ndarray:
        smooth = rise(random.normal(0.4, 0.05, (seeds, 1)), random.normal(1, 0.05, (seeds, 1)))
        return smooth + noise * random.normal(size=smooth.shape)

    return draw


@cache
def rising_mean() -> np.ndarray:
    """Return the mean of the curves of `rising`, whatever their noise, (61,)."""
    return rising(0)(np.random.default_rng(8), 200_000).mean(axis=0)


RETURNS: dict[str, tuple[Callable[[np.random.Generator, int], np.ndarray], Callable[[], np.ndarray]]] = {
    "like the published seeds (350 points)": (like_published, lambda: published_returns().mean(axis=0)),
    "logistic, noise of 2 % (61 points)": (rising(0.02), rising_mean),
    "logistic, noise of 0 % (61 points)": (rising(0), rising_mean),
}
"""Populations of curves of the return: one draws curves, the other gives their mean."""


def return_bands(population: str, seeds: int, new: bool, replicates: int = FEW) -> float:
    """Share of the bands that cover the whole mean curve, in percent: pointwise ones, or (new) simultaneous ones."""
    draw, mean = RETURNS[population]
    truth, random = mean(), np.random.default_rng([seeds, 8])
    band = statistics.simultaneous_band if new else statistics.pointwise_band
    found = (band(draw(random, seeds)) for _ in range(replicates))
    return 100 * float(np.mean([((one.low <= truth) & (truth <= one.high)).all() for one in found]))


def crossings(spread: float, seeds: int, new: bool, replicates: int = FEW, interval: int = 100) -> float:
    """Median iteration of log-normal crossings around 260, of checkpoints every `interval` iterations."""
    random = np.random.default_rng([seeds, int(100 * spread), 7])
    true = 260 * np.exp(spread * random.normal(size=(replicates, seeds)))
    right = np.ceil(true / interval) * interval
    left, right = np.where(true > 700, 700, right - interval), np.where(true > 700, np.inf, right)
    hits = 0
    for own_left, own_right in zip(left, right, strict=True):
        if new:
            found = statistics.crossing_quantile(own_left, own_right)
            low, high = found.low, found.high
        else:
            low, high = _brookmeyer_crowley(own_left, own_right)
        hits += bool(low <= 260 <= high)
    return 100 * hits / replicates


def _brookmeyer_crowley(left: np.ndarray, right: np.ndarray) -> tuple[float, float]:
    """The earlier interval: Kaplan and Meier's curve of the upper ends, with its log(-log) limits."""
    event = np.isfinite(right)
    time_ = np.where(event, right, left)
    steps = np.unique(time_[event])
    at_risk = (time_[:, None] >= steps).sum(axis=0)
    events = ((time_[:, None] == steps) & event[:, None]).sum(axis=0)
    with np.errstate(all="ignore"):
        share = np.cumprod(1 - events / at_risk)
        error = np.sqrt(np.cumsum(events / (at_risk * (at_risk - events)))) / np.log(share)
        low, high = (share ** np.exp(sign * 1.96 * error) for sign in (-1, 1))
    low, high = (np.where(share == 0, 0, limit) for limit in (low, high))
    first = [steps[np.argmax(limit <= 0.5)] if (limit <= 0.5).any() else np.inf for limit in (low, high)]
    return min(first), max(first)


def seeds_and_episodes(seeds: int, episodes: int, new: bool, replicates: int = FEW, spread: float = 1.5) -> float:
    """Mean over all seeds and all episodes: skill of a seed and difficulty of an episode on a logit scale."""
    random = np.random.default_rng([seeds, episodes, 8])
    nodes, weights = np.polynomial.hermite_e.hermegauss(60)
    deviation = np.sqrt(0.5**2 + spread**2)
    truth = float((weights / weights.sum()) @ scipy.special.expit(2.5 + deviation * nodes))
    hits = 0
    for _ in range(replicates):
        skill = 2.5 + 0.5 * random.normal(size=(seeds, 1))
        outcomes = random.random((seeds, episodes)) < scipy.special.expit(skill + spread * random.normal(size=episodes))
        rates = outcomes.mean(axis=1)
        extra = statistics.crossed(outcomes).episode_variance if new else 0.0
        found = statistics.rate_interval(rates, episodes, extra_variance=extra) if new else t_cut(rates)
        hits += bool(found.low <= truth <= found.high)
    return 100 * hits / replicates


def sequential(difference: float, replicates: int = FEW) -> tuple[float, float, float]:
    """Differences shown (%), and seeds used, by the sequential test at 5, 10, 15 seeds; shown by Welch at each (%)."""
    random = np.random.default_rng(9)
    shown, used, naive = 0, 0, 0
    for trial in range(replicates):
        a, b = random.normal(difference, 1, 15), random.normal(0, 1, 15)
        looks = statistics.sequential_test(a, b, (5, 10, 15), permutations=1000, seed=trial)
        shown += looks[-1].rejected
        used += looks[-1].seeds
        naive += any(not (w := welch(a[:n], b[:n])).low <= 0 <= w.high for n in (5, 10, 15))
    return 100 * shown / replicates, used / replicates, 100 * naive / replicates


def tails(share: float, seeds: int) -> float:
    """Exact: the upper limit of the share of seeds below a requirement, when `share` of them are."""
    counts = np.arange(seeds + 1)
    highs = [statistics.share_below(np.arange(seeds) >= count, 0.5).high for count in counts]
    return 100 * float(scipy.stats.binom.pmf(counts, seeds, share)[np.array(highs) >= share].sum())


def cell(value: float) -> str:
    """A coverage; bold where it is below 93 %."""
    return f"**{value:.1f}**" if value < 92.95 else f"{value:.1f}"


def pair(before: float, now: float) -> str:
    return f"{before:.0f} / {cell(now)}"


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [header, ["---", *["---:"] * (len(header) - 1)], *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def populations() -> list[Population]:
    """The populations of the comparison with what was before."""
    return [
        beta(0.5, 0.15),
        beta(0.9, 0.05),
        beta(0.98, 0.012),
        beta(0.98, 0.03),
        observed(500),
        observed(500, "held"),
        observed(400),
        observed(300),
        mixture(0.05, 0.3, beta(0.985, 0.01)),
        mixture(0.1, 0.0, beta(0.95, 0.02)),
    ]


def of_seeds(numbers: Sequence[int] = SEEDS) -> list[str]:
    return [f"{n} seeds" for n in numbers]


def look_up_row(mean: float, sd: float) -> list[str]:
    """A row of the first table."""
    own = beta(mean, sd)
    held = "yes" if sd <= statistics.spread_limit(mean) else "no"
    cells = [cell(means(own, logit_t, n, REPLICATES)) for n in (2, *SEEDS)]
    return [f"{100 * mean:g} %", f"{100 * sd:g}", held, *cells]


def report() -> str:
    """The text of docs/coverage.md."""
    parts = [INTRODUCTION, "## Mean of success rates: look up your own\n\n" + LOOK_UP]
    rows = [look_up_row(mean, sd) for mean, spreads in GRID.items() for sd in spreads]
    parts.append(table(["mean rate", "SD of seeds (points)", "SD within the limit", *of_seeds((2, *SEEDS))], rows))
    parts.append("## Mean of success rates: before and now\n\n" + MEANS)
    rows = [
        [own.name, *(pair(means(own, t_cut, n, REPLICATES), means(own, logit_t, n, REPLICATES)) for n in SEEDS)]
        for own in populations()
    ]
    parts.append(table(["seeds drawn from", *of_seeds()], rows))
    parts.append("## Interquartile mean\n\n" + IQM)
    rows = []
    for own in populations()[:8]:
        truth = float(statistics.iqm(rates_of(own, np.random.default_rng(10), (400_000,))))
        drawn = {n: rates_of(own, np.random.default_rng([n, 10]), (n, FEW)) for n in (3, 5, 8, 10, 20)}
        before = {n: covered(statistics.iqm_bootstrap(x), truth) for n, x in drawn.items()}
        now = {n: covered(statistics.iqm_interval(x), truth) for n, x in drawn.items() if n >= statistics.LEAST_IQM}
        rows.append([own.name, *(pair(before[n], now[n]) if n in now else f"{before[n]:.0f} / none" for n in drawn)])
    parts.append(table(["seeds drawn from", *of_seeds((3, 5, 8, 10, 20))], rows))
    parts.append("## Difference of two variants\n\n" + DIFFERENCES)
    near = beta(0.98, 0.012)
    cases = [
        (near, near),
        (beta(0.9, 0.05), beta(0.9, 0.05)),
        (near, beta(0.9, 0.05)),
        (near, beta(0.98, 0.02)),
        (near, beta(0.98, 0.03)),
        (observed(500), observed(500)),
        (near, mixture(0.05, 0.3, beta(0.985, 0.01))),
    ]
    sizes = [(3, 3), (5, 5), (10, 10), (20, 20), (3, 10), (10, 3)]
    rows = [
        [f"{a.name}; {b.name}", *(pair(differences(a, b, n, welch), differences(a, b, n, mover)) for n in sizes)]
        for a, b in cases
    ]
    parts.append(table(["variants", *(f"{a} against {b}" for a, b in sizes)], rows))
    parts.append("## The same seeds under two conditions\n\n" + PAIRED)
    rows = [
        [
            f"{a.name}; {b.name}; {alike:g}",
            *(pair(paired(a, b, alike, n, False), paired(a, b, alike, n, True)) for n in SEEDS),
        ]
        for a, b in CONDITIONS
        for alike in (0.0, 0.9)
    ]
    parts.append(table(["nominal; changed; correlation of the seeds", *of_seeds()], rows))
    parts.append("## All intervals of a comparison table together\n\n" + FAMILIES)
    rows = [
        [f"{k} variants, {own.name}", *(pair(families(own, k, n, False), families(own, k, n, True)) for n in SEEDS)]
        for own in (beta(0.9, 0.05), near)
        for k in (2, 3, 4, 6)
    ]
    parts.append(table(["table", *of_seeds()], rows))
    parts.append("## Probability of improvement\n\n" + IMPROVEMENT)
    rows = [
        [
            f"{truth:g}",
            f"{improvements(truth, 3, False):.0f} / none",
            *(pair(improvements(truth, n, False), improvements(truth, n, True, REPLICATES)) for n in (4, 5, 10, 20)),
        ]
        for truth in (0.5, 0.7, 0.9, 0.98)
    ]
    parts.append(table(["true probability", *of_seeds((3, 4, 5, 10, 20))], rows))
    parts.append("## Over several tasks\n\n" + OVER_TASKS)
    rows = [
        [
            "; ".join(", ".join(f"{100 * own.mean:g} ({100 * own.sd:g})" for own in pair) for pair in tasks),
            *(f"{cell(over_tasks(tasks, n, False))} / {cell(over_tasks(tasks, n, True))}" for n in SEEDS),
        ]
        for tasks in TASKS
    ]
    parts.append(table(["mean (SD) of both variants, by task", *of_seeds()], rows))
    parts.append("## Performance profile\n\n" + PROFILE)
    rows = [
        [f"{100 * share:g} %", *(pair(profiles(share, n, False), profiles(share, n, True)) for n in SEEDS)]
        for share in (0.5, 0.8, 0.9, 0.95)
    ]
    rows.append(["whole profile (simultaneous)", *(cell(profile_bands(n)) for n in SEEDS)])
    parts.append(table(["true share above the threshold", *of_seeds()], rows))
    parts.append("## Bands of success curves\n\n" + CURVES)
    found = {(n, new): curves(n, new) for n in SEEDS for new in (False, True)}
    rows = [[phase, *(pair(found[n, False][phase], found[n, True][phase]) for n in SEEDS)] for phase in PHASES]
    parts.append(table(["part of the curve", *of_seeds()], rows))
    parts.append("## Bands of whole curves of the return\n\n" + RETURN_BANDS)
    rows = [
        [name, *(pair(return_bands(name, n, False), return_bands(name, n, True)) for n in SEEDS)] for name in RETURNS
    ]
    parts.append(table(["curves", *of_seeds()], rows))
    parts.append("## Median time to a threshold\n\n" + CROSSINGS)
    times = (6, 10, 20)
    rows = [
        [f"{spread:g}", *(pair(crossings(spread, n, False), crossings(spread, n, True)) for n in times)]
        for spread in (0.1, 0.2, 0.5)
    ]
    parts.append(table(["SD of log time", *of_seeds(times)], rows))
    parts.append("## New seeds and new episodes\n\n" + CROSSED)
    rows = [
        [str(m), *(pair(seeds_and_episodes(n, m, False), seeds_and_episodes(n, m, True)) for n in (5, 10, 20, 50))]
        for m in (50, 100, 1000)
    ]
    parts.append(table(["episodes", *of_seeds((5, 10, 20, 50))], rows))
    parts.append("## Share of seeds below a requirement\n\n" + TAILS)
    rows = [[f"{100 * share:g} %", *(cell(tails(share, n)) for n in SEEDS)] for share in (0.02, 0.05, 0.1, 0.3)]
    parts.append(table(["true share below", *of_seeds()], rows))
    parts.append("## Adding seeds step by step\n\n" + SEQUENTIAL)
    rows = []
    for difference in (0.0, 0.8, 1.2):
        shown, used, naive = sequential(difference)
        rows.append([f"{difference:g}", f"{shown:.1f}", f"{used:.1f}", f"{naive:.1f}"])
    parts.append(
        table(
            ["true difference (SD)", "shown (%)", "mean number of seeds", "shown by Welch's test at each look (%)"],
            rows,
        )
    )
    return "\n\n".join(parts) + "\n"


INTRODUCTION = """# How often the 95 % intervals cover

An interval that is called 95 % must contain the true value in 95 % of all experiments. `make coverage` simulates this
and writes this page: seeds are drawn from a population whose mean is known, each plays 1,000 episodes, and the interval
is computed as the tables compute it. There are 10,000 replicates (Monte Carlo error 0.2 points), 2,000 where it says so
(0.5 points).

Numbers are coverage in %. **Bold** is below 93 %: the interval does not hold there. Above 97 % it is wider than it has
to be. Where two numbers stand in a cell, the first is the method that manyseeds used before, the second the one it uses
now. Populations are beta distributions, given by the mean and the standard deviation (SD) of the seeds' true rates; the
rates of 40 seeds that were trained and evaluated ([seed_rates.csv](../tests/oracles/seed_rates.csv)); and mixtures in
which some seeds fail altogether."""

LOOK_UP = """Student's t on the logit of the mean (`rate_interval`), by number of seeds, mean rate and SD between seeds.

The method holds, from 2 seeds on, where the SD of the seeds is within a limit: about the mean failure rate (exactly
f sqrt((1 - f) / (1 + f)) for a mean rate of 1 - f). Beyond it, the rates pile up at 100 % with a tail of bad seeds, and
no interval of few seeds holds; a note below the table then says so. The interval is still printed: leaving it out only
for samples that happen to show their bad seeds would make the printed ones wrong more often. Where 2 or 3 seeds differ
by less than their episodes make them, the interval is a little wider than it has to be."""

MEANS = """Before: Student's t interval, cut to 0 to 100 %. Now: Student's t on the logit of the mean.

Seeds that were really trained are within the limit at the iterations 400 and 500; three of them are covered in 92 to
93 %. At iteration 300, where some seeds have not learned yet, they are far beyond it.

The last two rows have no remedy: no interval of seeds without a failure can tell how often seeds fail. The tables
report that share by itself (below)."""

IQM = """Before: percentile bootstrap over seeds. Now: expanded percentiles, from 8 seeds on, and no interquartile mean
below (2,000 replicates)."""

DIFFERENCES = """One comparison. Before: Welch. Now: MOVER from the two logit-t intervals."""

CONDITIONS = [
    (beta(0.98, 0.012), beta(0.98, 0.012)),
    (beta(0.98, 0.012), beta(0.9, 0.05)),
    (beta(0.98, 0.012), beta(0.5, 0.15)),
    (beta(0.98, 0.012), beta(0.1, 0.05)),
    (beta(0.9, 0.05), beta(0.8, 0.1)),
    (beta(0.995, 0.003), beta(0.97, 0.02)),
]
"""Rates of the same seeds as trained and under a changed number of the task, all within the limit of spread."""

PAIRED = """How much success falls when a number of the task changes, of the same seeds. First Student's t of the seeds'
differences, then what `success_under_factors` shows: the farther limit, on each side, of Student's t and of MOVER for
correlated rates. Below three seeds there is none. It is wider than it has to be where seeds keep their order."""

FAMILIES = """How often all intervals of a table hold at once, where all variants are equal. Before: Welch, not
corrected. Now: MOVER with Bonferroni's correction."""

IMPROVEMENT = """Before: percentile bootstrap over seeds (2,000 replicates, 400 resamples); a table left out intervals
without width, which count as misses here. Now: Newcombe's method 5, which has none for 3 against 3 seeds."""

TASKS = [
    [(beta(0.98, 0.012), beta(0.98, 0.012))] * 3,
    [(beta(0.9, 0.05), beta(0.9, 0.05))] * 3,
    [(beta(0.98, 0.012), beta(0.98, 0.012)), (beta(0.9, 0.05), beta(0.9, 0.05)), (beta(0.5, 0.15), beta(0.5, 0.15))],
    [(beta(0.98, 0.012), beta(0.9, 0.05)), (beta(0.9, 0.05), beta(0.8, 0.1)), (beta(0.5, 0.15), beta(0.8, 0.1))],
    [(beta(0.995, 0.003), beta(0.995, 0.003)), (beta(0.5, 0.15), beta(0.8, 0.1))],
]
"""Of each benchmark, the seeds of two variants in each task, all within the limit of spread."""

OVER_TASKS = """What a benchmark says over all its tasks, for new seeds on these tasks: first the mean over tasks of a
variant, then the mean difference of two variants, by MOVER from the logit-t interval of each task. Rows are beta
distributions, mean and SD of both variants in each task. The probability of improvement over tasks has no interval:
Newcombe's, put together in the same way, cover 91 to 93 % with 4 to 10 seeds in each of three tasks."""

PROFILE = """Exact sums, no simulation, but for the last row (2,000 replicates). Before: percentile bootstrap. Now:
Clopper and Pearson's interval, which covers at least 95 % and often more; for the whole profile, Kolmogorov's exact
band."""

CURVES = """Pointwise, of success in training with 50 episodes an iteration; seeds rise at different times (2,000
replicates). Before: Student's t. Now: logit-t with half an episode added, and at least as wide as for as many
independent episodes. A simultaneous band is offered for returns only."""

RETURN_BANDS = """How often the whole mean curve lies within the band (2,000 replicates). The first number is of
pointwise bands, which do not claim it; the second is of simultaneous ones, which assume smooth curves and normally
distributed seeds. They do not hold where curves are flat without any noise and then rise at different times. Curves of
success are like that, and so simultaneous bands are not offered for them."""

CROSSINGS = """Log-normal times with median 260, checkpoints every 100 iterations (2,000 replicates). Before: Brookmeyer
and Crowley's limits, at the checkpoint after the crossing. Now: order statistics, from the checkpoint before. It covers
at least 95 %, and nearly always where all seeds cross between the same two checkpoints. Below 6 seeds there is none."""

CROSSED = """Coverage of the mean over all seeds *and* all episodes, where episodes differ strongly (2,000 replicates).
Before: Student's t over seeds, for these episodes. Now: logit-t with the variance of the shared episodes added."""

TAILS = """Exact, one-sided: how often the upper limit is above the true share. With few seeds below, it always is."""

SEQUENTIAL = """Group sequential permutation test (as AdaStop) at 5, 10 and 15 seeds of each variant, 2,000 replicates.
At no difference, 5 % is allowed over all looks; Welch's test at every look takes twice that."""


def main() -> int:
    start = time.process_time()
    text = report()
    Path(sys.argv[1]).write_text(text, encoding="utf-8")
    print(f"{sys.argv[1]} written; {time.process_time() - start:.0f} s of CPU time", file=sys.stderr)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
