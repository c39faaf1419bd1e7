"""Tasks are found by name, by entry point and by file; a mistake is one sentence."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from helpers import file_task
from manyseeds.core.errors import UserError
from manyseeds.tasks import registry
from manyseeds.tasks.show import main as show

FILE = file_task.__file__


def test_lift_object_is_installed_with_its_agent() -> None:
    assert "lift_object" in registry.names()
    assert registry.load("lift_object").name == "lift_object"
    assert registry.load("lift_object").description == registry.describe("lift_object")
    assert registry.agent_file("lift_object").is_file()


def test_a_built_in_task_is_described_without_torch() -> None:
    code = (
        "import sys; from manyseeds.tasks import registry; registry.names(); registry.describe('lift_object');"
        "registry.agent_file('lift_object'); assert not {'torch', 'mujoco', 'numpy'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_file_is_loaded_under_a_name_that_clashes_with_nothing(tmp_path: Path) -> None:
    path = tmp_path / "json.py"
    path.write_text(Path(FILE).read_text())
    before = set(sys.modules)
    task = registry.load(str(path))
    assert task.name == "push" and registry.load(str(path)) is task
    assert sys.modules["json"].__file__ != str(path)
    assert len(new := set(sys.modules) - before) == 1 and new.pop().startswith("manyseeds_task_file_")
    assert registry.agent_file(str(path)) == tmp_path / "agent.json"
    path.write_text(Path(FILE).read_text().replace('name="push"', 'name="shove"'))
    assert registry.load(str(path)).name == "shove"


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("import mujoco\nx = = 1\n", "my_task.py, line 2: SyntaxError: invalid syntax."),
        ("x = 1\ny = x / 0\n", "my_task.py, line 2: ZeroDivisionError: division by zero."),
        ("def f():\n    return missing\n\nf()\n", "my_task.py, line 2: NameError: name 'missing' is not defined."),
        ("import nothing_of_this_name\n", "my_task.py, line 1: ModuleNotFoundError: No module named"),
        ("import sys\nsys.exit(3)\n", "my_task.py, line 2: SystemExit: 3."),
        ("x = 1\n", "my_task.py defines no TASK."),
        ("TASK = 1\n", "my_task.py: TASK is of the type int; it must be a manyseeds.tasks.base.Task."),
    ],
)
def test_a_mistake_in_a_file_is_one_sentence_with_its_line(tmp_path: Path, content: str, words: str) -> None:
    path = tmp_path / "my_task.py"
    path.write_text(content)
    before = set(sys.modules)
    with pytest.raises(UserError) as error:
        registry.load(str(path))
    assert words in str(error.value) and "\n" not in str(error.value)
    assert not {name for name in set(sys.modules) - before if content.startswith("x = 1\ny") and "task_file" in name}


def test_a_task_without_any_rate_is_refused(tmp_path: Path) -> None:
    """Otherwise it trains, and the tables after that have nothing to show."""
    path = tmp_path / "my_task.py"
    path.write_text(Path(FILE).read_text().replace('"share"', '"measure"'))
    with pytest.raises(UserError, match=r"its description has no outcome of the kind share, and so no success rate"):
        registry.load(str(path))


def test_numbers_of_a_description_are_the_defaults_of_the_task(tmp_path: Path) -> None:
    """Otherwise captions and axes would give a tolerance that the task does not have."""
    path = tmp_path / "my_task.py"
    content = Path(FILE).read_text()
    path.write_text(content.replace('summary="', 'numbers={"close": 7.0},\n        summary="'))
    with pytest.raises(UserError, match=r"its description says that close is 7\.0; it must be the default in PushCfg"):
        registry.load(str(path))
    for name in registry.names():
        registry.load(name)


def test_an_episode_has_the_steps_that_the_numbers_of_the_task_give(monkeypatch: pytest.MonkeyPatch) -> None:
    """Otherwise the run time of evaluations is estimated for another length."""
    assert registry.describe(FILE).episode_steps == registry.load(FILE).cfg().episode_length != 250
    reach = registry.load("reach")
    longer = replace(reach.description, episode_steps=300)
    monkeypatch.setattr("manyseeds.tasks.reach.task.TASK", replace(reach, description=longer))
    with pytest.raises(
        UserError, match=r"says that an episode has 300 steps; episode_steps must be 120, as in ReachCfg"
    ):
        registry.load("reach")


def test_what_does_not_exist_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"task is 'lift'; it must be one of .*lift_object.*, or the path of a Python"):
        registry.load("lift")
    with pytest.raises(UserError, match=r"task file nowhere\.py cannot be read: No such file"):
        registry.load("nowhere.py")
    with pytest.raises(UserError, match=r"task file nowhere\.py cannot be read"):
        registry.check_file("nowhere.py")


def install(folder: Path, package: str, points: str) -> None:
    """Make a package with a dist-info, as pip leaves it."""
    (folder / f"{package}.py").write_text(Path(FILE).read_text())
    info = folder / f"{package}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[manyseeds.tasks]\n{points}\n")


def test_an_installed_package_offers_tasks_by_entry_points(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    install(tmp_path, "robot_tasks", "push = robot_tasks:TASK")
    monkeypatch.syspath_prepend(str(tmp_path))
    assert "push" in registry.names()
    assert registry.load("push").name == "push"
    assert registry.describe("push").outcomes[0].name == "pushed"
    assert registry.agent_file("push") == tmp_path / "agent.json"
    assert show([]) == 0
    shown = capsys.readouterr().out
    assert "lift_object: a Franka arm grasps a cube" in shown and "push: a cart pushes a puck" in shown
    assert "the puck was at its goal at the last step" in shown


def test_bad_entry_points_are_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(tmp_path, "bad_tasks", "lift_object = bad_tasks:TASK\ngone = not_there:TASK\nnone = bad_tasks:NONE")
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(UserError, match=r"task 'lift_object' is offered twice, by .* and bad_tasks:TASK"):
        registry.load("lift_object")
    with pytest.raises(UserError, match=r"task 'gone' cannot be loaded from not_there:TASK: No module named"):
        registry.load("gone")
    with pytest.raises(UserError, match=r"task 'gone' cannot be loaded: its module not_there is not installed"):
        registry.agent_file("gone")
    with pytest.raises(UserError, match=r"task 'none' cannot be loaded from bad_tasks:NONE: module"):
        registry.load("none")
