"""A task's description goes through config.json unchanged."""

import json

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
