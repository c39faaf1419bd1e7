"""Figures of an experiment, drawn from its CSV files alone."""

FIGURES = {
    "learning_curves": "curves",
    "learning_curves_wall_clock": "curves",
    "reward_terms": "curves",
    "reward_terms_wall_clock": "curves",
    "success_per_checkpoint": "success",
    "final_success": "success",
    "final_return": "returns",
    "differences": "success",
    "success_under_factors": "factors",
    "performance_profile": "profiles",
    "measures": "profiles",
    "time_to_threshold": "thresholds",
    "failure_map": "maps",
    "throughput": "throughput",
}
"""The module here that draws each figure, by a function of the same name: `Data`, `Options` -> figure and caption.

`manyseeds figures` draws all of them; a panel without data says so.
"""
NAMES = tuple(FIGURES)
