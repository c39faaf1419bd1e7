"""Figures of an experiment, drawn from its CSV files alone."""

FIGURES = {
    "learning_curves": "curves",
    "learning_curves_wall_clock": "curves",
    "reward_terms": "curves",
    "reward_terms_wall_clock": "curves",
    "success_per_checkpoint": "success",
    "final_success": "success",
    "performance_profile": "profiles",
    "time_to_threshold": "profiles",
    "failure_map": "maps",
    "throughput": "throughput",
}
"""The module here that draws each figure, by a function of the same name: `Data` -> the figure and its caption.

`manyseeds figures` draws all of them; a panel without data says so.
"""
NAMES = tuple(FIGURES)
