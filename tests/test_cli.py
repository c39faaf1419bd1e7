"""The command line as a whole; each verb has tests of its own."""

import re
import subprocess
import sys

import pytest

from manyseeds import __version__
from manyseeds.cli import GROUPS, VERBS, main

HEAVY = ("torch", "mujoco", "rsl_rl", "matplotlib", "pandas", "scipy", "snakemake")


def run(*arguments):
    code = (
        "import sys; from manyseeds.cli import main\n"
        f"try: code = main({list(arguments)!r})\n"
        "except SystemExit as end: code = end.code or 0\n"
        f"print('loaded:', *[name for name in {HEAVY} if name in sys.modules], file=sys.stderr)\n"
        "sys.exit(code)"
    )
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)


@pytest.mark.parametrize("verb", VERBS)
def test_help_explains_a_verb_with_an_example_and_without_torch(verb):
    done = run(verb, "--help")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"usage: manyseeds {verb} ")
    assert re.search(rf"^example:\n  manyseeds {verb}\b", done.stdout, re.M)
    if verb != "usd":  # whose module reads the task's MJCF
        assert "torch" not in done.stderr.split("loaded:")[1]


def test_help_lists_every_verb_in_its_group_and_loads_nothing():
    done = run("--help")
    assert done.returncode == 0 and done.stderr.strip() == "loaded:"
    for group, verbs in GROUPS.items():
        assert f"\n{group}:\n" in done.stdout
        assert all(re.search(rf"^  {verb} ", done.stdout, re.M) for verb in verbs)


def test_version(capsys):
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"manyseeds {__version__}\n"


@pytest.mark.parametrize(
    ("verb", "hint"), [("trian", "did you mean 'manyseeds train'?"), ("xyz", "`manyseeds --help` lists the verbs.")]
)
def test_an_unknown_verb_is_one_sentence(verb, hint, capsys):
    assert main([verb]) == 2
    assert capsys.readouterr().err == f"error: 'manyseeds {verb}' is unknown; {hint}\n"


@pytest.mark.parametrize("arguments", [["tables"], ["tables", "a", "--colour"], ["scalars", "--first-iteration", "x"]])
def test_wrong_arguments_are_one_sentence(arguments, capsys):
    with pytest.raises(SystemExit) as end:
        main(arguments)
    assert end.value.code == 2
    told = capsys.readouterr().err
    assert told.count("\n") == 1 and told.startswith(f"error: manyseeds {arguments[0]}: ")
