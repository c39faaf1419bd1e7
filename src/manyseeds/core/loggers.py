"""The experiment trackers that scalars can be sent to, so that one can be chosen without importing it."""

import importlib.util
from collections.abc import Sequence

LOGGERS = {"wandb": "Weights & Biases", "mlflow": "MLflow"}
"""Their titles by the names of their packages, which `train.logger` has."""


def missing(names: Sequence[str]) -> str | None:
    """Say which of the trackers' packages is not installed; None where all are."""
    # A folder wandb/ in the working directory is a package without a file.
    absent = [name for name in names if (spec := importlib.util.find_spec(name)) is None or spec.origin is None]
    if not absent:
        return None
    return f"the package {absent[0]} is not installed; pip install 'manyseeds[loggers]' installs it"
