"""Seeds and episodes: how much each of them adds to the uncertainty of a mean rate.

Every seed plays the same episodes, so the two are crossed. statsmodels fits such a model iteratively; for a complete
table the analysis of variance has a formula.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from manyseeds.statistics.intervals import seeds_first


@dataclass(frozen=True)
class Crossed:
    """What the variance of a mean over seeds and episodes is made of.

    Attributes:
        seeds: number of seeds.
        episodes: number of episodes.
        seed: variance between seeds.
        episode: variance between episodes, the part that all seeds share.
        rest: variance of a single seed in a single episode beyond both.
    """

    seeds: int
    episodes: int
    seed: float
    episode: float
    rest: float

    def variance(self, seeds: int | None = None, episodes: int | None = None) -> float:
        """Variance of the mean for new seeds and new episodes, with other numbers of them where given."""
        n, m = seeds or self.seeds, episodes or self.episodes
        return self.seed / n + self.episode / m + self.rest / (n * m)

    @property
    def episode_variance(self) -> float:
        """What new episodes add to the variance of a mean whose interval is over seeds, for the same episodes."""
        return self.episode / self.episodes

    @property
    def shares(self) -> tuple[float, float, float]:
        """Shares of seeds, episodes and the rest in the variance of the mean; NaN where nothing varies."""
        parts = np.array([self.seed / self.seeds, self.episode_variance, self.rest / (self.seeds * self.episodes)])
        with np.errstate(invalid="ignore"):
            seed, episode, rest = parts / parts.sum()
        return float(seed), float(episode), float(rest)

    @property
    def widening(self) -> float:
        """Standard error for new seeds and episodes over that for new seeds on these episodes; 1 or more."""
        fixed = self.seed / self.seeds + self.rest / (self.seeds * self.episodes)
        return float(np.sqrt(1 + self.episode_variance / fixed)) if fixed > 0 else 1.0

    @property
    def gains(self) -> tuple[float, float]:
        """By which factor twice the seeds, and twice the episodes, would shrink the standard error."""
        now = self.variance()
        if now <= 0:
            return 1.0, 1.0
        more = self.variance(seeds=2 * self.seeds), self.variance(episodes=2 * self.episodes)
        return float(np.sqrt(more[0] / now)), float(np.sqrt(more[1] / now))


def crossed(outcomes: ArrayLike) -> Crossed:
    """Estimate the variances between seeds, between episodes, and of the rest.

    Analysis of variance of a two-way layout with random effects and one observation a cell (S. R. Searle, G. Casella
    and C. E. McCulloch, "Variance components", 1992, section 4.5); a negative estimate becomes 0.

    Args:
        outcomes: (seeds, episodes), of at least two each; all seeds have the same episodes, in the same order.

    Raises:
        ValueError: if there are fewer than two seeds or episodes, or a value is NaN.
    """
    table = seeds_first(outcomes)
    if table.ndim != 2 or min(table.shape) < 2 or np.isnan(table).any():
        raise ValueError("outcomes must be (seeds, episodes), at least two of each, without NaN")
    n, m = table.shape
    mean, by_seed, by_episode = table.mean(), table.mean(axis=1), table.mean(axis=0)
    between_seeds = m * ((by_seed - mean) ** 2).sum() / (n - 1)
    between_episodes = n * ((by_episode - mean) ** 2).sum() / (m - 1)
    total = ((table - mean) ** 2).sum()
    rest = max(total - (n - 1) * between_seeds - (m - 1) * between_episodes, 0.0) / ((n - 1) * (m - 1))
    return Crossed(
        seeds=n,
        episodes=m,
        seed=max(float(between_seeds - rest) / m, 0.0),
        episode=max(float(between_episodes - rest) / n, 0.0),
        rest=float(rest),
    )
