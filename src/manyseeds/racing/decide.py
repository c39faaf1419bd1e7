"""Decide who goes on from a rung of the race: all runs at the rung in, `race_<rung>.json` out."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

from manyseeds import statistics
from manyseeds.config import Experiment, read_resolved
from manyseeds.core.arguments import verb_parser
from manyseeds.core.description import Description, Outcome
from manyseeds.core.errors import UserError
from manyseeds.core.files import update_json
from manyseeds.core.layout import decision_name, run_folder, score_name
from manyseeds.core.manifest import check_made, write_manifest
from manyseeds.core.race import Decision, Standing, Stop, deciding, stopped
from manyseeds.racing.score import Score, episodes_of, race_of, read_score


def decide(experiment: Experiment, folder: Path, rung: int) -> Decision:
    """Decide a rung, and write the decision and its manifest.

    Args:
        experiment: the resolved experiment.
        folder: its results.
        rung: completed iterations.

    Raises:
        UserError: when there is no such rung, the rung before is not decided, or a run is not there yet or was played
            with other episodes.
    """
    race = race_of(experiment, rung)
    before = stopped(folder, race.before(rung))
    outcome = deciding(Description.from_dict(experiment.description or {}), race.by)
    left = [variant.name for variant in experiment.variants if variant.name not in before]
    paths = {
        (variant, seed): folder / run_folder(variant, seed) / score_name(rung)
        for variant in left
        for seed in experiment.seeds
    }
    scores = {run: _score(path, experiment, rung) for run, path in paths.items()}
    numbers = {
        variant: {str(seed): scores[variant, seed].outcomes.get(outcome.name) for seed in experiment.seeds}
        for variant in left
    }
    beaten = _beaten(experiment, numbers, outcome, rung)
    places = statistics.places(_signed(numbers, outcome))
    standings = sorted(
        (
            Standing(variant, places[variant], _mean(numbers[variant]), numbers[variant], variant in beaten)
            for variant in left
        ),
        key=lambda standing: standing.place,
    )
    ends = {standing.variant: Stop(rung, standing.place, len(left)) for standing in standings if standing.stopped}
    decision = Decision(rung, race.model_dump(mode="json"), outcome.name, standings, {**before, **ends})
    path = folder / decision_name(rung)
    # By hand it is decided again, and Snakemake need not make anew what was made of it.
    update_json(path, decision.to_dict())
    earlier = [folder / decision_name(other) for other in race.before(rung)]
    write_manifest(folder, "race", [path], [*paths.values(), *earlier], path.stem)
    return decision


def _score(path: Path, experiment: Experiment, rung: int) -> Score:
    """Return how a run did at a rung.

    Raises:
        UserError: when it is not there yet, was edited, or played other episodes than the config says.
    """
    if not path.is_file():
        raise UserError(f"{path} is missing: the run is not at rung {rung} yet; snakemake gets it there")
    check_made(path, "rung", name=path.stem)
    score, race = read_score(path), race_of(experiment, rung)
    if score.rung != rung or score.end == "stopped" or score.played != episodes_of(experiment, race):
        raise UserError(f"{path} belongs to another race than the config's; snakemake makes it again")
    return score


def _beaten(
    experiment: Experiment, numbers: Mapping[str, Mapping[str, float | None]], outcome: Outcome, rung: int
) -> set[str]:
    race, signed = race_of(experiment, rung), _signed(numbers, outcome)
    if race.stop == "halving":
        return statistics.beaten_by_place(signed, race.keep)
    pairs = math.comb(len(experiment.variants), 2)
    is_rate = outcome.kind == "share"
    return statistics.beaten_in_test(
        signed,
        race.error,
        pairs * len(race.rungs),
        rates=is_rate,
        episodes=race.episodes if is_rate else None,
    )


def _signed(numbers: Mapping[str, Mapping[str, float | None]], outcome: Outcome) -> dict[str, list[float]]:
    """Return the numbers of each variant's seeds such that higher is better; NaN where there is none."""

    def signed(value: float | None) -> float:
        if value is None:
            return math.nan
        if outcome.better == "higher":
            return value
        return 1 - value if outcome.kind == "share" else -value

    return {variant: [signed(value) for value in own.values()] for variant, own in numbers.items()}


def _mean(seeds: Mapping[str, float | None]) -> float | None:
    known = [value for value in seeds.values() if value is not None]
    return math.fsum(known) / len(known) if len(known) == len(seeds) else None


def shown(decision: Decision) -> Table:
    """Return a decision as lines in columns."""
    lines = Table("place", "variant", decision.by, "seeds", "", box=None, padding=(0, 2, 0, 0), header_style="bold")
    for standing in decision.standings:
        seeds = ", ".join(f"{seed}: {_number(value)}" for seed, value in standing.seeds.items())
        what = f"stopped at rung {decision.rung}" if standing.stopped else "goes on"
        lines.add_row(str(standing.place), standing.variant, _number(standing.score), seeds, what)
    return lines


def _number(value: float | None) -> str:
    return "none" if value is None else f"{value:.4g}"


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; return 0."""
    parser = verb_parser("race", __doc__, "--config results/lift_object/config.json --rung 200")
    parser.add_argument("--config", type=Path, required=True, help="config.json of the experiment's folder")
    parser.add_argument("--rung", type=int, required=True, help="which rung: completed iterations")
    arguments = parser.parse_args(argv)
    decision = decide(read_resolved(arguments.config), arguments.config.parent, arguments.rung)
    console = Console(highlight=False, soft_wrap=True)
    console.print(shown(decision))
    return 0
