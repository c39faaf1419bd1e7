"""Variant and seed are read from names as the programs and their users write them."""

from pathlib import PurePath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from manyseeds.compare.names import Name, folder_name, guessed, matched, pattern_of
from manyseeds.core.errors import UserError

ISAAC = "{stamp}_{variant}_seed{seed}"


@pytest.mark.parametrize(
    ("template", "path", "name"),
    [
        (ISAAC, "logs/2026-01-31_10-00-00_ppo_rnd_seed3", Name("ppo_rnd", 3)),
        (ISAAC, "Jan31_10-00-00_ppo_seed12", Name("ppo", 12)),
        ("{variant}/seed_{seed}", "a/b/with space/seed_7", Name("with space", 7)),
        ("{variant}_{seed}", "ppo_256_4", Name("ppo_256", 4)),
        ("{variant}{seed}", "ppo12", Name("ppo", 12)),
        ("{any}__{variant}__{seed}__{any}", "Ant-v4__ppo__2__1700000000", Name("ppo", 2)),
        ("run{seed}", "x/run5", Name(None, 5)),
        ('{variant} (it\'s "new")', 'old (it\'s "new")', Name("old")),
    ],
)
def test_a_pattern_reads_a_name(template: str, path: str, name: Name) -> None:
    assert matched(pattern_of(template), PurePath(path), template) == name


@pytest.mark.parametrize(
    ("template", "said"),
    [
        ("{sede}_{variant}", "{sede} is unknown; known are {variant}, {seed}, {stamp}, {any}"),
        ("{stamp}", "it must hold {variant} or {seed}"),
        ("{seed}{seed}", "{seed} may stand there once"),
        ("{seed", "expected '}'"),
        ("{seed:d}", "is unknown"),
    ],
)
def test_a_wrong_pattern_is_one_sentence(template: str, said: str) -> None:
    with pytest.raises(UserError) as error:
        pattern_of(template)
    assert said in str(error.value) and "\n" not in str(error.value)


def test_a_name_that_does_not_fit_is_named_with_what_to_do() -> None:
    with pytest.raises(UserError, match=r"logs/scratch: the name does not fit --name .*--exclude leaves a run out"):
        matched(pattern_of(ISAAC), PurePath("logs/scratch"), ISAAC)


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("2026-01-31_10-00-00_ppo_rnd_seed3", Name("ppo_rnd", 3)),
        ("2026-01-31_10-00-00", Name(None)),
        ("Jan31_10-00-00_rough", Name("rough")),
        ("franka/2026-01-31_10-00-00_seed-4", Name("franka", 4)),
        ("lift/wide/seed_2", Name("lift/wide", 2)),
        ("s3_ppo", Name("ppo", 3)),
        ("ppo/CartPole-v1_2", Name("ppo/CartPole-v1_2", None, 2)),
        ("Ant-v4__ppo_continuous__7__1700000000", Name("Ant-v4_ppo_continuous", 7)),
        ("Ant_17-12-00-00/summaries", Name("Ant")),
        ('it\'s "new"_seed1', Name('it\'s "new"', 1)),
    ],
)
def test_a_name_is_guessed(name: str, found: Name) -> None:
    assert guessed(name) == found


@given(st.text(min_size=1), st.text(min_size=1))
def test_the_name_of_a_folder_is_one(variant: str, other: str) -> None:
    """Whatever a variant is called, its folder lies in the results, and is none of their own."""
    name = folder_name(variant)
    assert name and "/" not in name and name not in (".", "..", "figures") and name.isascii()


@given(st.from_regex(r"[a-z][a-z_]{0,8}[a-z]", fullmatch=True), st.integers(0, 10**6))
def test_what_isaac_lab_writes_is_read_back(variant: str, seed: int) -> None:
    path = f"2026-01-31_10-00-00_{variant}_seed{seed}"
    assert matched(pattern_of(ISAAC), PurePath(path), ISAAC) == Name(variant, seed)
