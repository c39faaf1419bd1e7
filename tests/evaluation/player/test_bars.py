"""The bars beside the scene."""

import re

import pytest

from manyseeds.evaluation.player.bars import Bars
from manyseeds.evaluation.player.player import Player


def widths(html, kind, name):
    row = re.search(rf'<div data-{kind}="{name}".*?(?=<div data-|<h4|$)', html, re.S)
    return [float(width) for width in re.findall(r"width:([\d.]+)%", row[0])]


@pytest.fixture
def player(runs):
    player = Player([runs("cart_pole"), runs("file_task")])
    yield player
    player.close()


def test_bars_hold_every_term_and_outcome_of_both_tasks(player):
    for _ in range(10):
        player.step()
    html = Bars().html(player.simulations)
    for simulation in player.simulations:
        for name in simulation.task.rewards:
            assert len(widths(html, "reward", name)) == 1  # the other task does not have it
        assert all(f'data-outcome="{o.name}"' in html for o in simulation.task.description.outcomes)
    assert 'data-steps="10"' in html and 'data-iteration="2"' in html
    assert widths(html, "reward", "alive") == [100.0]  # a term that is fully met


def test_a_scale_does_not_shrink(player):
    bars = Bars()
    bars.html(player.simulations)
    player.simulations[0].rewards["alive"] = 4.0
    assert widths(bars.html(player.simulations), "reward", "alive") == [100.0]
    player.simulations[0].rewards["alive"] = 1.0
    assert widths(bars.html(player.simulations), "reward", "alive") == [25.0]
    assert widths(bars.html(player.simulations), "reward", "terminating") == [0.0]


def test_a_failure_is_said_and_names_are_shown_as_they_are(player):
    player.simulations[0].broken = "<script>"
    html = Bars().html(player.simulations)
    assert "The simulation failed: &lt;script&gt; is not finite" in html and "<script>" not in html
