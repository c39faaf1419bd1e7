"""The experiment file: read it, check it, expand it into runs.

`config.yaml` says what to train; `load` turns it into an `Experiment` or raises `UserError`. The resolved
experiment is written to `results/<experiment>/config.json`, which is all that the later stages read.
"""

from manyseeds.config.experiment import Experiment, Variant, read_resolved
from manyseeds.config.loading import load, resolve
from manyseeds.config.settings import EvaluateSettings, RunConfig, TrainSettings

__all__ = [
    "EvaluateSettings",
    "Experiment",
    "RunConfig",
    "TrainSettings",
    "Variant",
    "load",
    "read_resolved",
    "resolve",
]
