"""The ledger: every plan of an experiment stays in it, in the order in which they held."""

import json
from pathlib import Path

import pytest

from manyseeds.core import ledger
from manyseeds.core.errors import UserError

CONFIG = {"variants": {"default": {}}, "seeds": [1, 2], "evaluate": {"episodes": 10}, "development": {}}


def test_a_plan_is_entered_once_and_a_changed_one_beside_it(tmp_path):
    ledger.enter(tmp_path, CONFIG)
    ledger.enter(tmp_path, CONFIG)
    ledger.enter(tmp_path, CONFIG | {"seeds": [1, 2, 3]})
    first, second = ledger.read(tmp_path)
    assert (first["seeds"], second["seeds"]) == ([1, 2], [1, 2, 3])
    assert first["plan"] == ledger.plan_digest(ledger.plan_of(CONFIG)) != second["plan"]
    assert first["since"] <= second["since"]


def test_what_decides_no_reported_number_is_no_part_of_the_plan():
    assert ledger.plan_of(CONFIG) == ledger.plan_of(CONFIG | {"gpus": "none", "keep_state": False})
    for change in ({"seeds": [1]}, {"evaluate": {"episodes": 11}}, {"development": {"seeds": [7]}}):
        assert ledger.plan_of(CONFIG) != ledger.plan_of(CONFIG | change)


def test_a_race_is_part_of_the_plan_and_plans_without_one_keep_their_hash():
    assert ledger.plan_of(CONFIG | {"race": None}) == ledger.plan_of(CONFIG) == CONFIG | {"variants": ["default"]}
    assert ledger.plan_of(CONFIG | {"race": {"rungs": [1]}}) != ledger.plan_of(CONFIG | {"race": {"rungs": [2]}})


def test_factors_are_part_of_the_plan_and_plans_without_any_keep_their_hash():
    def plan(**factors):
        return ledger.plan_of(CONFIG | {"evaluate": {"episodes": 10, "factors": factors}})

    assert plan() == ledger.plan_of(CONFIG) != plan(object_z=[1])


def test_a_folder_without_a_ledger_has_no_plans(tmp_path):
    assert ledger.read(tmp_path) == []


@pytest.mark.parametrize("content", ["no json", "{}", json.dumps({"plans": [{"plan": "x"}]}), "[]"])
def test_what_is_no_ledger_is_one_sentence(tmp_path, content):
    (tmp_path / "ledger.json").write_text(content)
    with pytest.raises(UserError, match=r"ledger.json is not a ledger"):
        ledger.read(tmp_path)


def test_a_plan_that_was_changed_later_is_noticed(tmp_path):
    ledger.enter(tmp_path, CONFIG)
    path = tmp_path / "ledger.json"
    path.write_text(path.read_text().replace("10", "20"))
    with pytest.raises(UserError, match="was changed after it was entered"):
        ledger.read(tmp_path)


@pytest.mark.parametrize(
    "damage", [lambda path: path.write_text("{"), lambda path: path.write_text('{"plans": [{}]}'), Path.unlink]
)
@pytest.mark.parametrize("name", ["ledger.json", ".ledger.json"])
def test_a_damaged_or_deleted_ledger_is_restored_with_all_its_plans(tmp_path, name, damage):
    for seeds in ([1], [1, 2]):
        ledger.enter(tmp_path, CONFIG | {"seeds": seeds})
    wanted = (tmp_path / "ledger.json").read_bytes()
    damage(tmp_path / name)
    said = ledger.enter(tmp_path, CONFIG | {"seeds": [1, 2]})
    assert said.endswith("it is restored from its copy") == (name == "ledger.json")
    assert (tmp_path / "ledger.json").read_bytes() == (tmp_path / ".ledger.json").read_bytes() == wanted


def test_a_ledger_without_an_intact_copy_is_refused_with_the_way_out(tmp_path):
    ledger.enter(tmp_path, CONFIG)
    for name in ("ledger.json", ".ledger.json"):
        (tmp_path / name).write_text("{")
    with pytest.raises(UserError, match=r"move it and \.ledger\.json away to begin a ledger without the earlier plans"):
        ledger.enter(tmp_path, CONFIG)
