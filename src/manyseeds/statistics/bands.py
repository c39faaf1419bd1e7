"""Confidence bands for the mean of curves.

Computed here, because neither SciPy nor statsmodels has a simultaneous band for a mean curve.
"""

import numpy as np
import scipy  # its parts are loaded when they are first used
from numpy.typing import ArrayLike

from manyseeds.statistics.intervals import Interval, check_confidence, mean_and_error, seeds_first, t_interval


def pointwise_band(curves: ArrayLike, confidence: float = 0.95) -> Interval:
    """Mean curve with Student's t interval at each point; it covers each point, not the whole curve.

    Args:
        curves: (seeds, points); NaN is a missing value.
        confidence: in (0, 1).
    """
    return t_interval(curves, confidence)


def simultaneous_band(curves: ArrayLike, confidence: float = 0.95) -> Interval:
    """Mean curve with a band that covers the whole mean curve with the given confidence.

    The band is mean -+ u s / sqrt(n) with one u for all points. For curves that are smooth in time, u solves
    the expected Euler characteristic of Student's t process (F. Telschow and A. Schwartzman, "Simultaneous
    confidence bands for functional data using the Gaussian kinematic formula", J. Stat. Plan. Inference 216,
    2022):

        2 [ P(t(n-1) > u) + L / (2 pi) (1 + u^2 / (n-1))^(-(n-2)/2) ] = 1 - confidence,

    where L is the length of the path of the standardized residuals (a unit vector with one component per seed)
    along the curve. If Bonferroni's bound over the points is smaller (few points, or a rough curve), it is used
    instead. The band assumes normally distributed seeds and is wide for fewer than 5 seeds.

    Args:
        curves: (seeds, points); a point where a seed is missing (NaN) gets no band, and the others count as
            neighbors.
        confidence: in (0, 1).

    Returns:
        Arrays of shape (points,); limits are NaN with fewer than two seeds and at points where a seed is missing.
    """
    curves = seeds_first(curves)
    if curves.ndim != 2:
        raise ValueError(f"curves must be (seeds, points), not {curves.shape}")
    mean, error, _ = mean_and_error(curves)
    whole = np.isfinite(curves).all(axis=0)
    seeds, points = len(curves), int(whole.sum())
    low, high = np.full((2, curves.shape[1]), np.nan)
    if seeds > 1 and points:
        half = (
            _sup_quantile(_path_length(curves[:, whole]), seeds, points, 1 - check_confidence(confidence))
            * error[whole]
        )
        low[whole], high[whole] = mean[whole] - half, mean[whole] + half
    return Interval(mean, low, high)


def _path_length(curves: np.ndarray) -> float:
    """Length of the path of the standardized residuals on the unit sphere, along curves (seeds, points)."""
    residuals = curves - curves.mean(axis=0)
    norm = np.linalg.norm(residuals, axis=0)
    # Where all seeds are equal the residuals have no direction, and the mean is certain.
    units = residuals[:, norm > 0] / norm[norm > 0]
    return float(np.linalg.norm(np.diff(units, axis=1), axis=0).sum())


def _sup_quantile(length: float, seeds: int, points: int, error_rate: float) -> float:
    """The u that the largest |t| along the curve exceeds with probability `error_rate`."""
    freedom = seeds - 1
    bonferroni = float(scipy.special.stdtrit(freedom, 1 - error_rate / (2 * points)))

    def excess(u: float) -> float:
        curve = length / (2 * np.pi) * (1 + u**2 / freedom) ** (-(freedom - 1) / 2)
        return 2 * (scipy.special.stdtr(freedom, -u) + curve) - error_rate

    return bonferroni if excess(bonferroni) >= 0 else float(scipy.optimize.brentq(excess, 0.0, bonferroni))
