"""Settings that every test needs before it imports anything."""

import os

# MuJoCo chooses its OpenGL when it is imported; without a screen only EGL draws.
if "DISPLAY" not in os.environ:
    os.environ.setdefault("MUJOCO_GL", "egl")
