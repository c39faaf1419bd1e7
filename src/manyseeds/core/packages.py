"""Packages that only a part of the work needs, and the extras of pyproject.toml that install them."""

import importlib.util
from collections.abc import Sequence

EXTRAS = {"imageio_ffmpeg": "video", "mlflow": "loggers", "viser": "play", "wandb": "loggers"}
"""The extra by the name of the package as it is imported."""


def missing(names: Sequence[str]) -> str | None:
    """Say which of these packages is not installed, and what installs it; None where all are."""
    # A folder wandb/ in the working directory is a package without a file.
    absent = [name for name in names if (spec := importlib.util.find_spec(name)) is None or spec.origin is None]
    if not absent:
        return None
    return f"the package {absent[0]} is not installed; pip install 'manyseeds[{EXTRAS[absent[0]]}]' installs it"
