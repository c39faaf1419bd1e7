"""Is a result what it says? Verify checksums, repeat iterations, replay a divergence."""
