"""Settings that every test needs before it imports anything."""

import os
from pathlib import Path

import pytest
from hypothesis import settings

# MuJoCo chooses its OpenGL when it is imported; without a screen only EGL draws.
if "DISPLAY" not in os.environ:
    os.environ.setdefault("MUJOCO_GL", "egl")

# Training takes a GPU where there is one; the tests expect the CPU's bits on every machine, and stand in for GPUs.
os.environ["CUDA_VISIBLE_DEVICES"] = ""

# No test may depend on the speed of the machine.
settings.register_profile("manyseeds", deadline=None)
settings.load_profile("manyseeds")

LONGEST = (
    "workflow/test_workflow.py",
    "workflow/test_trust.py",
    "workflow/test_race.py",
    "workflow/test_page_on_trainers.py",
    "report/figures/test_figures.py",
    "test_wheel.py",
    "launch/test_run.py",
    "learning/test_distributed.py",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Start the longest files first: a worker takes whole files, and one that starts last would end alone."""
    rank = {name: i for i, name in enumerate(LONGEST)}
    tests = Path(__file__).parent
    items.sort(key=lambda item: rank.get(item.path.relative_to(tests).as_posix(), len(rank)))
