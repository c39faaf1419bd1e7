"""Every command in the documentation works as written."""

import importlib
import itertools
import re
import shlex
import subprocess
import sys

import pytest

from helpers import documentation
from manyseeds.cli import VERBS
from manyseeds.core.arguments import parser_of
from manyseeds.core.layout import REPOSITORY


def commands() -> list[str]:
    """The lines of all shell blocks in the documentation."""
    names = ("README.md", "docs/contributing.md", "docs/containers.md")
    texts = [(REPOSITORY / name).read_text(encoding="utf-8") for name in names]
    blocks = re.findall(r"```sh\n(.*?)```", "".join(texts), re.DOTALL)
    return [line for block in blocks for line in block.splitlines() if line]


def run(*command: str) -> str:
    result = subprocess.run(command, cwd=REPOSITORY, text=True, capture_output=True, timeout=120)
    assert result.returncode == 0, result.stderr
    return result.stdout + result.stderr


def of_kind(start: str) -> list[str]:
    return [command for command in commands() if command.startswith(start)]


def everywhere(start: str) -> list[str]:
    """The commands of all pages that begin so, each once."""
    pages = [REPOSITORY / "README.md", *sorted((REPOSITORY / "docs").glob("*.md")), *REPOSITORY.glob("*/README.md")]
    return list(
        dict.fromkeys(line for page in pages for line in documentation.commands(page) if line.startswith(start))
    )


SNAKEMAKE = [*of_kind("snakemake "), *of_kind(".venv/bin/snakemake ")]
# `make test-containers` runs them for real.
SCRIPTS = [*of_kind("docker/"), *of_kind("./docker/")]


def test_every_command_is_of_a_kind_that_a_test_here_tries():
    tried = {*of_kind("make "), *SNAKEMAKE, *of_kind("manyseeds "), *SCRIPTS}
    # Needs a cluster.
    tried |= set(of_kind("rsync -a images/ "))
    assert set(commands()) == tried and len(tried) >= 15


@pytest.mark.parametrize("command", everywhere("make "))
def test_make_knows_the_target(command):
    run("make", "--dry-run", *shlex.split(command)[1:])


@pytest.mark.parametrize("command", everywhere("python "))
def test_every_script_of_every_page_is_there_and_names_its_options(command):
    script, *words = shlex.split(command, comments=True)[1:]
    if script.startswith(("-", "/")):
        return
    place = script.replace("lift_policy/", "src/manyseeds/evaluation/bundle/")  # a bundle holds a copy
    text = (REPOSITORY / place).read_text(encoding="utf-8")
    assert [word for word in words if word.startswith("--") and f'"{word}"' not in text] == []


def test_snakemake_knows_the_options_and_the_workflow_the_targets():
    options = run("snakemake", "--help")
    targets = run("snakemake", "--list-target-rules", "--quiet", "all").split()
    for command in SNAKEMAKE:
        words = shlex.split(command)[1:]
        for word, before in zip(words, ["", *words], strict=False):
            if word.startswith("--"):
                assert word in options
            elif word.endswith(".yaml"):
                assert before == "--configfile" or (REPOSITORY / word).is_file()
            elif not before.startswith("--") and "=" not in word:
                assert word in targets or before == "all"


@pytest.mark.parametrize("command", SCRIPTS)
def test_a_script_knows_the_options(command):
    script, *words = shlex.split(command)
    text = run(script, "--help")
    for option in itertools.takewhile(lambda word: word.startswith("--") and word != "--", words):
        assert option in text


@pytest.mark.parametrize("command", everywhere("manyseeds "))
def test_a_verb_knows_the_options(command):
    _, verb, *words = shlex.split(command, comments=True)
    if verb == "--help":
        return
    parser = parser_of(importlib.import_module(f"manyseeds.{VERBS[verb]}").main)
    known = {flag for action in parser._actions for flag in action.option_strings}
    assert {word for word in words if word.startswith("--")} <= known


def test_the_check_of_kills_starts_from_the_checkout():
    assert "--kills" in run(sys.executable, "tests/helpers/kills.py", "--help")
