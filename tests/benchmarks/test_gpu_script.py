"""benchmarks/gpu.sh on a CPU: it keeps to its time, and whatever stops it, what it has found is on disk."""

import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

from manyseeds.core.layout import REPOSITORY

SCRIPT = REPOSITORY / "benchmarks" / "gpu.sh"


def run(out: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [str(SCRIPT), "--out", str(out), "--tiny", *arguments]
    return subprocess.run(command, capture_output=True, text=True, env=os.environ | {"TMPDIR": str(out.parent)})


def test_an_unknown_part_is_one_sentence(tmp_path: Path) -> None:
    done = run(tmp_path / "out", "gide")
    assert done.returncode == 2 and not (tmp_path / "out").exists()
    assert done.stderr == "error: gide is no part; parts are guide seeds repeat isaaclab peers ranks\n"


def test_a_part_without_time_says_so(tmp_path: Path) -> None:
    done = run(tmp_path / "out", "--seconds", "5", "guide", "repeat")
    assert done.returncode == 0
    assert (tmp_path / "out" / "report.md").read_text().count("- not run: no time was left") == 2
    assert [path.name for path in tmp_path.iterdir()] == ["out"], "its working folder is gone"


def test_a_part_for_which_nothing_is_installed_says_so(tmp_path: Path) -> None:
    (tmp_path / "python").write_text("#!/bin/sh\nexit 1\n")
    (tmp_path / "python").chmod(0o755)
    with pytest.MonkeyPatch.context() as patch:
        for name in ("ISAACLAB_PYTHON", "PEERS_PYTHON"):
            patch.setenv(name, str(tmp_path / "python"))
        run(tmp_path / "out", "isaaclab", "peers")
    report = (tmp_path / "out" / "report.md").read_text()
    assert "has no Isaac Lab (envs/isaaclab.lock)" in report and "has no mjlab" in report


@pytest.mark.slow
def test_a_part_leaves_a_report_a_log_and_the_runs(tmp_path: Path) -> None:
    done = run(tmp_path / "out", "--seconds", "3000", "repeat", "ranks")
    assert done.returncode == 0, done.stderr
    report = (tmp_path / "out" / "report.md").read_text()
    assert report.count('{"iterations": 4, "identical": true}') == 2, report
    assert "4 iterations in " in report.split("## ranks")[1] and "failed" not in report
    found = {path.name for path in (tmp_path / "out").iterdir()}
    assert found == {"report.md", "repeat.log", "ranks.log", "runs.tar.gz"}


@pytest.mark.slow
def test_a_killed_script_leaves_what_it_had_found(tmp_path: Path) -> None:
    out = tmp_path / "out"
    process = subprocess.Popen(
        [str(SCRIPT), "--out", str(out), "--tiny", "--seconds", "3000", "guide"],
        stdout=subprocess.DEVNULL,
        start_new_session=True,
    )
    log = out / "guide.log"
    while not (log.is_file() and "Learning iteration 1/3" in log.read_text()):
        assert process.poll() is None
        time.sleep(0.1)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    assert "## guide" in (out / "report.md").read_text()
