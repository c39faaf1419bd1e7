"""Grasp one of five kinds of objects with a Franka Panda and lift it to a commanded position."""
