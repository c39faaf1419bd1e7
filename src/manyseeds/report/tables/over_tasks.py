"""The table over tasks: how each variant does in each of several experiments, and over all of them."""

import math
from collections.abc import Hashable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from manyseeds import statistics
from manyseeds.analysis.estimates import estimate_words, failure_sentences, spread_sentences
from manyseeds.analysis.tasks import ALL, CANNOT_TELL, DOES_NOT_HELP, OverTasks, Task
from manyseeds.core.layout import OVER_TASKS
from manyseeds.core.text import count_of
from manyseeds.report.tables.formats import save, save_csv
from manyseeds.report.tables.text import Grid, percent

LABEL = "over-tasks"
OVER_ALL = "Over all tasks"
MEAN_NOTE = (
    "Over all tasks: mean over tasks of the mean over seeds. All intervals are 95 % intervals for new seeds on these "
    "tasks, and for new episodes where the single episodes are known; they are not for new tasks (stratified: "
    "Student's t on the logit of each mean, put together by MOVER)."
)
IQM_NOTE = (
    "IQM: interquartile mean of all runs, with a 95 % bootstrap interval that resamples seeds within each task, from "
    f"{statistics.LEAST_IQM} seeds each on."
)
IMPROVEMENT_NOTE = (
    "Better seed: probability that a seed of the variant beats a seed of the baseline, mean over tasks (rliable's "
    "probability of improvement), without an interval, because none covers 95 % with few seeds."
)


def over_tasks_grids(over: OverTasks) -> list[Grid]:
    """The scores of each variant and, of two variants or more, their differences to the baseline."""
    grids = [_scores(over)]
    if over.baseline is not None:
        grids.append(_differences(over))
    return grids


def _scores(over: OverTasks) -> Grid:
    with_iqm = bool(over.table.loc[over.table["task"] == ALL, "iqm"].notna().any())
    rows = []
    for variant in over.variants:
        own = _by_task(over, variant)
        cells = [_cell(own[task], "mean", "low", "high") for task in (*_names(over), ALL)]
        rows.append((over.label(variant), *cells, *([_cell(own[ALL], "iqm", "iqm_low", "iqm_high")] * with_iqm)))
    header = ("Variant", *(f"{task} (%)" for task in _names(over)), f"{OVER_ALL} (%)", *(["IQM (%)"] * with_iqm))
    notes = (meaning(over), MEAN_NOTE, *([IQM_NOTE] * with_iqm), *counts(over), *remarks(over))
    return Grid(header, "l" * len(header), tuple(rows), (False,) * len(rows), notes, LABEL)


def _differences(over: OverTasks) -> Grid:
    rows = []
    for variant in over.variants:
        if variant == over.baseline:
            continue
        own = _by_task(over, variant)
        names = ("difference", "difference_low", "difference_high")
        cells = [_cell(own[task], *names, sign="+") for task in (*_names(over), ALL)]
        better, says = own[ALL]["improvement"], own[ALL]["verdict"]
        better = "" if pd.isna(better) else f"{100 * better:.0f}"
        rows.append((over.label(variant), *cells, better, "" if pd.isna(says) else says))
    header = (
        "Variant",
        *(f"{task} (points)" for task in _names(over)),
        f"{OVER_ALL} (points)",
        "Better seed (%)",
        "Verdict over all tasks",
    )
    notes = (differences_note(over), IMPROVEMENT_NOTE, verdict_note(over))
    return Grid(header, "l" * len(header), tuple(rows), (False,) * len(rows), notes, f"{LABEL}-compared")


def _names(over: OverTasks) -> list[str]:
    return [task.name for task in over.tasks]


def _by_task(over: OverTasks, variant: str) -> dict[str, dict[Hashable, Any]]:
    """The rows of a variant."""
    return {row["task"]: row for row in over.table[over.table["variant"] == variant].to_dict("records")}


def _cell(row: Mapping[Hashable, Any], *names: str, sign: str = "-") -> str:
    """An estimate with its limits, in percent; "" where it is missing."""
    value, low, high = (math.nan if pd.isna(row[name]) else float(row[name]) for name in names)
    return "" if math.isnan(value) else percent(value, low, high, 1, sign)


def meaning(over: OverTasks) -> str:
    """What the score is."""
    return "Score of a run: its success rate at the end of training, never at its best, from 0 to 100 %. " + " ".join(
        _scored(task) for task in over.tasks
    )


def _scored(task: Task) -> str:
    folder, success = task.data.folder, task.success
    if not folder.evaluated:
        return f"{task.name}: {success.tag} in training."
    of = f"{estimate_words(folder.evaluate.checkpoints)}, {task.episodes} episodes per seed"
    return f"{task.name}: {success.title} ({success.meaning}), {of}."


def differences_note(over: OverTasks) -> str:
    """What the differences are."""
    count = len(over.variants) - 1
    together = f"; the intervals of a column hold together with 95 % for all {count} variants (Bonferroni)"
    return (
        f"Differences to {over.label(str(over.baseline))}, in percentage points, with their 95 % interval for new "
        f"seeds on these tasks{together if count > 1 else ''}; columns are not corrected for each other."
    )


def verdict_note(over: OverTasks) -> str:
    """What the words of the verdict mean."""
    smallest = over.smallest_difference
    return (
        "Verdict, by the interval over all tasks: helps where it is above 0, hurts where it is below 0, "
        + (
            f"{DOES_NOT_HELP} where it is below {100 * smallest:.6g} points (evaluate.smallest_difference), "
            if smallest is not None
            else ""
        )
        + f"else: {CANNOT_TELL}. A variant can help over all tasks and hurt in one of them."
    )


def counts(over: OverTasks) -> list[str]:
    """How many seeds each task has, and which runs are missing."""
    sentences = []
    for task in over.tasks:
        seeds = {variant: len(task.scores.get(variant, ())) for variant in over.variants}
        same = len(set(seeds.values())) == 1
        said = (
            count_of(next(iter(seeds.values()))) + (" of each variant" if len(seeds) > 1 else "")
            if same
            else ", ".join(f"{over.label(variant)} {count_of(count)}" for variant, count in seeds.items())
        )
        sentences.append(f"{task.name}: {said}")
    missing = [
        f"{task.name}: {said}"
        for task in over.tasks
        for said in failure_sentences(task.data.folder, task.data.failures)
    ]
    missing += [f"{name}: no results, so there is nothing over all tasks." for name in over.absent]
    return ["; ".join(sentences) + ".", *missing]


def remarks(over: OverTasks) -> list[str]:
    """What else must be said of the numbers of single tasks."""
    return [
        f"{task.name}: {said}"
        for task in over.tasks
        for said in (*spread_sentences(task.data.folder, task.data.final), *task.data.folder.remarks)
    ]


def provenance(over: OverTasks) -> str:
    """Which runs made the table."""
    return " ".join(task.data.provenance for task in over.tasks)


def write_over_tasks(over: OverTasks) -> dict[str, Path]:
    """Write the table of several experiments into their folder, as CSV, Markdown, HTML and LaTeX.

    Returns:
        The files, by their endings.
    """
    table = over.folder / f"{OVER_TASKS}.csv"
    save_csv(table, over.table)
    return {"csv": table} | save(over.folder / OVER_TASKS, over_tasks_grids(over), provenance(over))
