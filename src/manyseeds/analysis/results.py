"""The files of a results folder: found, read and checked. Tables, figures and pages start here."""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
from pydantic import ValidationError

from manyseeds.analysis.inference import infer_description
from manyseeds.config.settings import EvaluateSettings
from manyseeds.core.code import some
from manyseeds.core.description import RETURN, Description, Outcome
from manyseeds.core.errors import UserError
from manyseeds.core.files import parse_json, sha256
from manyseeds.core.layout import (
    CHECKPOINTS,
    COMPARED,
    FACTORS,
    LEARNING_CURVES,
    RUN_RECORD,
    SEED_FOLDER,
    decision_name,
    folders_below,
)
from manyseeds.core.manifest import check_made, manifest_path
from manyseeds.core.race import Stop, deciding, stopped_so_far
from manyseeds.core.record import accepted_changes, other_seed
from manyseeds.core.text import did_you_mean

# What the bands of learning curves are: a 95 % interval of the mean at each point, one of the whole mean curve at once,
# the mean with its standard error, the smallest and the largest seed, or nothing.
BANDS = ("pointwise", "simultaneous", "standard-error", "range", "none")
OURS = "manyseeds"
"""The trainer's name where config.json gives no other."""
LONGEST_GAP = 1000
EVALUATION = "eval/"
"""How tags begin whose numbers come from the trainer's own evaluations; Stable-Baselines3's do."""
LARGEST = 2**53
"""The largest number up to which a float64 holds every whole number."""


@dataclass(frozen=True)
class Run:
    """One variant trained with one seed; `folder` holds its scalars.csv and episodes.csv."""

    variant: str
    seed: int
    folder: Path

    @property
    def scalars(self) -> Path:
        """The learning curves of the run."""
        return self.folder / "scalars.csv"

    @property
    def episodes(self) -> Path:
        """The evaluation episodes of the run."""
        return self.folder / "episodes.csv"

    @property
    def checkpoints(self) -> Path:
        """The evaluation of checkpoints whose single episodes are not known: a row a checkpoint.

        A published copy has it of all but the last one; an external trainer's evaluation may give only such numbers.
        """
        return self.folder / CHECKPOINTS

    @property
    def factors(self) -> Path:
        """How the last checkpoint of the run does under each condition of `evaluate.factors`."""
        return self.folder / FACTORS


@dataclass(frozen=True)
class Tags:
    """Which scalars the figures of training show.

    Attributes:
        reward: the return per episode.
        reward_terms: how the tags of single reward terms begin.
        success: a success rate from 0 to 1; "" where the trainer logs none.
    """

    reward: str = "Train/mean_reward"
    reward_terms: str = "Episode_Reward/"
    success: str = ""


OUR_TAGS = Tags(success="Metrics/success_rate")


@dataclass(frozen=True)
class ResultsFolder:
    """A folder `<experiment>/<variant>/seed_<seed>/` and the runs in it, ordered by variant and seed.

    Attributes:
        folder: holds a folder per variant.
        runs: those with results; where there is a config.json, those that it names.
        samples_per_iteration: environment steps of an iteration, by variant, as far as known.
        band: one of `BANDS`, as config.json says.
        notes: sentences about runs that are missing or left out.
        trainer: the name of what trained the runs.
        tags: which scalars mean return and success.
        described: the task's description in config.json; None where it has none.
        remarks: sentences that belong below tables and into captions, such as which runs of other code were accepted.
        evaluate: how the runs are judged.
        missing: variant and seed of runs that config.json names and that left nothing.
        settings: what config.json says of each variant: `train`, `agent`, `task_cfg`.
        labels: what tables, figures and pages call the variants, by name.
        baseline: the variant that all others are compared with; None for every two.
        at: the iteration at which trainings are compared, "end" for each one's last, or None for the variant's last.
        unit: what `samples_per_iteration` counts.
        stopped: variants that a race stopped early, and when.
    """

    folder: Path
    runs: tuple[Run, ...]
    samples_per_iteration: dict[str, int]
    band: str = BANDS[0]
    notes: tuple[str, ...] = ()
    trainer: str = OURS
    tags: Tags = OUR_TAGS
    described: Description | None = None
    remarks: tuple[str, ...] = ()
    evaluate: EvaluateSettings = field(default_factory=EvaluateSettings)
    missing: tuple[tuple[str, int], ...] = ()
    settings: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    baseline: str | None = None
    at: int | Literal["end"] | None = None
    unit: str = "samples"
    stopped: Mapping[str, Stop] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The name of the folder."""
        return self.folder.resolve().name

    @property
    def variants(self) -> list[str]:
        """The names of the variants in the order in which figures and tables show them."""
        return list(dict.fromkeys(run.variant for run in self.runs))

    def label(self, variant: str) -> str:
        """What tables, figures and pages call a variant."""
        label = self.labels.get(variant, variant)
        return f"{label} (stopped at {self.stopped[variant].iteration})" if variant in self.stopped else label

    def number(self, name: str, variant: str, *, evaluation: bool = False) -> float:
        """A number of the task, one of `Description.numbers`.

        Args:
            name: which.
            variant: of which variant.
            evaluation: as the evaluation had it, and not training.
        """
        numbers = dict(self.description.numbers) | dict(self.settings.get(variant, {}).get("task_cfg", {}))
        return float((numbers | dict(self.evaluate.overrides) if evaluation else numbers)[name])

    def only(self, variants: Sequence[str]) -> "ResultsFolder":
        """The same folder with these variants only, in this order.

        Raises:
            UserError: when there is no such variant.
        """
        for name in variants:
            if name not in self.variants:
                hint = did_you_mean(name, self.variants)
                raise UserError(
                    f"{self.folder}: there is no variant {name!r}{hint}; it must be {' or '.join(self.variants)}"
                )
        return replace(
            self,
            runs=tuple(run for name in dict.fromkeys(variants) for run in self.of(name)),
            missing=tuple(absent for absent in self.missing if absent[0] in variants),
            baseline=self.baseline if self.baseline in variants else None,
        )

    def of(self, variant: str) -> list[Run]:
        """The runs of one variant by rising seed."""
        return [run for run in self.runs if run.variant == variant]

    @cached_property
    def description(self) -> Description:
        """What config.json says of the task; without that, what the columns of episodes.csv tell.

        Raises:
            UserError: when an episodes.csv is needed for it and cannot be read.
        """
        if self.described is not None:
            return self.described
        tables = [(run.variant, read_csv(run.episodes)) for run in self.runs if run.episodes.is_file()]
        return infer_description(tables)

    @property
    def played_under_factors(self) -> bool:
        """Whether runs have a factors.csv that counts: one that config.json does not ask for may be of older runs."""
        asked = bool(self.evaluate.factors) or not self.settings
        return asked and self.evaluated and any(run.factors.is_file() for run in self.runs)

    @property
    def evaluated(self) -> bool:
        """Whether outcomes come from evaluation episodes, and not from the scalars of training."""
        return not any(outcome.tag for outcome in self.description.outcomes)

    @property
    def evaluated_by_trainer(self) -> bool:
        """Whether the scalars of training that are outcomes are of evaluations that the trainer made."""
        return all(outcome.tag.startswith(EVALUATION) for outcome in self.description.outcomes)

    @property
    def outcomes(self) -> tuple[Outcome, ...]:
        """All outcomes; the last one is the return."""
        outcomes = self.description.outcomes
        return (*outcomes, RETURN) if self.evaluated else outcomes

    @property
    def compared(self) -> tuple[Outcome, ...]:
        """The outcomes with statistics over seeds and comparisons of variants.

        These are the shares of which more is better. Without any, and for training, where there are only a few
        numbers, it is every outcome.
        """
        successes = tuple(outcome for outcome in self.description.shares if outcome.better == "higher")
        return successes if successes and self.evaluated else self.outcomes

    @property
    def successes(self) -> tuple[Outcome, ...]:
        """The shares among `compared`; figures of success show them, the first where there is room for one."""
        return tuple(outcome for outcome in self.compared if outcome.kind == "share")


def find_results(results_dir: str | Path, check: bool = True) -> list[ResultsFolder]:
    """Find every results folder at or below a folder, with a run with scalars.csv or episodes.csv.

    Args:
        results_dir: an experiment's folder, or a folder of such folders.
        check: whether each file must be the one that its step left.

    Returns:
        The folders by path, each with at least one run.

    Raises:
        UserError: when the folder is missing or holds no run, or a file was edited or damaged.
    """
    results_dir = Path(results_dir)
    if not results_dir.is_dir():
        raise UserError(f"{results_dir}: no such folder; give the results folder of an experiment")
    found: dict[Path, list[Run]] = {}
    for folder in sorted(folders_below(results_dir)):
        match = SEED_FOLDER.fullmatch(folder.name)
        depth = len(folder.relative_to(results_dir).parts)
        if match is None or depth < 2:
            continue
        _check_name(folder)
        run = Run(folder.parent.name, int(match[1]), folder)
        if run.scalars.is_file() or run.episodes.is_file():
            found.setdefault(folder.parent.parent, []).append(run)
    if not found:
        raise UserError(
            f"{results_dir}: no run found; expected <variant>/seed_<seed>/ with a scalars.csv or an episodes.csv"
        )
    for folder, runs in found.items() if check else ():
        for run in runs:
            check_made(run.scalars, "scalars")
            for made in (run.episodes, run.checkpoints):
                check_made(made, "evaluate")
            check_made(run.factors, "evaluate-factors", name=run.factors.stem)
            if sentence := other_seed(run.folder / RUN_RECORD):
                raise UserError(f"{sentence}; give it the name that it had")
        check_made(folder / LEARNING_CURVES, "curves")
    return [_results_folder(folder, runs) for folder, runs in sorted(found.items())]


def _check_name(folder: Path) -> None:
    try:
        str(folder).encode()
    except UnicodeEncodeError as error:
        raise UserError(f"{str(folder).encode(errors='replace').decode()}: the name is not UTF-8; rename it") from error
    if not folder.parent.name.isprintable():
        raise UserError(f"{str(folder)!r}: the variant's name has characters that are not printed; rename it")


def _results_folder(folder: Path, runs: list[Run]) -> ResultsFolder:
    planned, fields = _read_config(folder / "config.json")
    named = fields.pop("samples", {})
    samples = _samples_per_iteration(folder / LEARNING_CURVES) or named
    notes = []
    if planned is not None:
        found = {(run.variant, run.seed) for run in runs}
        strays = [f"{variant} seed {seed}" for variant, seed in sorted(found - set(planned))]
        fields["missing"] = tuple(run for run in planned if run not in found)
        absent = [f"{variant} seed {seed}" for variant, seed in fields["missing"]]
        if strays:
            notes.append(f"{folder}: left out, because config.json does not name them: {', '.join(strays)}")
        if absent:
            notes.append(f"{folder}: config.json names runs without results: {', '.join(absent)}")
        runs = [run for run in runs if (run.variant, run.seed) in planned] or runs
    # config.json, and the aggregated curves where it is missing, keep the order of config.yaml.
    names = [variant for variant, _ in planned] if planned else list(samples)
    order = {variant: place for place, variant in enumerate(dict.fromkeys(names))}
    runs.sort(key=lambda run: (order.get(run.variant, len(order)), run.variant, run.seed))
    seen: dict[tuple[str, int], Path] = {}
    for run in runs:
        other = seen.setdefault((run.variant, run.seed), run.folder)
        if other != run.folder:
            raise UserError(f"{run.folder}: the same variant and seed as {other}; remove one of the two")
    fields["remarks"] = (*fields.get("remarks", ()), *_code_notes(runs))
    return ResultsFolder(folder, tuple(runs), samples, notes=tuple(notes), **fields)


def _code_notes(runs: Iterable[Run]) -> tuple[str, ...]:
    """Name the runs and evaluations that were made by other code and accepted, with what had changed."""
    found: dict[tuple[str, str], list[str]] = {}
    for run in runs:
        files = (
            ("Trained", run.folder / RUN_RECORD),
            ("Evaluated", manifest_path(run.folder, "evaluate")),
            ("Evaluated under factors", manifest_path(run.folder, run.factors.stem)),
        )
        for made, path in files:
            for changes in accepted_changes(path):
                found.setdefault((made, some(changes)), []).append(f"{run.variant} seed {run.seed}")
    return tuple(
        f"{made} by other code than the present and accepted ({changes} had changed): {', '.join(names)}."
        for (made, changes), names in found.items()
    )


def _read_config(config: Path) -> tuple[list[tuple[str, int]] | None, dict[str, Any]]:
    """Variant and seed of every run that config.json names, and what else it says of a `ResultsFolder`."""
    if not config.is_file():
        return None, {}
    try:
        content = parse_json(config.read_text(encoding="utf-8"))
        planned = [
            (str(variant), int(seed))
            for variant, own in content["variants"].items()
            for seed in own.get("seeds", content["seeds"])
        ]
        fields: dict[str, Any] = {"band": content.get("curves", {}).get("band", BANDS[0])}
        external = content.get("trainer", OURS)
        if isinstance(external, dict):
            fields |= {"trainer": str(external["name"]), "tags": Tags(**external.get("scalars", {}))}
        fields["evaluate"] = EvaluateSettings.model_validate(content.get("evaluate", {}))
        fields["settings"] = content["variants"]
        fields["samples"] = {
            variant: settings["train"]["num_envs"] * settings["agent"]["num_steps_per_env"]
            for variant, settings in content["variants"].items()
            if "num_steps_per_env" in settings.get("agent", {})
        }
        fields |= {
            "labels": {str(variant): str(label) for variant, label in (content.get("labels") or {}).items()},
            "baseline": content.get("baseline"),
        }
        if compared := content.get(COMPARED):
            fields |= {"at": compared["at"], "unit": compared["unit"], "remarks": tuple(compared["remarks"])}
        if content.get("description"):
            fields["described"] = Description.from_dict(content["description"])
        if race := content.get("race"):
            check_race(config.parent, race["rungs"])
            fields["stopped"] = stopped_so_far(config.parent, race["rungs"])
            fields["remarks"] = race_remarks(race, fields.get("described"), fields["stopped"], fields["labels"])
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(map(str, ("evaluate", *first["loc"])))
        if first["type"] == "extra_forbidden":
            raise UserError(
                f"{config}: {place} is a key that this version of manyseeds does not know; running the workflow with "
                "the experiment's config.yaml writes the file anew"
            ) from error
        raise UserError(f"{config}: {place} is {first['input']!r}: {first['msg']}") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError(f"{config}: not a resolved experiment with 'variants' and 'seeds': {error}") from error
    if not isinstance(fields["baseline"], str | None):
        raise UserError(f"{config}: baseline is {fields['baseline']!r}; it must be the name of a variant, or null")
    if fields["band"] not in BANDS:
        raise UserError(f"{config}: curves.band is {fields['band']!r}; it must be {' or '.join(BANDS)}")
    return planned, fields


def check_race(folder: Path, rungs: Sequence[int]) -> None:
    """Raise UserError when a decision of a race is not the one that was made."""
    for rung in rungs:
        check_made(folder / decision_name(rung), "race", name=f"race_{rung}")


def race_remarks(
    race: Mapping[str, Any],
    description: Description | None,
    stopped: Mapping[str, Stop],
    labels: Mapping[str, str],
) -> tuple[str, ...]:
    """What belongs below tables and into captions of a race; nothing as long as it has stopped no variant."""
    if not stopped:
        return ()
    by = deciding(description or Description(), race["by"]).title
    rungs = " and ".join(map(str, race["rungs"]))
    how = "successive halving" if race["stop"] == "halving" else f"a test with an error of {100 * race['error']:g} %"
    ends = "; ".join(f"{labels.get(variant, variant)} {stop.words()}" for variant, stop in stopped.items())
    return (
        f"A race ({how} at {rungs} iterations, by {by}, on {race['episodes']} episodes other than those reported) "
        f"ended variants early: {ends}.",
        "Each variant is reported at its own last checkpoint, and two are compared at the last one that both have. Who "
        "went on was chosen with these training seeds, so the numbers of the variants that went on are optimistic; "
        "fresh seeds give numbers without selection.",
    )


def _samples_per_iteration(learning_curves: Path) -> dict[str, int]:
    if not learning_curves.is_file():
        return {}
    table = read_csv(learning_curves, usecols=["variant", "iteration", "samples"], dtype={"variant": str})
    table = table.dropna().drop_duplicates("variant", keep="last")
    _check_numbers(table[["samples"]], learning_curves)
    table["iteration"] = _whole(table["iteration"], learning_curves, "iteration", lowest=1)
    return {
        variant: round(samples / iteration)
        for variant, samples, iteration in zip(table["variant"], table["samples"], table["iteration"], strict=True)
    }


def read_scalars(run: Run) -> pd.DataFrame:
    """Read the learning curves of a run.

    Returns:
        One float column per tag, indexed by every iteration from 1 to the last; NaN where nothing was logged. A table
        with a row in a thousand or fewer is not filled up.

    Raises:
        UserError: when the file is malformed, empty, or has an iteration twice.
    """
    table = read_csv(run.scalars)
    if "iteration" not in table.columns:
        raise UserError(f"{run.scalars}: column 'iteration' is missing; rows are iterations, columns are tags")
    if table.empty:
        raise UserError(f"{run.scalars}: no rows; the run logged nothing")
    iterations = _whole(table.pop("iteration"), run.scalars, "iteration", lowest=0)
    if iterations.duplicated().any():
        raise UserError(f"{run.scalars}: iteration {iterations[iterations.duplicated()].iloc[0]} appears twice")
    _check_numbers(table, run.scalars)
    table = table.astype(np.float64).set_axis(pd.Index(iterations, name="iteration"))
    if iterations.max() > LONGEST_GAP * (len(iterations) + 1):  # steps that count something else than iterations
        return table.sort_index()
    return table.reindex(range(min(1, iterations.min()), iterations.max() + 1))


def read_episodes(run: Run, description: Description) -> pd.DataFrame:
    """Read the evaluation episodes of a run, sorted by iteration and episode.

    Args:
        run: the run.
        description: says which columns there are, and which of them are shares.

    Raises:
        UserError: when a column is missing, a share is not 0 or 1, a value is not a number, an episode appears twice,
            or a checkpoint was evaluated on fewer episodes than an earlier one.
    """
    path = run.episodes
    table = read_csv(path)
    missing = [column for column in description.columns if column not in table.columns]
    if missing:
        raise UserError(f"{path}: column {missing[0]!r} is missing; expected {', '.join(description.columns)}")
    if table.empty:
        if run.checkpoints.is_file():
            return table.astype(dict.fromkeys(table.columns, np.float64) | {"iteration": np.int64, "episode": np.int64})
        raise UserError(f"{path}: no rows; no checkpoint was evaluated")
    for column in ("iteration", "episode"):
        table[column] = _whole(table[column], path, column, lowest=0)
    _check_numbers(table[list(description.columns)], path)
    for share in description.shares:
        if not table[share.name].isin((0, 1)).all():
            raise UserError(f"{path}: column {share.name!r} must be 0 or 1 in every row")
    table = table.sort_values(["iteration", "episode"], ignore_index=True)
    if table.duplicated(["iteration", "episode"]).any():
        raise UserError(f"{path}: an episode of one checkpoint appears twice")
    counts = table.groupby("iteration").size()
    if not counts.is_monotonic_increasing:
        place = int((counts.diff() < 0).argmax())
        raise UserError(
            f"{path}: checkpoint {counts.index[place]} has {counts.iloc[place]} episodes where an earlier one has "
            f"{counts.iloc[place - 1]}; evaluate it with at least as many"
        )
    return table


def read_checkpoints(run: Run) -> pd.DataFrame:
    """Read what is known of the checkpoints whose episodes a run lacks; no rows where it lacks none.

    Returns:
        What `manyseeds.analysis.rates.summaries` makes of the episodes.

    Raises:
        UserError: when the file is malformed.
    """
    if not run.checkpoints.is_file():
        return pd.DataFrame()
    table = read_csv(run.checkpoints)
    if not {"iteration", "episodes"} <= set(table.columns):
        raise UserError(f"{run.checkpoints}: the columns 'iteration' and 'episodes' are missing")
    _check_numbers(table, run.checkpoints)
    return table


def read_all_episodes(folder: ResultsFolder) -> dict[Run, pd.DataFrame]:
    """Read the evaluation episodes of every run that was evaluated.

    Raises:
        UserError: when one is malformed, the same checkpoint of two seeds of a variant met different episodes, or two
            checkpoints met other episodes than the first ones of the same.
    """
    columns = [start.name for start in folder.description.starts]
    tables = {run: read_episodes(run, folder.description) for run in folder.runs if run.episodes.is_file()}
    for variant in folder.variants:
        met = [
            (run, iteration, checkpoint.set_index("episode")[columns])
            for run in (run for run in tables if run.variant == variant)
            for iteration, checkpoint in tables[run].groupby("iteration")
        ]
        every = max((starts for *_, starts in met), key=len, default=None)
        counts: dict[object, int] = {}
        for run, iteration, starts in met:
            assert every is not None
            if not same_episodes([starts, every.iloc[: counts.setdefault(iteration, len(starts))]]):
                raise UserError(
                    f"{run.episodes}: other evaluation episodes than those of the other checkpoints and seeds of "
                    f"{variant}; evaluate all of them with the same numbers below evaluate"
                )
    return tables


def same_episodes(starts: Iterable[pd.DataFrame]) -> bool:
    """Whether tables of starts, indexed by episode, agree to a micrometer (or 1e-6 of another unit)."""
    first, *others = starts
    return all(
        first.index.equals(other.index) and np.allclose(first, other, atol=1e-6, equal_nan=True) for other in others
    )


def _check_numbers(table: pd.DataFrame, path: Path) -> None:
    for column in table.columns[[not pd.api.types.is_numeric_dtype(kind) for kind in table.dtypes]]:
        raise UserError(f"{path}: column {column!r} holds something that is not a number")


def _whole(column: pd.Series, path: Path, name: str, lowest: int) -> pd.Series:
    numbers = pd.to_numeric(column, errors="coerce")
    if numbers.isna().any() or (numbers % 1 != 0).any() or (numbers < lowest).any() or (numbers > LARGEST).any():
        raise UserError(
            f"{path}: column {name!r} must hold whole numbers of at least {lowest} and at most {LARGEST} in every row"
        )
    return numbers.astype(np.int64)


def read_csv(path: Path, **options: Any) -> pd.DataFrame:
    """Read a CSV file.

    Raises:
        UserError: when it cannot be read as one.
    """
    try:
        return pd.read_csv(path, **options)
    except (ValueError, UnicodeDecodeError) as error:
        reason = str(error).splitlines()[0]
        raise UserError(f"{path}: not readable as a CSV file: {reason}") from error
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror}") from error


def read_files(folder: ResultsFolder) -> list[Path]:
    """Return the files that tables, figures and pages of a results folder are made of."""
    of_runs = [path for run in folder.runs for path in _files_of(folder, run)]
    return [*of_runs, folder.folder / LEARNING_CURVES]


def _files_of(folder: ResultsFolder, run: Run) -> list[Path]:
    factors = [run.factors] if folder.played_under_factors else []
    return [run.scalars, run.episodes, run.checkpoints, *factors]


def describe(folder: ResultsFolder) -> str:
    """Which runs a table or figure is made of, in one deterministic line.

    Built from the CSV files alone, so that a copy of the results elsewhere gives the same bytes.
    """
    variants = "; ".join(
        f"{variant}: seeds {', '.join(str(run.seed) for run in folder.of(variant))}" for variant in folder.variants
    )
    return f"manyseeds experiment {folder.name}; {variants}; inputs sha256 {inputs_digest(folder)}"


def inputs_digest(folder: ResultsFolder) -> str:
    """SHA-256 over the digests and the relative paths of all input CSV files of a results folder."""
    lines = []
    for run in folder.runs:
        for path in _files_of(folder, run):
            if path.is_file():
                lines.append(f"{sha256(path)}  {path.relative_to(folder.folder).as_posix()}\n")
    return hashlib.sha256("".join(sorted(lines)).encode()).hexdigest()
