"""A task's description goes through config.json unchanged."""

import json

import pytest

from manyseeds.core.description import Description, Outcome
from manyseeds.tasks import registry


def test_a_description_survives_json():
    for name in registry.names():
        description = registry.describe(name)
        assert Description.from_dict(json.loads(json.dumps(description.to_dict()))) == description


def test_columns_are_starts_then_outcomes_between_episode_and_return():
    outcomes = (Outcome("done", "Done", "share", "it was done"), Outcome("time", "Time", "measure", "when", "s"))
    description = Description(outcomes=outcomes)
    assert description.columns == ("iteration", "episode", "done", "time", "return")
    assert description.shares == outcomes[:1] and description.measures == outcomes[1:]


def test_a_number_that_axes_or_captions_use_needs_a_default():
    far = Outcome("gap", "Gap", "measure", "how far", "m", "lower", limit="tolerance")
    with pytest.raises(ValueError, match="the number 'tolerance', which its numbers lack"):
        Description(outcomes=(far,))
    with pytest.raises(ValueError, match="the number 'share', which its numbers lack"):
        Description(easier_starts={"share": "start at the goal"})
    Description(outcomes=(far,), numbers={"tolerance": 0.1})
