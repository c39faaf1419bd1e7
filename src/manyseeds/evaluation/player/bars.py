"""What the policies do, as bars in HTML: reward terms and outcomes of the episode so far."""

from collections.abc import Sequence
from html import escape
from math import isnan

from manyseeds.core.description import Outcome
from manyseeds.evaluation.player.simulation import Simulation

COLORS = ("#3b6fb6", "#d9822b")
"""Of the first and the second policy."""
_STYLE = (
    "<style>.bars{font-size:12px;line-height:1.3;padding:0 0.6em 0.6em}.bars h4{margin:0.7em 0 0.2em}"
    ".bars .row{display:flex;align-items:center;gap:0.5em}.bars .track{position:relative;flex:1;height:8px;"
    "background:#8882;border-radius:2px;overflow:hidden}.bars .fill{position:absolute;top:0;bottom:0}"
    ".bars .limit{position:absolute;top:0;bottom:0;width:2px;background:#c0392b}"
    ".bars .value{width:5.5em;text-align:right;font-variant-numeric:tabular-nums}</style>"
)


class Bars:
    """Draws bars; their scales grow with the numbers that they have shown, and never shrink."""

    def __init__(self) -> None:
        self._largest: dict[str, float] = {}

    def html(self, simulations: Sequence[Simulation]) -> str:
        """Return the bars of one policy or two, whose tasks need not be the same."""
        parts = [_STYLE, '<div class="bars">']
        for place, simulation in enumerate(simulations):
            seconds, whole = simulation.steps * simulation.step_dt, simulation.episode_length * simulation.step_dt
            who = f"iteration {simulation.iteration}" if simulation.iteration is not None else "no policy"
            parts.append(
                f'<div data-place="{place}" data-steps="{simulation.steps}" data-iteration="{simulation.iteration}"'
                f' style="color:{COLORS[place]}"><b>{who}</b>: {seconds:.2f} of {whole:.2f} s,'
                f" return {sum(simulation.sums.values()):.2f}</div>"
            )
        if broken := [simulation.broken for simulation in simulations if simulation.broken]:
            parts.append(
                f"<div><b>The simulation failed: {escape(broken[0])} is not finite. Restart goes on.</b></div>"
            )
        parts.append("<h4>Rewards per second</h4>")
        for name in dict.fromkeys(name for simulation in simulations for name in simulation.task.rewards):
            parts.append(self._reward(name, simulations))
        parts.append("<h4>Outcomes so far</h4>")
        judged = [simulation.outcomes() for simulation in simulations]
        described = {outcome.name: outcome for sim in simulations for outcome in sim.task.description.outcomes}
        for name, outcome in described.items():
            values = [results.get(name, float("nan")) for results in judged]
            parts.append(self._outcome(outcome, values, simulations))
        return "".join([*parts, "</div>"])

    def _reward(self, name: str, simulations: Sequence[Simulation]) -> str:
        values = [simulation.rewards.get(name, float("nan")) for simulation in simulations]
        weights = [abs(float(getattr(simulation.cfg, f"{name}_weight", 0.0))) for simulation in simulations]
        # Most terms are a number from 0 to 1 times their weight.
        scale = self._scale(f"reward {name}", [*values, *weights])
        rows = [_row(value, scale, COLORS[place], f"{value + 0.0:.3g}") for place, value in enumerate(values)]
        return f'<div data-reward="{escape(name)}">{escape(name)}{"".join(rows)}</div>'

    def _outcome(self, outcome: Outcome, values: Sequence[float], simulations: Sequence[Simulation]) -> str:
        rows, share = [], outcome.kind == "share"
        limits = [float(getattr(s.cfg, outcome.limit, "nan")) if outcome.limit else float("nan") for s in simulations]
        scale = 1.0 if share else self._scale(f"outcome {outcome.name}", [*values, *(2 * limit for limit in limits)])
        for place, (value, limit) in enumerate(zip(values, limits, strict=True)):
            shown = ("yes" if value else "no") if share else f"{value + 0.0:.3g} {escape(outcome.unit)}"
            rows.append(_row(value, scale, COLORS[place], shown, limit))
        name, meaning = escape(outcome.title), escape(outcome.meaning)
        return f'<div data-outcome="{escape(outcome.name)}" title="{meaning}">{name}{"".join(rows)}</div>'

    def _scale(self, name: str, values: Sequence[float]) -> float:
        seen = [abs(value) for value in values if not isnan(value)]
        self._largest[name] = max([self._largest.get(name, 0.0), *seen])
        return self._largest[name] or 1.0


def _row(value: float, scale: float, color: str, shown: str, limit: float = float("nan")) -> str:
    """Return one bar; one of a negative number grows from the right and is hatched."""
    if isnan(value):
        return '<div class="row"><div class="track"></div><div class="value">&ndash;</div></div>'
    side = "left" if value >= 0 else "right"
    fill = color if value >= 0 else f"repeating-linear-gradient(45deg,{color} 0 3px,#0000 3px 6px)"
    width = min(100.0, 100 * abs(value) / scale)
    mark = "" if isnan(limit) else f'<div class="limit" style="left:{100 * limit / scale:.1f}%"></div>'
    return (
        f'<div class="row"><div class="track"><div class="fill" style="{side}:0;width:{width:.1f}%;background:{fill}">'
        f'</div>{mark}</div><div class="value">{shown}</div></div>'
    )
