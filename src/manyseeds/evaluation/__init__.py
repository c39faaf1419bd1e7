"""What a trained policy does: play the fixed episodes, film it, export it."""
