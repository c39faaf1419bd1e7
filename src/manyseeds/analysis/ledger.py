"""What the ledger of an experiment says of the reported runs: earlier plans, and runs that are not reported."""

import json
from collections.abc import Iterator, Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

from manyseeds.analysis.results import ResultsFolder, Run
from manyseeds.core import ledger
from manyseeds.core.files import parse_json
from manyseeds.core.layout import EVENT_FILE, JOURNAL, RUN_CONFIG, RUN_RECORD, run_folder


def accounts(folder: ResultsFolder) -> list[str]:
    """Sentences that account for every plan and every planned run; none without a ledger.

    Raises:
        UserError: when the ledger cannot be read.
    """
    plans = ledger.read(folder.folder)
    if not plans:
        return []
    current = plans[-1]
    race = "race, " if current.get("race") else ""
    sentences = [f"The plan (seeds, evaluation, {race}development) holds since {current['since']}."]
    for before, after in pairwise(plans):
        sentences.append(f"It was changed on {after['since']}: {'; '.join(_changes(before, after))}.")
    if unreported := list(_unreported(folder, plans)):
        sentences.append(f"Runs of earlier plans that are not reported: {'; '.join(unreported)}.")
    if otherwise := [_name(run) for run in folder.runs if _plan(run) not in ("", current["plan"])]:
        sentences.append(f"Started before the present plan: {', '.join(otherwise)}.")
    return sentences


def _changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[str]:
    """What one plan changed of the one before."""
    for key in ("variants", "seeds"):
        added = [str(item) for item in after[key] if item not in before[key]]
        removed = [str(item) for item in before[key] if item not in after[key]]
        if added:
            yield f"{key} {', '.join(added)} added"
        if removed:
            yield f"{key} {', '.join(removed)} removed"
    for key in ("evaluate", "race", "development"):
        old, new = before.get(key, {}), after.get(key, {})
        for name in (name for name in {**old, **new} if old.get(name) != new.get(name)):
            yield f"{key}.{name} from {json.dumps(old.get(name))} to {json.dumps(new.get(name))}"


def _unreported(folder: ResultsFolder, plans: list[dict[str, Any]]) -> Iterator[str]:
    """The runs that an earlier plan named and the present one does not, with what became of them."""
    current = {(variant, seed) for variant in plans[-1]["variants"] for seed in plans[-1]["seeds"]}
    planned = [(variant, seed) for plan in plans[:-1] for variant in plan["variants"] for seed in plan["seeds"]]
    for variant, seed in dict.fromkeys(planned):
        if (variant, seed) not in current:
            yield f"{variant} seed {seed} {state(folder.folder / run_folder(variant, seed))}"


def state(run: Path) -> str:
    """What became of a run, by the files in its folder."""
    if any(run.glob("diverged_*.pt")):
        return "diverged"
    if (run / RUN_RECORD).is_file():
        return "finished"
    begun = (run / JOURNAL, run / RUN_CONFIG, run / EVENT_FILE)
    return "was stopped" if any(path.is_file() for path in begun) else "left nothing"


def _plan(run: Run) -> str:
    """The hash of the plan that a run was started under; "" where its record has none."""
    try:
        return str(parse_json((run.folder / RUN_RECORD).read_text(encoding="utf-8")).get("plan", ""))
    except (OSError, ValueError, AttributeError):
        return ""


def _name(run: Run) -> str:
    return f"{run.variant} seed {run.seed}"
