"""The script by which shells complete the command line."""

import subprocess

import pytest

from manyseeds import completion
from manyseeds.cli import VERBS
from manyseeds.tasks import registry


@pytest.fixture(scope="module")
def script() -> str:
    return completion.script()


def complete(script: str, *words: str) -> list[str]:
    """What bash offers for the last word."""
    given = " ".join(f"'{word}'" for word in words)
    code = f'{script}\nCOMP_WORDS=({given}); COMP_CWORD={len(words) - 1}; _manyseeds; echo "${{COMPREPLY[@]}}"'
    done = subprocess.run(["bash", "-eu", "-c", f"ZSH_VERSION=; {code}"], capture_output=True, text=True, check=True)
    return done.stdout.split()


def test_a_verb_is_completed(script: str) -> None:
    assert complete(script, "manyseeds", "ev") == [verb for verb in VERBS if verb.startswith("ev")]
    assert set(complete(script, "manyseeds", "")) == set(VERBS)


def test_a_flag_and_a_task_are_completed(script: str) -> None:
    assert complete(script, "manyseeds", "train", "--num") == ["--num_envs"]
    assert complete(script, "manyseeds", "train", "--num_envs", "8", "rea") == ["reach"]
    assert set(registry.names()) <= set(complete(script, "manyseeds", "train", ""))


def test_the_values_of_a_flag_are_completed(script: str) -> None:
    assert complete(script, "manyseeds", "figures", "--width", "t") == ["two"]


def test_nothing_is_offered_where_the_shell_completes_files(script: str) -> None:
    assert complete(script, "manyseeds", "tables", "results/li") == []


def test_a_verb_whose_packages_are_missing_is_still_a_verb(monkeypatch: pytest.MonkeyPatch) -> None:
    real = completion.importlib.import_module

    def without_mujoco(name: str):
        if name.endswith("isaaclab.assets"):
            raise ImportError("No module named 'mujoco'")
        return real(name)

    monkeypatch.setattr(completion.importlib, "import_module", without_mujoco)
    script = completion.script()
    assert complete(script, "manyseeds", "us") == ["usd"] and complete(script, "manyseeds", "usd", "-") == []
