"""The package works as it is installed from a wheel, away from the checkout.

The environment takes other packages from the one that runs the tests, so that nothing is downloaded. It does not see
the checkout.
"""

import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from helpers.synthetic_results import make_results
from manyseeds.core.layout import REPOSITORY


@pytest.fixture(scope="module")
def installed(tmp_path_factory) -> Path:
    """The folder with the programs of an environment in which the wheel is installed."""
    top = tmp_path_factory.mktemp("wheel")
    source = top / "source"
    source.mkdir()
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(REPOSITORY / name, source)
    shutil.copytree(REPOSITORY / "src", source / "src", ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
    pip = [sys.executable, "-m", "pip", "--quiet"]
    build = [*pip, "wheel", "--no-deps", "--no-index", "--no-build-isolation", "--wheel-dir", top, source]
    subprocess.run(build, check=True)
    venv = top / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", venv], check=True)
    # Python reads no .pth file of a folder that a .pth file names: an editable installation there stays unseen.
    (site,) = venv.glob("lib/python*/site-packages")
    (site / "others.pth").write_text(sysconfig.get_path("purelib") + "\n")
    (wheel,) = top.glob("manyseeds-*.whl")
    install = ["--python", venv / "bin" / "python", "install", "--no-deps", "--no-index", "--ignore-installed", wheel]
    subprocess.run([*pip, *install], check=True)
    return venv / "bin"


@pytest.fixture
def run(installed, tmp_path):
    def run(*command, code=0):
        environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
        done = subprocess.run(
            [installed / command[0], *command[1:]], cwd=tmp_path, env=environment, capture_output=True, text=True
        )
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout if code == 0 else done.stderr

    return run


def test_the_checkout_is_not_seen(run, installed):
    folder = Path(run("python", "-c", "import manyseeds; print(manyseeds.__path__[0])").strip())
    assert folder.is_relative_to(installed.parent)
    code = "from manyseeds.core.record import code_version; print(code_version()['commit'])"
    assert run("python", "-c", code) == "None\n"


def test_tasks_are_listed(run):
    assert "\nlift_object: " in run("manyseeds", "tasks")


def test_tables_figures_and_pages_need_neither_torch_nor_a_simulator(run, tmp_path):
    code = (
        "import sys\n"
        "class Missing:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name in ('torch', 'mujoco', 'rsl_rl', 'snakemake', 'numba'): raise ModuleNotFoundError(name)\n"
        "sys.meta_path.insert(0, Missing())\n"
        "from manyseeds.cli import main\n"
        "for words in ('tables', 'figures --only learning_curves', 'pages'):\n"
        "    verb, *options = words.split()\n"
        "    assert main([verb, sys.argv[1], *options]) == 0"
    )
    folder = make_results(tmp_path / "results", seeds=(1, 2), iterations=20, save_interval=10, episodes=5)
    run("python", "-c", code, str(folder))
    for name in ("success_rates.md", "figures/learning_curves.png", "curves.html"):
        assert (folder / name).is_file()


def test_pip_installs_the_analysis_alone_and_what_trains_by_an_extra(run):
    code = "import importlib.metadata as m; print(*m.requires('manyseeds'), sep='\\n')"
    needs = [Requirement(line) for line in run("python", "-c", code).splitlines()]
    always = {need.name for need in needs if need.marker is None}
    assert {"pandas", "plotly", "scipy"} <= always and not always & {"torch", "mujoco", "snakemake", "tensorboard"}

    def of(extra):
        chosen = [need for need in needs if need.marker and need.marker.evaluate({"extra": extra})]
        own = [of(inner) for need in chosen if need.name == "manyseeds" for inner in need.extras]
        return {need.name for need in chosen}.union(*own)

    assert {"torch", "mujoco", "rsl-rl-lib", "mujoco-warp", "snakemake"} <= of("train")


def test_a_policy_is_trained_evaluated_and_exported(run, tmp_path):
    run("manyseeds", "train", "--num_envs", "8", "--max_iterations", "2", "lift_object")
    (checkpoint,) = tmp_path.glob("logs/rsl_rl/generic_experiment/*/model_2.pt")
    run("manyseeds", "evaluate", "--run_dir", checkpoint.parent, "--episodes", "2", "--output", "episodes.csv")
    assert len((tmp_path / "episodes.csv").read_text().splitlines()) == 3
    run("manyseeds", "export", checkpoint, "--output", "policy.onnx")
    run("manyseeds", "scalars", checkpoint.parent, "--output", "scalars.csv")
    assert len((tmp_path / "scalars.csv").read_text().splitlines()) == 3


def test_an_experiment_file_is_checked(run, tmp_path):
    (tmp_path / "config.yaml").write_text(
        "experiment: mine\nseeds: [1]\ntrain: {num_envs: 8, max_iterations: 2}\nagent: agent.json\n"
    )
    assert '"experiment": "mine"' in run("manyseeds", "config")
    (tmp_path / "config.yaml").write_text("experiment: mine\nseed: [1]\n")
    assert "seed is not a known key (did you mean seeds?)" in run("manyseeds", "config", code=2)
