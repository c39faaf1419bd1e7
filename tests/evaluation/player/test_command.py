"""The verb `play`: what is wrong is one sentence before anything is shown."""

import importlib.util

import pytest

from helpers import file_task
from helpers.verbs import verb
from manyseeds.evaluation.player import browser, command
from manyseeds.learning import foreign

play = verb("play")


def refused(capsys, *arguments):
    assert play([str(argument) for argument in arguments]) == 2
    told = capsys.readouterr().err
    assert told.startswith("error: ") and told.count("\n") == 1
    return told


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("--episode", "-1"), "--episode is -1; it must be at least 0."),
        (("--speed", "0"), "--speed is 0.0; it must be between 0.01 and 100."),
        (("--speed", "nan"), "--speed is nan; it must be between 0.01 and 100."),
        (("--port", "70000"), "--port is 70000; it must be between 0 and 65535."),
    ],
)
def test_a_bad_value(arguments, sentence, capsys, tmp_path):
    assert sentence in refused(capsys, tmp_path, *arguments)


def test_no_run(capsys, tmp_path):
    assert "no such file or folder" in refused(capsys, tmp_path / "none")
    assert "holds no run" in refused(capsys, tmp_path)


def test_an_address_of_another_machine(capsys, runs):
    assert "--host is 192.0.2.1; nothing can listen there" in refused(capsys, runs("cart_pole"), "--host", "192.0.2.1")
    assert "--host is nonsense.invalid" in refused(capsys, runs("cart_pole"), "--host", "nonsense.invalid")


def test_only_this_machine_reaches_it_unless_told_otherwise(monkeypatch, runs):
    asked = []
    monkeypatch.setattr(browser, "serve", lambda player, host, port, *_: asked.append((host, port)))
    assert play([str(runs("cart_pole"))]) == 0
    assert play([str(runs("cart_pole")), "--host", "0.0.0.0", "--port", "0"]) == 0
    assert asked == [("127.0.0.1", 8080), ("0.0.0.0", 0)]


def test_without_viser(capsys, monkeypatch, tmp_path):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert "pip install 'manyseeds[play]'" in refused(capsys, tmp_path)


def test_a_window_without_a_screen(capsys, monkeypatch, runs):
    for name in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    assert "--window needs a screen" in refused(capsys, runs("cart_pole"), "--window")


def test_a_task_file_that_nobody_allowed(capsys, monkeypatch, runs):
    folder = runs("file_task")
    monkeypatch.setattr(foreign, "_allowed", set())
    assert f"--allow_code {file_task.__file__} runs it" in refused(capsys, folder)


def test_over_ssh_the_tunnel_is_told(capsys, monkeypatch):
    monkeypatch.delenv("SSH_CONNECTION", raising=False)
    command._tell("http://127.0.0.1:8081")
    assert capsys.readouterr().out == "Open http://127.0.0.1:8081 in a browser. Ctrl+C ends.\n"
    monkeypatch.setenv("SSH_CONNECTION", "10.0.0.1 1 10.0.0.2 22")
    command._tell("http://127.0.0.1:8081")
    assert "ssh -N -L 8081:127.0.0.1:8081 THIS_MACHINE" in capsys.readouterr().out
