"""RSL-RL's PPO with exact resume: agent files, the update, the iteration, several threads and processes."""
