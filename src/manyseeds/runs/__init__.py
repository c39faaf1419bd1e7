"""Training with RSL-RL's PPO that gives the same bytes every time and can be killed at any moment."""
