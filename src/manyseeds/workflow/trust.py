"""Are the files of an experiment still what its steps left, and of the present code? What Snakemake does not see.

Snakemake compares modification times and parameters. It misses an edited model or kernel, a checkpoint that was
damaged or removed, a CSV file that was edited by hand.
"""

import os
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from manyseeds.config import Experiment
from manyseeds.config.external import External
from manyseeds.core.code import Code, some
from manyseeds.core.errors import StorageError, UserError
from manyseeds.core.files import parse_json, sha256, write_atomic, write_json
from manyseeds.core.layout import (
    ANEW,
    CODE_DIFF,
    EPISODES,
    EVENT_FILE,
    FACTORS,
    FAILURES_FILM,
    FILM,
    FILM_PAGE,
    JOURNAL,
    LEARNING_CURVES,
    REPORT,
    RUN_CONFIG,
    RUN_RECORD,
    SCALARS,
    decision_name,
    run_folder,
    score_name,
)
from manyseeds.core.manifest import manifest_path, problems, read_manifest
from manyseeds.core.record import accept_code, accept_in, changes_since, other_code, other_seed, read_record
from manyseeds.launch import inputs
from manyseeds.tasks.code import evaluation_code, training_code

CHECKSUMS = ".checksums.json"
"""In the folder of an experiment: checksums of files by size and times, so that a start does not hash them again."""
UNKNOWN = "unknown code"
SHOWN = 5


@dataclass(frozen=True)
class Findings:
    """What was found before any job is planned.

    Attributes:
        stale: runs by the path of their record: what has changed since they were trained.
        stale_evaluations: the same by the path of the episodes.
        again: outputs of rules that must be made again, and why; what of it `changed_code` forces, too.
        damaged: records of runs of which a file is there and is not what the run left.
        code: what trains now; None where nothing was compared.
        evaluation: what evaluates now.
        factors: what evaluates under factors now.
    """

    stale: Mapping[str, Sequence[str]] = field(default_factory=dict)
    stale_evaluations: Mapping[str, Sequence[str]] = field(default_factory=dict)
    again: Mapping[str, str] = field(default_factory=dict)
    damaged: frozenset[str] = frozenset()
    code: Code | None = None
    evaluation: Code | None = None
    factors: Code | None = None

    def sentences(self, experiment: Experiment, results: str) -> list[str]:
        """Return what is to be said about them, a sentence a line."""
        lines = []
        kinds = (("trained", self.stale), ("evaluated", self.stale_evaluations))
        for kind, found in kinds:
            for changes, paths in _grouped(found).items():
                names = list(dict.fromkeys(Path(path).parent.relative_to(results).as_posix() for path in paths))
                lines.append(f"{results}: {kind} by other code than the present ({changes}): {some(names, SHOWN)}")
        if lines:
            lines.append(self.advice(experiment, results))
        return lines + [f"{why}; it is made again" for why in dict.fromkeys(self.again.values()) if why]

    def advice(self, experiment: Experiment, results: str) -> str:
        """Return what happens with what was made by other code, and what the user can say."""
        return _WHAT_TO_DO[experiment.changed_code].format(results=results)

    def stops(self, experiment: Experiment, jobs: Sequence["Planned"]) -> bool:
        """Whether no job may start before the user has said what to do: by `changed_code`, or by forcing a job."""
        forced = {job.output for job in jobs if job.requested}
        trained = {job.output for job in jobs if job.rule == "train_run"}
        reads = any(job.rule not in ("train_run", "train") for job in jobs)
        evaluations = {
            path
            for path in self.stale_evaluations.keys() - forced
            if reads and str(Path(path).with_name(RUN_RECORD)) not in trained
        }
        return experiment.changed_code == "stop" and bool(jobs) and bool(self.stale.keys() - forced or evaluations)


@dataclass(frozen=True)
class Planned:
    """A job that is to run.

    Attributes:
        rule: the name of its rule.
        output: its first output.
        forced: whether it runs whatever its files say.
        requested: whether that is so because the user asked for it (`--forcerun`, `--forceall`).
    """

    rule: str
    output: str
    forced: bool
    requested: bool


_WHAT_TO_DO = {
    "stop": "{results}: nothing starts before you say what to do: `--config changed_code=redo` makes them anew (the"
    " older files go to superseded_<n>), `--config changed_code=accept` keeps them and says so in records, tables and"
    " captions; or restore the code",
    "redo": "{results}: they are made anew (changed_code: redo); the older files go to superseded_<n>",
    "accept": "{results}: they are kept, and records, tables and captions say so (changed_code: accept)",
}


def look(experiment: Experiment, results: str, installed: bool) -> Findings:
    """Compare an experiment's files with the code and with what its steps left.

    Args:
        experiment: the experiment.
        results: its folder.
        installed: whether training's packages are those of this process.

    Raises:
        UserError: when a file that decides a result cannot be read.
    """
    folder = Path(results)
    if not folder.is_dir():
        return Findings()
    trainer, ours = experiment.trainer, experiment.trainer.is_ours
    evaluation: Code | None
    factors: Code | None = None
    if isinstance(trainer, External):
        code = inputs.inputs_code(trainer)
        evaluation = inputs.evaluation_code(trainer) if trainer.evaluates else None
    else:
        code = training_code(experiment.task, experiment.simulator, installed)
        evaluation = evaluation_code(experiment.task, experiment.simulator, installed)
        if experiment.evaluate.factors:
            factors = evaluation_code(experiment.task, experiment.simulator, installed, factors=True)
    sums = _Sums(folder)
    stale: dict[str, list[str]] = {}
    stale_evaluations: dict[str, list[str]] = {}
    again: dict[str, str] = {}
    trained_anew: list[str] = []
    damaged = set()
    rungs = experiment.race.rungs if experiment.race else ()
    for variant in experiment.variants:
        for seed in experiment.seeds:
            run = folder / run_folder(variant.name, seed)
            record = run / RUN_RECORD
            begun = record.is_file() or (ours and (run / JOURNAL).is_file())
            # With another simulator the settings are others, and so is the code that counts: Snakemake trains it anew.
            moved = ours and begun and _simulator_of(run) not in (None, experiment.simulator)
            changes = other_code(run, code) if begun and not moved else []
            # Without a record the job asks the run's state.
            if changes is None and record.is_file() and (ours or code.files):
                changes = [UNKNOWN]
            if changes:
                stale[str(record)] = changes
            for rung in rungs:
                score = run / score_name(rung)
                if problem := _of_step(run, score.stem, score.name, sums):
                    again[str(score)] = problem
                elif changes:  # the run trains anew, to the first rung first
                    trained_anew.append(str(score))
                elif score.is_file() and not moved:
                    changed = evaluation and changes_since(manifest_path(run, score.stem), evaluation)
                    stale_evaluations |= {str(score): changed} if changed else {}
            if not record.is_file():
                again[str(record)] = ""  # not every target asks for it
                continue
            problem, is_damage = _of_run(record, sums, experiment.curves.allow_corrupt)
            if problem:
                again[str(record)] = problem
                damaged |= {str(record)} if is_damage else set()
            evaluations = [("evaluate", EPISODES)] if trainer.evaluates else []
            evaluations += [(Path(FACTORS).stem, FACTORS)] if experiment.evaluate.factors else []
            for step, name in [("scalars", SCALARS), *evaluations]:
                if problem := _of_step(run, step, name, sums):
                    again[str(run / name)] = problem
                elif not (run / name).is_file():  # tables of the other runs hide it from Snakemake
                    again[str(run / name)] = ""
            for step, name in evaluations:
                known = not moved and (run / name).is_file() and str(run / name) not in again
                now = factors if name == FACTORS else evaluation
                if now and known and (changed := changes_since(manifest_path(run, step), now)):
                    stale_evaluations[str(run / name)] = changed
        films = (("film", FILM, FILM), ("film-page", FILM_PAGE, FILM), ("film-failures", FAILURES_FILM, FAILURES_FILM))
        for step, name, first in films if ours else ():
            if problem := _of_step(folder / variant.name, step, name, sums):
                again.setdefault(str(folder / variant.name / first), problem)
    whole = (
        ("curves", LEARNING_CURVES),
        ("tables", "success_rates.html"),
        ("figures", "curves.html"),
        ("pages", "curves.html"),
        ("report", REPORT),
    )
    for step, name in (*whole, *((Path(name).stem, name) for name in map(decision_name, rungs))):
        if problem := _of_step(folder, step, name, sums):
            again.setdefault(str(folder / name), problem)
    sums.keep()
    forced = _forced_by(experiment, results, [*stale, *trained_anew, *stale_evaluations])
    return Findings(stale, stale_evaluations, forced | again, frozenset(damaged), code, evaluation, factors)


def prepare(findings: Findings, experiment: Experiment, results: str, jobs: Iterable[Planned]) -> None:
    """Write what jobs must know, when they are about to start: acceptances, and which runs are trained anew.

    Args:
        findings: from `look`.
        experiment: the experiment.
        results: its folder.
        jobs: what is to run.

    Raises:
        UserError: when a file cannot be written.
    """
    if experiment.changed_code == "accept":
        for path in findings.stale:
            if findings.code and Path(path).is_file():
                accept_code(Path(path).parent, findings.code, "accepted by changed_code: accept")
        for path in findings.stale_evaluations:
            if now := findings.factors if Path(path).name == FACTORS else findings.evaluation:
                step = "evaluate" if Path(path).name == EPISODES else Path(path).stem
                accept_in(manifest_path(Path(path).parent, step), now, "accepted")
    for mark in Path(results).glob(f"*/seed_*/{ANEW}"):
        if mark.with_name(RUN_RECORD).is_file():  # of a start that ended before its job began
            mark.unlink()
    for job in jobs:
        if reason := _why_anew(findings, experiment, job) if job.rule == "train_run" and job.forced else "":
            with write_atomic(Path(job.output).with_name(ANEW)) as partial:
                partial.write_text(reason, encoding="utf-8")


def date_to_now(paths: Iterable[str]) -> list[str]:
    """Give files that are dated in the future the time of now, since Snakemake refuses what is made from them.

    A clock that was wrong leaves such files. Files that another user owns stay as they are.

    Returns:
        The paths of the files that were changed.
    """
    now, changed = time.time(), []
    for path in dict.fromkeys(paths):
        with suppress(OSError):
            if os.stat(path).st_mtime > now:
                os.utime(path)
                changed.append(path)
    return changed


def _why_anew(findings: Findings, experiment: Experiment, job: Planned) -> str:
    """Return why a run is trained from the beginning; "" where its state may make what is missing."""
    record = job.output
    if record in findings.stale:
        accepted = experiment.changed_code == "accept" and not job.requested
        return "" if accepted else f"the code has changed: {some(list(findings.stale[record]))}"
    if record in findings.again and not job.requested:
        # Our trainer looks at every file itself.
        ours = experiment.trainer.is_ours
        return "" if ours or record not in findings.damaged else findings.again[record]
    return "it was forced"


def _forced_by(experiment: Experiment, results: str, paths: Sequence[str]) -> dict[str, str]:
    """Return the outputs that are made again because of other code, without a reason: that is said apart."""
    if paths and experiment.changed_code == "accept":  # tables and captions say it
        return dict.fromkeys((f"{results}/{name}" for name in ("success_rates.html", "curves.html", REPORT)), "")
    return dict.fromkeys(paths, "")


def _simulator_of(run: Path) -> str | None:
    """Return the simulator of a run by its record, or else by the settings of its last start; None if neither says."""
    for name, keys in ((RUN_RECORD, ("config", "simulator")), (RUN_CONFIG, ("simulator",))):
        with suppress(OSError, ValueError, KeyError, TypeError):
            content = parse_json((run / name).read_text(encoding="utf-8"))
            for key in keys:
                content = content[key]
            return str(content)
    return None


def _of_run(record: Path, sums: "_Sums", allow_corrupt: bool) -> tuple[str, bool]:
    """Say which file of a run is missing or damaged ("" for none), and whether one is damaged.

    Args:
        record: the run's record.
        sums: checksums of files.
        allow_corrupt: whether a damaged event file is read as it is.
    """
    try:
        outputs = read_record(record)["outputs"]
    except UserError as error:
        return str(error).split(":")[0], True
    if sentence := other_seed(record):
        return sentence, True
    missing, damaged = [], []
    for name, expected in outputs.items():
        if name == CODE_DIFF:  # nothing can make it again; verify names it
            continue
        path = record.parent / name
        if not path.is_file():
            missing.append(path)
        elif sums.of(path) != expected and not (allow_corrupt and name.startswith(EVENT_FILE)):
            damaged.append(path)
    if damaged:
        return f"{damaged[0]} is not the file that the run left", True
    return (f"{missing[0]} is missing", False) if missing else ("", False)


def _of_step(folder: Path, step: str, name: str, sums: "_Sums") -> str:
    """Say what is wrong with the outputs of a step that has made them; "" where nothing is."""
    path = manifest_path(folder, step)
    if not path.is_file():
        return f"{folder / name} has no {path.name} that vouches for it" if (folder / name).is_file() else ""
    try:
        content, wrong = read_manifest(path), problems(path, sums.of)
    except UserError:
        return f"{path} cannot be read"
    if wrong:
        return wrong[0]
    for given, expected in content["inputs"].items():
        if (file := folder / given).is_file() and sums.of(file) != expected:
            return f"{folder / name} was made from another {file.name}"
    return ""


def _grouped(found: Mapping[str, Sequence[str]]) -> dict[str, list[str]]:
    groups: dict[str, list[str]] = {}
    for path, changes in found.items():
        groups.setdefault(some(list(changes)), []).append(path)
    return groups


class _Sums:
    """Checksums of files; a file whose size and times are those of an earlier start is not read again."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._path, self._new = folder, folder / CHECKSUMS, False
        self._known: dict[str, list[object]] = {}
        with suppress(OSError, ValueError, AttributeError):
            self._known = dict(parse_json(self._path.read_text(encoding="utf-8")).items())
        self._seen: dict[str, list[object]] = {}

    def of(self, path: Path) -> str:
        """Return the SHA-256 of a file."""
        name, stat = os.path.relpath(path, self._folder), path.stat()
        # The change time cannot be set: an edit that restores the modification time is seen as well.
        state = [stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns, stat.st_ino]
        if name not in self._seen:
            known = self._known.get(name)
            same = isinstance(known, list) and known[:-1] == state and isinstance(known[-1], str)
            self._seen[name] = known if same and known else [*state, sha256(path)]
            self._new |= not same
        return str(self._seen[name][-1])

    def keep(self) -> None:
        """Keep them for the next start, where the folder can be written."""
        if self._new:
            with suppress(StorageError):
                write_json(self._path, self._seen)
