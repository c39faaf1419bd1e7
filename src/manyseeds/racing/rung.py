"""Train one run to a rung of the race, and play the race's episodes with its checkpoint there."""

import json
import math
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from manyseeds.config import Experiment, RunConfig
from manyseeds.core.arguments import verb_parser
from manyseeds.core.description import RETURN
from manyseeds.core.errors import UserError
from manyseeds.core.files import parse_json, update_json
from manyseeds.core.layout import (
    ANEW,
    RUN_CONFIG,
    RUN_RECORD,
    STATES,
    checkpoint_name,
    dump_name,
    run_folder,
    score_name,
)
from manyseeds.core.manifest import write_manifest
from manyseeds.core.race import stopped
from manyseeds.core.record import recorded_checkpoints
from manyseeds.core.secrets import masked
from manyseeds.evaluation.evaluate import evaluate_run
from manyseeds.launch.run import train_run, work_on_run
from manyseeds.learning import foreign
from manyseeds.racing.score import Score, episodes_of, race_of
from manyseeds.tasks.code import evaluation_code


@dataclass(frozen=True)
class Length:
    """How long a run of the same settings is: its iterations, and whether its record says that it has ended."""

    iterations: int
    ended: bool


def run_to(
    experiment: Experiment,
    folder: Path,
    variant: str,
    seed: int,
    threads: int,
    log: Path,
    image: str = "",
    *,
    rung: int,
    allow_code: Sequence[str] = (),
) -> None:
    """Train a run to a rung, or further where it has been further, play the race's episodes, and write its score.

    Args:
        experiment: the resolved experiment.
        folder: the run's folder.
        variant: name of the variant; nothing is trained or played if the race has stopped it.
        seed: the run's seed.
        threads: CPU threads to use; 0 for all.
        log: where the console output goes; appended to.
        image: of an external trainer, which has no race.
        rung: completed iterations.
        allow_code: classes and task files that the run may name.

    Raises:
        UserError: when there is no such rung, or the rung before is not decided.
        subprocess.CalledProcessError: when training fails and did not diverge.
        OSError: when the folder or the log cannot be written.
    """
    foreign.allow(allow_code)
    race = race_of(experiment, rung)
    code = evaluation_code(experiment.task, experiment.simulator)
    played = episodes_of(experiment, race)
    checkpoint = folder / checkpoint_name(rung)
    if variant in stopped(folder.parent.parent, race.before(rung)):
        score = Score(rung, "stopped", played, {})
    else:
        trained = _train(experiment, folder, variant, seed, rung, threads, log)
        outcomes = _play(folder, rung, played, threads) if trained else None
        score = Score(rung, "diverged", played, {}) if outcomes is None else Score(rung, "played", played, outcomes)
    path = folder / score_name(rung)
    update_json(path, score.to_dict())
    read = [checkpoint] if score.end == "played" else []
    write_manifest(folder, "rung", [path], read, path.stem, settings=played, made_by=code.to_dict())
    print(f"{run_folder(variant, seed)}: {said(score)}", flush=True)


def _train(experiment: Experiment, folder: Path, variant: str, seed: int, rung: int, threads: int, log: Path) -> bool:
    """Train to a rung; return whether the run got there, and did not diverge."""
    known, dumps = _length(folder, experiment.run(variant, seed)), _dumps(folder)
    if known.ended and known.iterations >= rung:
        with suppress(UserError):  # a checkpoint is missing or damaged; training makes it again
            recorded_checkpoints(folder)
            return True
    try:
        # A run that is on its way further does not go back.
        train_run(experiment, folder, variant, seed, threads, log, until=max(rung, known.iterations))
    except subprocess.CalledProcessError:
        if _dumps(folder) == dumps:
            raise
        return (folder / checkpoint_name(rung)).is_file()
    return True


def _dumps(folder: Path) -> dict[str, int]:
    """Return the dumps of divergences in a folder, and when they were written."""
    return {path.name: path.stat().st_mtime_ns for path in folder.glob(dump_name("*"))}


def _length(folder: Path, run: RunConfig) -> Length:
    """Return how long a run has become, or was to become when it was last started."""
    wanted = _but_length(run.identity())
    if (folder / ANEW).is_file():
        return Length(0, False)
    with suppress(OSError, ValueError, KeyError, TypeError, AttributeError):
        config = parse_json((folder / RUN_RECORD).read_text(encoding="utf-8"))["config"]
        if _but_length(config) == wanted:
            return Length(int(config["train"]["max_iterations"]), True)
    with suppress(OSError, ValueError, KeyError, TypeError, AttributeError):
        text = (folder / RUN_CONFIG).read_text(encoding="utf-8")
        begun = RunConfig.model_validate_json(text)
        if any((folder / name).is_file() for name in STATES) and _but_length(begun.identity()) == wanted:
            return Length(begun.train.max_iterations, False)
    return Length(0, False)


def _but_length(identity: Mapping[str, Any]) -> Any:
    """Return what decides a run's result, but for how long it is, as its record holds it."""
    plain = json.loads(json.dumps(masked(dict(identity))))
    plain["train"].pop("max_iterations")
    return plain


def _play(folder: Path, rung: int, played: Mapping[str, Any], threads: int) -> dict[str, float | None] | None:
    """Play the race's episodes with a checkpoint; return the outcomes, or None where the policy breaks the physics."""
    from manyseeds.simulators import NonFiniteError

    try:
        [found] = evaluate_run(folder, **played, threads=threads, only=rung)
    except NonFiniteError as error:
        print(f"[WARNING] {folder}: {error} at rung {rung}.", flush=True)
        return None
    numbers = {name: values.double().nanmean().item() for name, values in found.outcomes.items()}
    numbers[RETURN.name] = found.total_reward.double().mean().item()
    return {name: value if math.isfinite(value) else None for name, value in numbers.items()}


def said(score: Score) -> str:
    """Return a score in words."""
    if score.end != "played":
        return f"{score.end} before rung {score.rung}"
    outcomes = ", ".join(f"{name} {value:.4g}" for name, value in score.outcomes.items() if value is not None)
    return f"at rung {score.rung}: {outcomes}"


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; return training's exit code."""
    parser = verb_parser(
        "rung", __doc__, "--config results/lift_object/config.json --variant default --seed 1 --rung 200"
    )
    parser.add_argument("--rung", type=int, required=True, help="which rung: completed iterations")
    foreign.add_flag(parser)
    return work_on_run(parser, argv, "train", "training", run_to)
