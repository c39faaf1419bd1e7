"""Grasp a cube with a Franka Panda and lift it to a commanded position."""
