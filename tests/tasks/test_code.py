"""What decides a result is all seen: a task's files, what they reach, and this package's modules."""

import shutil
from pathlib import Path

import pytest

from manyseeds.core.layout import PACKAGE
from manyseeds.tasks import code
from manyseeds.tasks.code import evaluation_code, training_code

TASK = """
from pathlib import Path
import helper
from parts import arm
HERE = Path(__file__).parent
MODEL = HERE / "assets" / "robot.xml"
MESHES = "extra/*.stl"
KERNELS = "compiled_step"
"""


@pytest.fixture
def task(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    files = {
        "task.py": TASK,
        "helper.py": "from numbers_of_mine import MASS\n",
        "numbers_of_mine.py": "MASS = 1.0\n",
        "compiled_step.py": "STEP = 1\n",
        "parts/__init__.py": "",
        "parts/arm.py": "from . import hand\n",
        "parts/hand.py": "WIDTH = 1\n",
        "assets/robot.xml": '<mujoco><compiler meshdir="meshes"/><include file="gripper.xml"/></mujoco>',
        "assets/gripper.xml": '<mujoco><asset><mesh file="finger.stl"/></asset></mujoco>',
        "assets/finger.stl": "solid",
        "extra/cube.stl": "solid",
        "unused.py": "X = 1\n",
        "results/model.xml": "<mujoco/>",
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


def test_a_task_of_one_file_counts_with_everything_that_it_reaches(task):
    found = {name for name in training_code("task.py", "mujoco").files if name.startswith("task/")}
    assert found == {
        f"task/{name}"
        for name in (
            "task.py",
            "helper.py",
            "numbers_of_mine.py",
            "compiled_step.py",
            "parts/__init__.py",
            "parts/arm.py",
            "parts/hand.py",
            "assets/robot.xml",
            "assets/gripper.xml",
            "assets/finger.stl",
            "extra/cube.stl",
        )
    }


@pytest.mark.parametrize("name", ["numbers_of_mine.py", "parts/hand.py", "assets/finger.stl", "extra/cube.stl"])
def test_an_edit_of_any_of_them_is_seen_and_named(task, name):
    was = training_code("task.py", "mujoco")
    (task / name).write_text("OTHER = 2\n")
    assert was.changes(training_code("task.py", "mujoco")) == [f"task/{name}"]


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A copy of this package's code whose files a test may edit."""
    copy = tmp_path / "manyseeds"
    shutil.copytree(PACKAGE, copy, ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(code, "PACKAGE", copy)
    monkeypatch.setattr(code.registry, "module_file", lambda name: copy / "tasks" / name / "task.py")
    return copy


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


MASS = ('mass="0.1"', 'mass="0.8"')


def test_the_mass_of_the_cube_is_seen_in_training_and_evaluation_of_both_tasks_that_have_the_file(package):
    was = [(f, t, f(t, "mujoco")) for f in (training_code, evaluation_code) for t in ("lift_object", "reach")]
    edit(package / "tasks" / "lift_object" / "panda.xml", *MASS)
    assert [old.changes(f(task, "mujoco")) for f, task, old in was] == [
        ["task/panda.xml"],
        ["task/../lift_object/panda.xml"],
    ] * 2


@pytest.mark.parametrize(
    ("name", "training", "evaluation"),
    [
        ("learning/ppo.py", True, False),
        ("learning/policy.py", False, True),
        ("learning/runner.py", True, False),
        ("runs/train.py", True, False),
        ("simulators/base.py", True, True),
        ("simulators/mujoco.py", True, True),
        ("simulators/mujoco_warp.py", False, False),
        ("simulators/isaaclab/mdp.py", False, False),
        ("tasks/base.py", True, True),
        ("tasks/lift_object/kernels.py", True, True),
        ("tasks/lift_object/description.py", False, True),
        ("tasks/reach/task.py", False, False),
        ("evaluation/evaluate.py", False, True),
        ("runs/console.py", False, False),
        ("report/tables/text.py", False, False),
    ],
)
def test_an_edit_makes_what_it_decides_stale_and_nothing_else(package, name, training, evaluation):
    was = training_code("lift_object", "mujoco"), evaluation_code("lift_object", "mujoco")
    path = package / name
    path.write_text(f"# a comment\n{path.read_text()}")
    assert (training_code("lift_object", "mujoco"), evaluation_code("lift_object", "mujoco")) == was
    path.write_text(f"{path.read_text()}\n_EDITED = 1\n")
    assert bool(was[0].changes(training_code("lift_object", "mujoco"))) == training
    assert bool(was[1].changes(evaluation_code("lift_object", "mujoco"))) == evaluation


def test_a_new_module_counts_and_every_exception_exists(package):
    for name in (*code.WITHOUT_INFLUENCE, *code.OF_EVALUATION):
        assert (PACKAGE / name).is_file(), name
    was = training_code("lift_object", "mujoco")
    (package / "learning" / "trick.py").write_text("GAIN = 2\n")
    assert was.changes(training_code("lift_object", "mujoco")) == ["learning/trick.py"]


def test_another_version_of_a_package_is_named(monkeypatch):
    was = training_code("lift_object", "mujoco")
    monkeypatch.setattr("manyseeds.core.code.importlib.metadata.version", lambda name: "0.0.1")
    assert f"torch ({was.packages['torch']}, now 0.0.1)" in was.changes(training_code("lift_object", "mujoco"))
