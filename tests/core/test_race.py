"""The decision of a rung, read back; and what decides a race."""

import json
from dataclasses import replace

import pytest

from manyseeds.core.description import Description, Outcome
from manyseeds.core.errors import UserError
from manyseeds.core.layout import decision_name
from manyseeds.core.race import Decision, Standing, Stop, deciding, ordinal, read_decision, stopped, stopped_so_far

DECISION = Decision(
    200,
    {"rungs": [200, 400], "by": None},
    "reached",
    [Standing("a", 1, 0.5, {"1": 0.5}, False), Standing("b", 2, None, {"1": None}, True)],
    {"b": Stop(200, 2, 2)},
)


def test_a_decision_is_read_as_it_was_written(tmp_path):
    path = tmp_path / decision_name(200)
    path.write_text(json.dumps(DECISION.to_dict()))
    assert read_decision(path) == DECISION
    assert stopped(tmp_path, [200]) == stopped_so_far(tmp_path, [200, 400]) == {"b": Stop(200, 2, 2)}
    assert stopped(tmp_path, []) == stopped_so_far(tmp_path, []) == stopped_so_far(tmp_path, [400]) == {}


def test_a_rung_that_is_not_decided_or_a_file_that_is_no_decision_is_named(tmp_path):
    with pytest.raises(UserError, match=r"race_400\.json is missing: .* `manyseeds race --config .* --rung 400`"):
        stopped(tmp_path, [200, 400])
    for content in ({}, DECISION.to_dict() | {"stopped": {"b": {"iteration": 1}}}, DECISION.to_dict() | {"schema": 9}):
        (tmp_path / decision_name(400)).write_text(json.dumps(content))
        with pytest.raises(UserError, match=r"race_400\.json"):
            stopped(tmp_path, [200, 400])


def test_the_end_of_a_variant_is_said_in_words():
    assert Stop(200, 3, 4).words() == "stopped at rung 200, as 3rd of 4"
    assert [ordinal(n) for n in (1, 2, 3, 4, 11, 12, 13, 21, 102, 111)] == (
        ["1st", "2nd", "3rd", "4th", "11th", "12th", "13th", "21st", "102nd", "111th"]
    )


def test_the_first_success_decides_unless_the_config_names_another_outcome():
    dropped = Outcome("dropped", "Dropped", "share", "it fell", better="lower")
    reached = Outcome("reached", "Reached", "share", "it was reached")
    force = Outcome("force", "Force", "measure", "the greatest", better="")
    description = Description(outcomes=(dropped, reached, force))
    assert deciding(description, None) == reached
    assert deciding(description, "dropped") == dropped
    assert deciding(replace(description, outcomes=(dropped,)), None).name == "return"
    assert deciding(description, "return").better == "higher"
    with pytest.raises(UserError, match=r"race\.by is 'force'; it must be dropped or reached or return"):
        deciding(description, "force")
