"""A race between variants: train all to a rung, play the same episodes with all, stop those that are beaten."""
