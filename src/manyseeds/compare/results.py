"""From runs of other programs to a results folder: what `manyseeds tables`, `figures` and `pages` read."""

import contextlib
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
import pyarrow as pa

from manyseeds.analysis.curves import VariantRuns
from manyseeds.analysis.results import EVALUATION
from manyseeds.compare.names import folder_name
from manyseeds.compare.runs import ForeignRun
from manyseeds.core.description import Description, Outcome
from manyseeds.core.errors import UserError
from manyseeds.core.files import read_object, write_atomic, write_json
from manyseeds.core.layout import COMPARED, CONFIG, SCALARS, run_folder
from manyseeds.core.manifest import manifest_path, read_manifest, write_manifest
from manyseeds.core.text import did_you_mean
from manyseeds.eventfiles.log import REWARD
from manyseeds.eventfiles.table import ITERATION, arrow_array, write_table

REWARDS = (
    REWARD,
    "eval/mean_reward",
    "rollout/ep_rew_mean",
    "charts/episodic_return",
    "Reward / Total reward (mean)",
    "rewards/iter",
)
"""Tags of the return: RSL-RL, Stable-Baselines3 (twice), CleanRL, skrl, rl_games."""
SUCCESSES = ("Metrics/success_rate", "eval/success_rate", "rollout/success_rate", "Episode_Termination/success")
REWARD_TERMS = ("Episode_Reward/", "Episode/rew_")
"""Of Isaac Lab and mjlab, and of legged_gym."""
STEP = "compare"
SEVERAL = "a mix of programs"


@dataclass(frozen=True)
class Choice:
    """What a user may choose.

    Attributes:
        reward: the tag of the return; "" finds it.
        success: the tag of a success rate; "" finds it, None takes none.
        reward_terms: how the tags of single reward terms begin; "" finds it.
        at: where runs are compared: at the last iteration that all reach, at each one's end, or at an iteration.
        samples_per_iteration: environment steps of an iteration, for logs that do not say.
        labels: what tables and figures call variants.
        baseline: the variant that others are compared with.
    """

    reward: str = ""
    success: str | None = ""
    reward_terms: str = ""
    at: Literal["common", "end"] | int = "common"
    samples_per_iteration: int | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
    baseline: str | None = None


@dataclass(frozen=True)
class Prepared:
    """Runs as they will be written.

    Attributes:
        runs: the runs.
        tables: of each run, by completed iterations.
        samples: environment steps of an iteration, by variant, where known.
        content: of config.json.
    """

    runs: tuple[ForeignRun, ...]
    tables: tuple[pd.DataFrame, ...]
    samples: Mapping[str, int]
    content: Mapping[str, Any]

    @property
    def remarks(self) -> list[str]:
        """Sentences that tables and captions will have."""
        found: list[str] = self.content[COMPARED]["remarks"]
        return found

    @property
    def tags(self) -> dict[str, str]:
        """Which scalars mean return, reward terms and success."""
        found: dict[str, str] = self.content["trainer"]["scalars"]
        return found

    def folder(self, run: ForeignRun) -> str:
        """The path of a run's folder, relative to the results folder."""
        return run_folder(folder_name(run.variant), run.seed)

    def curves(self, output: Path) -> list[VariantRuns]:
        """The tables of scalars that `write` leaves in the results folder, by variant."""
        tables: dict[str, dict[str, Path]] = {}
        for run in self.runs:
            tables.setdefault(folder_name(run.variant), {})[run.label] = output / self.folder(run) / SCALARS
        success = self.tags["success"]
        return [VariantRuns(name, own, self.samples.get(name), success) for name, own in tables.items()]


def prepare(runs: Sequence[ForeignRun], choice: Choice, remarks: Sequence[str] = ()) -> Prepared:
    """Choose tags and iterations, and say what tables and figures must know.

    Args:
        runs: from `manyseeds.compare.runs.group`.
        choice: what the user says.
        remarks: sentences that are known already, such as which runs were left out.

    Raises:
        UserError: when no tag is a return, a chosen tag or variant is not there, or there is no common iteration.
    """
    _check_folders(runs)
    variants = list(dict.fromkeys(run.variant for run in runs))
    for name in (*choice.labels, *([choice.baseline] if choice.baseline else [])):
        if name not in variants:
            known = ", ".join(variants)
            raise UserError(f"there is no variant {name!r}{did_you_mean(name, variants)}; there are {known}")
    reward = find_reward([run.table for run in runs], choice.reward)
    success = _find_success(runs, choice.success, reward)
    terms = choice.reward_terms or next((mark for mark in REWARD_TERMS if _tags(runs, mark)), REWARD_TERMS[0])
    size = _steps_per_iteration(runs, reward)
    tables = tuple(_by_iteration(run, runs, size) for run in runs)
    samples, said = _samples(runs, size, choice.samples_per_iteration)
    at, where = _where(runs, tables, choice.at)
    unit = "steps" if size > 1 and any(run.log.counts == "steps" for run in runs) else "samples"
    if size > 1:
        said.append(f"An iteration is {size:,} {unit}, as the logs count them.")
    lacking = [run.label for run in runs if reward not in run.table]
    if lacking:
        said.append(f"{reward} is not in the log of {', '.join(lacking)}.")
    programs = sorted({run.log.program for run in runs})
    program = programs[0] if len(programs) == 1 else SEVERAL
    content = {
        "variants": {folder_name(variant): _variant(runs, variant) for variant in variants},
        "seeds": sorted({run.seed for run in runs}),
        "trainer": {"name": program, "scalars": {"reward": reward, "reward_terms": terms, "success": success}},
        "description": Description(outcomes=tuple(_outcomes(program, reward, success))).to_dict(),
        "labels": {
            folder_name(variant): choice.labels.get(variant, variant)
            for variant in variants
            if choice.labels.get(variant, variant) != folder_name(variant)
        },
        "baseline": folder_name(choice.baseline) if choice.baseline else None,
        COMPARED: {
            "at": at,
            "unit": unit,
            "remarks": [*where, *remarks, *said],
            "runs": [
                {"variant": run.variant, "seed": run.seed, "logs": [str(part.source.path) for part in run.parts]}
                for run in runs
            ],
        },
    }
    return Prepared(tuple(runs), tables, samples, content)


def _check_folders(runs: Sequence[ForeignRun]) -> None:
    """Two variants must not share a folder; letters' case does not tell folders apart everywhere."""
    seen: dict[str, str] = {}
    for run in runs:
        other = seen.setdefault(folder_name(run.variant).casefold(), run.variant)
        if other != run.variant:
            raise UserError(
                f"the variants {other!r} and {run.variant!r} are too alike for names of folders; rename one"
            )


def _variant(runs: Sequence[ForeignRun], variant: str) -> dict[str, Any]:
    return {"seeds": [run.seed for run in runs if run.variant == variant]}


def _outcomes(program: str, reward: str, success: str) -> Iterator[Outcome]:
    how = "in evaluations" if reward.startswith(EVALUATION) else "in training"
    if success:
        yield Outcome("success", "Success", "share", f"the success rate that {program} logs ({success})", tag=success)
    yield Outcome("return", "Return", "measure", f"the mean return of episodes {how} ({reward})", tag=reward)


def find_reward(tables: Sequence[pd.DataFrame], wanted: str = "") -> str:
    """Return the tag of the return: the one that is wanted, or the first known one that all runs, or some, have.

    Raises:
        UserError: when there is none; the message lists the tags.
    """
    every = dict.fromkeys(str(tag) for table in tables for tag in table)
    if wanted and wanted not in every:
        raise UserError(f"--reward {wanted}: no run logged it{did_you_mean(wanted, list(every))}; {_listed(every)}")
    for known in ([wanted],) if wanted else (REWARDS,):
        for enough in (all, any):
            for tag in known:
                if enough(tag in table for table in tables):
                    return tag
    raise UserError(f"which tag is the return? Name it with --reward; {_listed(every)}")


def _listed(tags: Mapping[str, Any]) -> str:
    return f"the logs have {', '.join(sorted(tags))}"


def _find_success(runs: Sequence[ForeignRun], wanted: str | None, reward: str) -> str:
    """Return the tag of a success rate; "" without one."""
    if wanted is None:
        return ""
    every = {tag: [run.table[tag] for run in runs if tag in run.table] for tag in _tags(runs)}
    if wanted:
        if wanted not in every:
            raise UserError(
                f"--success {wanted}: no run logged it{did_you_mean(wanted, list(every))}; {_listed(every)}"
            )
        if not _is_rate(every[wanted]):
            raise UserError(f"--success {wanted}: its numbers are not all from 0 to 1, so it is not a success rate")
        return wanted
    rates = [tag for tag in every if "success" in tag.lower() and _is_rate(every[tag])]
    evaluated = [tag for tag in rates if tag.startswith(EVALUATION) == reward.startswith(EVALUATION)]
    known = [tag for tag in SUCCESSES if tag in evaluated]
    return known[0] if known else evaluated[0] if len(evaluated) == 1 else ""


def _tags(runs: Sequence[ForeignRun], prefix: str = "") -> list[str]:
    return list(dict.fromkeys(str(tag) for run in runs for tag in run.table if str(tag).startswith(prefix)))


def _is_rate(columns: Sequence[pd.Series]) -> bool:
    values = pd.concat(columns)
    finite = values[np.isfinite(values)]
    return bool(len(finite) and finite.between(0, 1).all())


def _steps_per_iteration(runs: Sequence[ForeignRun], reward: str) -> int:
    """How many steps make one iteration where logs do not count iterations.

    It is the median over the runs of the most steps between two returns, so that nearly every iteration has a return.
    A program that logs at regular steps has the same number between all of its returns.
    """
    gaps = []
    for run in runs:
        if run.log.counts != "iterations":
            steps = (run.table[reward].dropna() if reward in run.table else run.table).index.to_numpy()
            gaps.append(int(np.diff(steps).max()) if len(steps) > 1 else int(steps[-1]) if len(steps) else 1)
    return max(1, int(np.median(gaps))) if gaps else 1


def _by_iteration(run: ForeignRun, runs: Sequence[ForeignRun], size: int) -> pd.DataFrame:
    """The table of a run by completed iterations; means of what falls into one."""
    table = run.table
    if run.log.counts == "iterations":
        return table.set_axis(table.index + 1 - run.log.first)
    if size == 1:  # The program counts iterations, too, from 0 or from 1.
        others = [other.table.index[0] for other in runs if other.log.counts != "iterations"]
        return table.set_axis(table.index + int(min(others) == 0))
    return table.groupby(np.ceil(table.index / size).astype(np.int64)).mean()


def _samples(runs: Sequence[ForeignRun], size: int, given: int | None) -> tuple[dict[str, int], list[str]]:
    """Environment steps of an iteration, by variant, and what is to be said of them."""
    found: dict[str, int] = {}
    said = []
    for variant in dict.fromkeys(run.variant for run in runs):
        own = {
            run.samples_per_iteration or given if run.log.counts == "iterations" else size if size > 1 else given
            for run in runs
            if run.variant == variant
        }
        if len(own) == 1 and (only := next(iter(own))) is not None:
            found[folder_name(variant)] = only
        elif len(own) > 1:
            sizes = ", ".join(f"{number:,}" if number else "unknown" for number in sorted(own, key=lambda n: n or 0))
            said.append(f"{variant}: its runs differ in the samples of an iteration ({sizes}).")
    if len(set(found.values())) > 1:
        sizes = ", ".join(f"{variant} {number:,}" for variant, number in found.items())
        said.append(f"The variants differ in the samples of an iteration ({sizes}): at one iteration some had fewer.")
    return found, said


def _where(
    runs: Sequence[ForeignRun], tables: Sequence[pd.DataFrame], at: Literal["common", "end"] | int
) -> tuple[int | Literal["end"], list[str]]:
    """Where runs are compared, and the sentences that say so."""
    ends = [int(table.index[-1]) for table in tables]
    shortest, longest = min(ends), max(ends)
    if at == "end":
        if shortest == longest:
            return "end", []
        return "end", [f"Tables compare each run at its own end, between iterations {shortest} and {longest}."]
    if len({run.log.counts for run in runs}) > 1:
        kinds = "; ".join(f"{run.log.program}: {run.log.counts}" for run in _one_of_each(runs))
        raise UserError(
            f"the logs count different things ({kinds}), so there is no common iteration; compare each run at its end "
            "with --at end"
        )
    if at == "common":
        if shortest == longest:
            return shortest, []
        first = [run.label for run, end in zip(runs, ends, strict=True) if end == shortest]
        return shortest, [
            f"Tables compare the runs at iteration {shortest}, the last one that all runs reached "
            f"({', '.join(first)} ended there; the longest run has {longest})."
        ]
    if at > longest:
        raise UserError(f"--at {at}: no run reaches this iteration; the longest has {longest}")
    alone = "" if shortest >= at else ", without the runs that end before it"
    return at, [f"Tables compare the runs at iteration {at}{alone}."]


def _one_of_each(runs: Sequence[ForeignRun]) -> list[ForeignRun]:
    return list({run.log.counts: run for run in runs}.values())


def check_output(output: Path) -> None:
    """Check that results may be written into a folder.

    Raises:
        UserError: when it holds something that `manyseeds compare` did not write.
    """
    config = output / CONFIG
    if output.exists() and not output.is_dir():
        raise UserError(f"--output {output}: is a file; it must be a folder")
    if config.is_file() and COMPARED not in read_object(config, str(config)):
        raise UserError(f"--output {output}: holds an experiment of the workflow; choose another folder")
    if output.is_dir() and not config.is_file() and any(output.iterdir()):
        raise UserError(f"--output {output}: holds other files; it must be new, empty, or written by manyseeds compare")


def write(prepared: Prepared, output: Path) -> None:
    """Write config.json, and of each run scalars.csv and what else says how it was made.

    What an earlier call wrote and this one does not is removed.

    Args:
        prepared: the runs.
        output: the results folder, checked by `check_output`.
    """
    before = _written(output)
    write_json(output / CONFIG, prepared.content)
    made = [output / CONFIG]
    for run, table in zip(prepared.runs, prepared.tables, strict=True):
        folder = output / prepared.folder(run)
        made.append(folder / SCALARS)
        write_table(_arrow(table), made[-1])
        made += _keep(run, folder)
    sources = [path for run in prepared.runs for part in run.parts for _, files in part.source.files for path in files]
    write_manifest(output, STEP, made, sources)
    for path in before - set(made):
        path.unlink(missing_ok=True)
        with contextlib.suppress(OSError):
            for parent in list(path.parents)[: len(path.relative_to(output).parts) - 1]:
                parent.rmdir()


def _written(output: Path) -> set[Path]:
    """The files that an earlier call wrote."""
    path = manifest_path(output, STEP)
    if not path.is_file():
        return set()
    names = [name for name in read_manifest(path)["outputs"] if ".." not in Path(name).parts]
    return {output / name for name in names if not Path(name).is_absolute()}


def _arrow(table: pd.DataFrame) -> pa.Table:
    tags = sorted(map(str, table.columns))
    with np.errstate(over="ignore"):
        columns = [table[tag].to_numpy(np.float64).astype(np.float32) for tag in tags]
    arrays = [arrow_array(column, np.isnan(column)) for column in columns]
    iterations = arrow_array(table.index.to_numpy(np.int64))
    return pa.Table.from_arrays([iterations, *arrays], names=[ITERATION, *tags])


KEPT = ("params/*.yaml", "git/*.diff", "*/args.yml", "*/config.yml")
"""Small files next to a log that say how its run was made."""
LARGEST = 2_000_000
"""Larger ones are left where they are, bytes."""


def _keep(run: ForeignRun, folder: Path) -> list[Path]:
    """Copy what says how a run was made; of several logs, the last one's."""
    source = run.parts[-1].source.folder
    kept = []
    for path in (path for pattern in KEPT for path in sorted(source.glob(pattern))):
        if path.is_file() and not path.is_symlink() and path.stat().st_size <= LARGEST:
            kept.append(folder / path.relative_to(source))
            with write_atomic(kept[-1]) as partial:
                shutil.copyfile(path, partial)
    return kept
