"""Evaluate the checkpoints of a run of an external trainer with the trainer's own command.

The command runs once per checkpoint, in a folder of its own below the run's. What it leaves is checked, and becomes an
episodes.csv as our own trainer has it. An evaluation that was interrupted continues with the checkpoints that are left.
"""

import csv
import os
import shutil
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from manyseeds.config import Experiment
from manyseeds.config.external import ENVIRONMENT_VARIABLE, Evaluation, External, render
from manyseeds.core.arguments import verb_parser
from manyseeds.core.description import Description
from manyseeds.core.errors import UserError
from manyseeds.core.files import parse_json, refuse_links, sha256, write_atomic, write_json
from manyseeds.core.layout import CHECKPOINTS, EPISODES, LOCK, RUN_RECORD, run_folder
from manyseeds.core.locks import locked
from manyseeds.core.manifest import write_manifest
from manyseeds.core.record import check_left, read_record
from manyseeds.core.text import flatten
from manyseeds.launch.external import Attempt, numbered
from manyseeds.launch.inputs import evaluation_code
from manyseeds.launch.outcomes import Outcomes, read_file, read_printed
from manyseeds.launch.run import Job, lease, run_of, work_on_run

FINISHED = "finished.json"
"""In the folder of one checkpoint's evaluation: what it was of, once its outcomes are known."""


@dataclass(frozen=True)
class Play:
    """The evaluation of one run.

    Attributes:
        attempt: the run, as its trainer started it.
        evaluation: how a checkpoint is evaluated.
        experiment: says how many episodes there are, and of which seed.
    """

    attempt: Attempt
    evaluation: Evaluation
    experiment: Experiment

    def folder(self, checkpoint: Path) -> Path:
        """Return where the evaluation of a checkpoint runs."""
        return self.attempt.work / "evaluation" / checkpoint.stem

    def command(self, checkpoint: Path, episodes: int) -> list[str]:
        """Return the command line that plays so many episodes with a checkpoint, without the container around it."""
        run, settings, folder = self.attempt.run, self.experiment.evaluate, self.folder(checkpoint)
        values = self.attempt.values | {
            "checkpoint": checkpoint.resolve(),
            "episodes": episodes,
            "seed": settings.seed,
            "output": folder.resolve() / self.evaluation.output,
        }
        return render(
            self.attempt.trainer,
            values | {"ranks": 1},
            command=self.evaluation.command,
            agent_file=str(folder.resolve() / "agent.json") if run.agent_file else None,
            agent_overrides={} if run.agent_file else flatten(run.agent),
            task_overrides=flatten(run.task_cfg) | flatten(settings.overrides),
        )

    def key(self, checkpoint: Path, episodes: int) -> dict[str, Any]:
        """Return what determines the outcomes of so many episodes with a checkpoint."""
        return {
            "settings": self.attempt.trainer.evaluation_settings(),
            "evaluate": self.experiment.evaluate.which() | {"episodes": episodes},
            "code": evaluation_code(self.attempt.trainer).to_dict(),
            "checkpoint": sha256(checkpoint),
        }

    def outcomes(self, checkpoint: Path, episodes: int, job: Job) -> Outcomes:
        """Play so many episodes with a checkpoint, unless an evaluation that was interrupted has done so.

        Raises:
            UserError: when its program is not there, or it leaves something else than it should.
            subprocess.CalledProcessError: when it fails.
        """
        folder, key = self.folder(checkpoint), self.key(checkpoint, episodes)
        mark = folder / FINISHED
        with suppress(OSError, ValueError, KeyError, TypeError):
            known = parse_json(mark.read_text(encoding="utf-8"))
            if known["key"] == key:
                found = known["found"]
                return Outcomes(**found | {name: tuple(found[name]) for name in ("success", "returns")})
        shutil.rmtree(folder, ignore_errors=True)
        self.attempt.prepare(folder)
        environment = self.attempt.environment()
        lines = list(self.attempt.start(job, self.command(checkpoint, episodes), folder, environment))
        found = self._found(folder, lines, f"{job.name}: the evaluation of {checkpoint.name}", episodes)
        write_json(mark, {"key": key, "found": vars(found)})
        return found

    def _found(self, folder: Path, lines: Sequence[str], what: str, episodes: int) -> Outcomes:
        if self.evaluation.printed:
            return read_printed(lines, self.evaluation, episodes, f"{what}, printed")
        files = sorted(path for path in folder.glob(self.evaluation.output) if path.is_file())
        if len(files) != 1:
            there = "; it left " + (", ".join(map(str, files)) if files else "none")
            raise UserError(
                f"{what} must leave one file {self.evaluation.output} (trainer.evaluate.output) in {folder}{there}"
            )
        return read_file(files[0], self.evaluation, episodes)


def evaluate_run(
    experiment: Experiment, folder: Path, variant: str, seed: int, threads: int, log: Path, image: str = ""
) -> None:
    """Evaluate every checkpoint of one run, and write episodes.csv and its manifest.

    Args:
        experiment: the resolved experiment, with an external trainer that has `evaluate`.
        folder: the run's folder.
        variant: name of the variant.
        seed: the run's seed.
        threads: CPU threads to use; 0 for all.
        log: where the console output goes; written anew.
        image: the container image to start the command in; "" for none.

    Raises:
        UserError: when there is nothing to evaluate, or an evaluation leaves something else than it should.
        subprocess.CalledProcessError: when one fails; `output` is its last lines.
        OSError: when the folder or the log cannot be written.
    """
    trainer = experiment.trainer
    if not isinstance(trainer, External) or (evaluation := trainer.evaluate) is None:
        raise UserError(f"trainer {trainer.name} has no evaluate; trainer.evaluate is the command for it")
    trainer = trainer.revealed(os.environ.get(ENVIRONMENT_VARIABLE, ""))
    name = run_folder(variant, seed)
    refuse_links(folder)

    def wait() -> None:
        print(f"{folder}: waiting for another process that works on this run", file=sys.stderr, flush=True)

    with locked(folder / LOCK, wait) as lock, lease(experiment, f"{experiment.experiment}/{name}", 1) as leased:
        checkpoints = _checkpoints(trainer, folder)
        log.unlink(missing_ok=True)
        run = run_of(experiment, folder, variant, seed, threads, leased)
        play = Play(Attempt(trainer, run, image), evaluation, experiment)
        job, code = Job(name, run, log, lock, leased), evaluation_code(trainer)
        planned, found, episodes = experiment.variant(variant).checkpoints, dict[int, Outcomes](), dict[int, int]()
        for place, (iteration, checkpoint) in enumerate(checkpoints.items(), start=1):
            episodes[iteration] = experiment.evaluate.episodes_of(iteration, planned)
            found[iteration] = play.outcomes(checkpoint, episodes[iteration], job)
            said = _said(found[iteration], episodes[iteration])
            print(f"{name}: [{place}/{len(checkpoints)}] {checkpoint.name}: {said}", flush=True)
        description = Description.from_dict(experiment.description or {})
        outputs = _write(folder, description, found, episodes)
        write_manifest(
            folder,
            "evaluate",
            outputs,
            list(checkpoints.values()),
            settings=experiment.evaluate.which() | {"trainer": trainer.evaluation_settings()},
            made_by=code.to_dict(),
        )
        for mark in (play.attempt.work / "evaluation").glob(f"*/{FINISHED}"):
            mark.unlink()


def _checkpoints(trainer: External, folder: Path) -> dict[int, Path]:
    """Return the checkpoints that a run's record names, by completed iterations.

    Raises:
        UserError: when the run has not ended, or one of them is missing or is not the one that it left.
    """
    record = folder / RUN_RECORD
    if not record.is_file():
        raise UserError(f"{folder} has no {RUN_RECORD}: the run has not ended")
    names = read_record(record)["outputs"]
    found = {}
    for number, path in numbered(trainer, folder).items():
        if path.name in names:
            check_left(path)
            found[number + 1 - trainer.first_iteration] = path
    if not found:
        raise UserError(f"{folder} holds no checkpoint {trainer.checkpoint}")
    return found


def _write(
    folder: Path, description: Description, found: Mapping[int, Outcomes], episodes: Mapping[int, int]
) -> list[Path]:
    """Write episodes.csv, and checkpoints.csv where only numbers of all episodes are known; return what was written."""
    has_success = bool(description.shares)
    sums = {iteration: outcomes for iteration, outcomes in found.items() if not outcomes.by_episode}
    written = [folder / EPISODES]
    if sums:
        written.append(folder / CHECKPOINTS)
        header = ("iteration", "episodes", *(["success"] if has_success else []), "return_mean")
        rows: list[list[Any]] = [
            [iteration, episodes[iteration], *([o.successes] if has_success else []), _written(o.mean_return)]
            for iteration, o in sums.items()
        ]
        _write_csv(folder / CHECKPOINTS, header, rows)
    else:
        (folder / CHECKPOINTS).unlink(missing_ok=True)
    rows = [
        [
            iteration,
            episode,
            *([outcomes.success[episode]] if has_success else []),
            _written(outcomes.returns[episode] if outcomes.returns else None),
        ]
        for iteration, outcomes in found.items()
        if outcomes.by_episode
        for episode in range(episodes[iteration])
    ]
    _write_csv(folder / EPISODES, description.columns, rows)
    return written


def _write_csv(path: Path, header: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    with write_atomic(path) as partial, partial.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(rows)


def _written(number: float | None) -> str:
    return "" if number is None else f"{number:.6f}"


def _said(outcomes: Outcomes, episodes: int) -> str:
    parts = []
    if outcomes.successes is not None:
        parts.append(f"success in {100 * outcomes.successes / episodes:.1f} % of {episodes} episodes")
    if outcomes.mean_return is not None:
        parts.append(f"mean return {outcomes.mean_return:.4g}")
    return ", ".join(parts)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; return the evaluation's exit code."""
    parser = verb_parser(
        "evaluate-external",
        __doc__.split("\n", 1)[0],
        "--config results/reacher/config.json --variant default --seed 1",
    )
    return work_on_run(parser, argv, "evaluate", "the evaluation", evaluate_run)
