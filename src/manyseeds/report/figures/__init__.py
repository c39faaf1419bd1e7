"""Figures of an experiment, drawn from its CSV files alone."""

# What `python -m manyseeds figures` draws, always all of them: where data are missing, a panel says so.
NAMES = (
    "learning_curves",
    "learning_curves_wall_clock",
    "reward_terms",
    "reward_terms_wall_clock",
    "success_per_checkpoint",
    "final_success",
    "performance_profile",
    "time_to_threshold",
    "failure_map",
    "throughput",
)
