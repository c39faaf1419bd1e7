"""What envs/setup.sh installs, and when: with stand-ins for Python, pip and uv that write down their calls."""

import os
import subprocess
from pathlib import Path

import pytest

from manyseeds.core.layout import REPOSITORY


class Machine:
    """A machine with its own PATH, on which the environment is made in a folder of the test."""

    def __init__(self, folder: Path) -> None:
        self.programs, self.venv, self._calls = folder / "bin", folder / "venv", folder / "calls"
        self.programs.mkdir()
        # It makes an environment whose interpreter writes down its calls; no index can be reached, no torch is there.
        (folder / "inside").write_text(
            f"""#!/bin/sh
case "$*" in
    *sysconfig*) echo {self.venv} ;;
    "-m pip"*) echo "$@" >> {self._calls} ;;
    *importlib.metadata*|"- "*) exit 1 ;;
esac"""
        )
        (folder / "inside").chmod(0o755)
        self.put(
            "python",
            f"""case "$*" in
    *version_info*) echo 3.11 ;;
    "-m venv"*) mkdir -p {self.venv}/bin && cp {folder}/inside {self.venv}/bin/python ;;
esac""",
        )

    def put(self, name: str, text: str) -> None:
        """Put a program on the PATH."""
        path = self.programs / name
        path.write_text(f"#!/bin/sh\n{text}\n")
        path.chmod(0o755)

    def setup(self, *arguments: str, **environment: str) -> list[str]:
        """Return what `envs/setup.sh` installs: its calls of pip and uv."""
        self._calls.write_text("")
        done = self.start(*arguments, **environment)
        assert done.returncode == 0, done.stderr
        return [line for line in self._calls.read_text().splitlines() if "install" in line]

    def start(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        own = {"PATH": f"{self.programs}:/usr/bin:/bin", "PYTHON": "python", "VENV": str(self.venv), "GPU": "no"}
        script = [REPOSITORY / "envs" / "setup.sh", *arguments]
        return subprocess.run(script, env=os.environ | own | environment, capture_output=True, text=True)


@pytest.fixture
def machine(tmp_path) -> Machine:
    return Machine(tmp_path)


def extras(calls: list[str]) -> set[str]:
    """The extras of the project that are installed."""
    return {extra for call in calls if "--editable" in call for extra in call.split("[")[1].rstrip("]").split(",")}


def test_to_run_needs_no_packages_of_tests_and_no_simulator_for_gpus(machine):
    calls = machine.setup("run")
    assert extras(calls) == {"mujoco", "workflow"}
    assert sum("torch==" in call for call in calls) == 1
    assert extras(machine.setup("analysis")) == set()  # it is there


def test_what_nothing_uses_is_removed_and_what_torch_compile_and_the_scheduler_need_stays(machine):
    arm = os.uname().machine == "aarch64"
    other_cpu = [f"pulp/solverdir/cbc/linux/{'i64' if arm else 'arm64'}/cbc"]
    gone = (
        *("torch/test/a.cpp", "torch/include/ATen/ops/add.h", "torch/bin/protoc", "torch/bin/test_api"),
        *("pyarrow/libarrow_flight.so.1", "mujoco/studio/a.so", "pulp/solverdir/cbc/osx/i64/cbc", *other_cpu),
        *("scipy/stats/tests/test_a.py", "OpenGL/DLLS/a.dll"),
    )
    stays = (
        *("torch/include/torch/csrc/inductor/cpp_prefix.h", "torch/include/ATen/cpu/vec/vec.h"),
        *("torch/bin/torch_shm_manager", "pyarrow/libarrow.so.1", "mujoco/viewer.py"),
        *(f"pulp/solverdir/cbc/linux/{'arm64' if arm else 'i64'}/cbc", "scipy/stats/_a.py"),
    )
    for name in (*gone, *stays):
        (machine.venv / name).parent.mkdir(parents=True, exist_ok=True)
        (machine.venv / name).touch()
    machine.setup("run")
    assert [name for name in (*gone, *stays) if (machine.venv / name).exists()] == list(stays)


def test_figures_need_no_torch(machine):
    calls = machine.setup("analysis")
    assert extras(calls) == {"workflow"} and not any("torch" in call for call in calls)


def test_where_there_is_a_gpu_or_where_it_is_asked_for_its_simulator_is_installed(machine):
    assert "warp" in extras(machine.setup("run", GPU="yes"))
    assert extras(machine.setup("run", "play", GPU="yes")) == {"play"}
    machine.put("nvidia-smi", "exit 0")
    machine.venv.rename(machine.venv.with_name("other"))
    assert "warp" in extras(machine.setup("run", GPU=""))


def test_what_is_there_is_kept_and_only_what_is_missing_is_added(machine):
    machine.setup("run")
    assert machine.setup("run") == []
    assert extras(machine.setup("full")) >= {"test", "dev", "warp", "play", "cluster", "loggers", "video"}
    assert machine.setup("full") == machine.setup("run") == machine.setup("analysis") == []


def test_uv_installs_where_it_is_there_and_pip_goes_on_where_it_fails(machine):
    machine.put("uv", f'echo "uv $@" >> {machine.venv.with_name("calls")}')
    calls = machine.setup("analysis")
    assert len(calls) == 1 and calls[0].startswith("uv pip install") and "-c envs/requirements.lock" in calls[0]
    machine.put("uv", "exit 2")
    calls = machine.setup("analysis", "play")
    assert len(calls) == 1 and calls[0].startswith("-m pip install") and "-c envs/requirements.lock" in calls[0]


def test_an_environment_whose_installation_was_interrupted_is_made_anew(machine):
    machine.put("uv", "kill $PPID")
    assert machine.start("analysis").returncode != 0
    left_over = machine.venv / "left_over"
    left_over.touch()
    machine.put("python", (machine.programs / "python").read_text().replace("mkdir -p", f"rm -f {left_over}; mkdir -p"))
    (machine.programs / "uv").unlink()
    assert extras(machine.setup("analysis")) == {"workflow"} and not left_over.exists()


@pytest.mark.parametrize(
    ("arguments", "environment", "sentence"),
    [
        (["nonsense"], {}, "unknown environment 'nonsense'; it must be analysis, run or full"),
        (["run", "nonsense"], {}, "unknown extra 'nonsense'; pyproject.toml has all of them"),
        (["run"], {"GPU": "maybe"}, "GPU is 'maybe'; it must be yes or no, or unset"),
        (["run"], {"PYTHON": "no_such_python"}, "no_such_python is not found; install Python 3.11 or newer"),
    ],
)
def test_what_it_does_not_know_is_one_sentence_and_makes_nothing(machine, arguments, environment, sentence):
    done = machine.start(*arguments, **environment)
    assert done.returncode == 1 and done.stderr.startswith("error: ") and sentence in done.stderr
    assert done.stderr.count("\n") == 1 and not machine.venv.exists()
