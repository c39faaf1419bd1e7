"""The tasks, free of any simulator: numbers, observations, rewards, commands, resets and terminations."""

TASKS = ("lift_object",)
"""Names of the tasks that can be trained."""
