"""Settings that every test needs before it imports anything."""

import os

from hypothesis import settings

# MuJoCo chooses its OpenGL when it is imported; without a screen only EGL draws.
if "DISPLAY" not in os.environ:
    os.environ.setdefault("MUJOCO_GL", "egl")

# Training takes a GPU where there is one; the tests expect the CPU's bits on every machine, and stand in for GPUs.
os.environ["CUDA_VISIBLE_DEVICES"] = ""

# No test may depend on the speed of the machine.
settings.register_profile("manyseeds", deadline=None)
settings.load_profile("manyseeds")
