"""What is said of a package that is missing is true: the extra that is named installs it."""

import re
import tomllib

import pytest

from manyseeds.core.layout import REPOSITORY
from manyseeds.core.packages import EXTRAS
from manyseeds.core.simulators import SIMULATORS

PROJECT = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]["optional-dependencies"]
DISTRIBUTIONS = {"mlflow": "mlflow-skinny"}


def named(extra):
    return {re.split(r"[\[<>=~! ]", line)[0].replace("-", "_") for line in PROJECT[extra]}


@pytest.mark.parametrize("package", EXTRAS)
def test_the_extra_that_is_named_for_a_package_installs_it(package):
    assert DISTRIBUTIONS.get(package, package).replace("-", "_") in named(EXTRAS[package])


@pytest.mark.parametrize("simulator", ["mujoco", "mujoco_warp"])
def test_the_extra_that_is_named_for_a_simulator_installs_it(simulator):
    row = SIMULATORS[simulator]
    assert row.module in named(re.search(r"manyseeds\[(\w+)\]", row.install)[1])
