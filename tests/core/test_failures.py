"""What a user can do ends in one sentence and an exit code; a bug leaves its traceback in a file."""

import errno
import os
import re
import shlex
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from helpers.synthetic_results import make_results
from manyseeds.cli import main
from manyseeds.core.caches import user_cache
from manyseeds.core.errors import StorageError, UserError
from manyseeds.core.failures import ERRORS, guarded
from manyseeds.core.files import write_atomic

ROOM = "; free some space there and start again: finished work stays"
MANYSEEDS = [sys.executable, "-m", "manyseeds"]


def raises(error):
    def work():
        raise error

    return work


@pytest.mark.parametrize(
    ("error", "sentence", "code"),
    [
        (UserError("a is 1.\nb is 2."), "error: a is 1.\nerror: b is 2.\n", 2),
        (StorageError("x cannot be written"), "error: x cannot be written\n", 1),
        (KeyboardInterrupt(), "interrupted.\n", 130),
        (MemoryError(), "error: manyseeds x: there is not enough memory.\n", 1),
        (
            RuntimeError("[enforce fail at alloc_cpu.cpp:1] DefaultCPUAllocator: can't allocate memory: 9 bytes."),
            "error: manyseeds x: there is not enough memory: DefaultCPUAllocator: can't allocate memory: 9 bytes.\n",
            1,
        ),
        (OSError(errno.ENOSPC, "No space left", "a.csv"), f"error: a.csv cannot be written: No space left{ROOM}.\n", 1),
        (PermissionError(errno.EACCES, "No", "b"), "error: b cannot be read or written: No.\n", 1),
    ],
)
def test_an_error_is_told_in_one_sentence_each(error, sentence, code, capsys):
    assert guarded("manyseeds x", raises(error)) == code
    assert capsys.readouterr().err == sentence


def test_a_file_on_a_full_disk_is_told_with_the_way_out(tmp_path, capsys):
    def work():
        with write_atomic(tmp_path / "a.csv"):
            raise OSError(errno.ENOSPC, "No space left on device")

    assert guarded("manyseeds x", work) == 1
    assert capsys.readouterr().err == f"error: {tmp_path}/a.csv cannot be written: No space left on device{ROOM}\n"
    assert not list(tmp_path.iterdir())


def test_a_bug_leaves_its_traceback_in_a_file(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert guarded("manyseeds x", raises(KeyError("\udcff"))) == 70
    told = capsys.readouterr().err
    assert told.startswith("error: manyseeds x: a bug in manyseeds: KeyError") and told.count("\n") == 1
    [path] = (tmp_path / ERRORS).iterdir()
    assert str(ERRORS / path.name) in told and "Traceback (most recent call last)" in path.read_text()


def test_a_bug_where_nothing_can_be_written_is_printed(monkeypatch, capsys):
    def refuse(*_, **__):
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr(Path, "mkdir", refuse)
    monkeypatch.setattr(Path, "write_text", refuse)
    assert guarded("manyseeds x", raises(KeyError("x"))) == 70
    told = capsys.readouterr().err
    assert told.startswith("Traceback") and "its traceback stands above" in told.splitlines()[-1]


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """A small experiment in a folder whose name has letters beyond ASCII."""
    folder = tmp_path_factory.mktemp("ünï") / "奖励"
    make_results(folder, seeds=(1, 2))
    return folder


@pytest.mark.parametrize("verb", ["--help", "tasks"])
def test_a_reader_that_stops_reading_is_no_error(verb):
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run([*MANYSEEDS, verb], stdout=write, stderr=subprocess.PIPE, text=True)
    os.close(write)
    assert (done.returncode, done.stderr) == (141, "")


def test_closed_streams_are_no_error():
    command = shlex.join([*MANYSEEDS, "tasks"])
    assert subprocess.run(["bash", "-c", f"{command} >&-"], stderr=subprocess.PIPE).stderr == b""
    done = subprocess.run(["bash", "-c", f"{command} 2>&- <&-"], stdout=subprocess.PIPE)
    assert done.returncode == 0 and b"lift_object" in done.stdout


@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
def test_names_beyond_the_terminals_letters_are_written_with_escapes(results, encoding):
    environment = os.environ | {"PYTHONIOENCODING": encoding}
    done = subprocess.run([*MANYSEEDS, "tables", results], env=environment, capture_output=True)
    assert done.returncode == 0, done.stderr
    assert rb"\u5956" in done.stdout


def test_ctrl_c_is_one_word():
    code = (
        "import signal, sys, time; from manyseeds.core.failures import guarded\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "sys.exit(guarded('x', lambda: print('ready', flush=True) or time.sleep(60)))"
    )
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen([sys.executable, "-c", code], **pipes) as process:
        assert process.stdout.readline() == "ready\n"
        process.send_signal(signal.SIGINT)
        told = process.communicate(timeout=60)[1]
    assert (process.returncode, told) == (130, "interrupted.\n")


def test_pythons_own_modules_are_not_taken_from_the_working_directory(tmp_path):
    for name in ("random", "numpy", "logging"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('mine')")
    done = subprocess.run([*MANYSEEDS, "tasks"], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0 and "lift_object" in done.stdout


def test_a_user_without_home_and_name_has_no_cache(monkeypatch):
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)

    def no_home():
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "home", no_home)
    assert user_cache() is None


@pytest.mark.parametrize(
    ("verb", "name"),
    [
        ("tables", "config.json"),
        ("tables", "ledger.json"),
        ("pages", "1/run.json"),
        ("verify", "1/run.json"),
        ("verify", "1/scalars.manifest.json"),
        ("status", "config.json"),
        ("curves", "config.json"),
    ],
)
@pytest.mark.parametrize("content", ['{"a": ' * 100_000, '{"a": 1, "a": 1}', "9" * 5000, "[]", b"\xff"])
def test_a_json_file_with_other_contents_is_one_sentence(tmp_path, verb, name, content, capsys):
    folder = make_results(tmp_path / "lift", seeds=(1,))
    (folder / "default" / "seed_1" / "run.json").write_text('{"outputs": {}}')
    path = folder / name.replace("1/", "default/seed_1/")
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    options = {
        "curves": ["--config", str(path), "--output", str(tmp_path / "x.csv")],
        "status": [str(folder), "--once"],
    }
    code = main([verb, *options.get(verb, [str(folder)])])
    told = capsys.readouterr().err
    assert code == 2 and told.startswith("error: ") and told.count("\n") == 1 and path.name in told, told


def test_a_file_that_cannot_be_read_while_another_is_written_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="source"), write_atomic(tmp_path / "new" / "a.csv") as partial:
        partial.write_bytes((tmp_path / "source").read_bytes())
    with pytest.raises(StorageError, match=r"a\.csv cannot be written"), write_atomic(tmp_path / "a.csv") as partial:
        partial.unlink()


@pytest.mark.parametrize(
    "arguments", [["tables", "x"], ["verify", "x"], ["status", "x", "--once"], ["replay", "x"], ["curves"]]
)
def test_no_verb_ends_with_a_traceback_for_a_folder_that_is_no_run(arguments, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    try:
        code = main(arguments)
    except SystemExit as ended:  # the parser's
        code = ended.code
    assert code == 2
    assert re.fullmatch(r"error: .*\n", capsys.readouterr().err)
