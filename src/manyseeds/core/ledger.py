"""The ledger of an experiment, ledger.json: what was planned when, so that no batch of runs is forgotten.

A plan is what decides which numbers are reported: the seeds, how runs are evaluated and summarized, the race that stops
some early, and what was used for development. The workflow enters a plan before the first run starts under it, and
every run records the plan's hash.
"""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from manyseeds.core.errors import UserError
from manyseeds.core.files import parse_json, write_json
from manyseeds.core.layout import LEDGER, LEDGER_COPY
from manyseeds.core.text import now


def plan_of(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return the plan of a resolved experiment, given as `config.json` holds it."""
    race, evaluate = config.get("race"), config.get("evaluate", {})
    return {
        "variants": list(config["variants"]),
        "seeds": list(config["seeds"]),
        # A plan without these is the one that it was before they could be set.
        "evaluate": {
            key: value for key, value in evaluate.items() if key not in ("factors", "earlier_episodes") or value
        },
        **({"race": race} if race else {}),
        "development": config.get("development", {}),
    }


def plan_digest(plan: Mapping[str, Any]) -> str:
    """Return the SHA-256 of a plan, hexadecimal."""
    return hashlib.sha256(json.dumps(plan, sort_keys=True).encode()).hexdigest()


def enter(folder: Path, config: Mapping[str, Any]) -> str:
    """Add the plan of a resolved experiment to the ledger in its folder, unless it is the last one there.

    The ledger has a copy, since nothing else knows its plans: where one of the two is missing or damaged, the other
    restores it.

    Returns:
        What was restored, in a sentence; "" for nothing.

    Raises:
        UserError: when ledger and copy cannot be read.
    """
    path, copy = folder / LEDGER, folder / LEDGER_COPY
    (written, wrong), (copied, _) = _state(path), _state(copy)
    entries, restored = written, ""
    if copied and not written:
        entries, restored = copied, f"{wrong or f'{path} is missing'}; it is restored from its copy"
    elif wrong:
        raise UserError(f"{wrong}; move it and {LEDGER_COPY} away to begin a ledger without the earlier plans")
    plan = plan_of(config)
    digest = plan_digest(plan)
    if not entries or entries[-1]["plan"] != digest:
        entries = [*entries, {"plan": digest, "since": now(), **plan}]
    for place, content in ((copy, copied), (path, written)):
        if content != entries:
            write_json(place, {"plans": entries})
    return restored


def _state(path: Path) -> tuple[list[dict[str, Any]], str]:
    """Return the plans of a ledger, none where there is none or it is damaged, and what is wrong with it."""
    try:
        return _read(path), ""
    except UserError as error:
        return [], str(error)


def read(folder: Path) -> list[dict[str, Any]]:
    """Return the plans in the ledger of an experiment's folder, in the order of time; none without a ledger.

    Returns:
        Each with `plan` (its hash), `since`, and the keys of `plan_of`.

    Raises:
        UserError: when the ledger cannot be read, or an entry is not the plan that its hash says.
    """
    return _read(folder / LEDGER)


def _read(path: Path) -> list[dict[str, Any]]:
    if not path.is_file():
        return []
    try:
        entries = parse_json(path.read_text(encoding="utf-8"))["plans"]
        wrong = [entry for entry in entries if entry["plan"] != plan_digest(plan_of(entry))]
        _ = [entry["since"] for entry in entries]
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError(f"{path} is not a ledger: {error!r}") from error
    if wrong:
        raise UserError(f"{path}: the plan of {wrong[0]['since']} was changed after it was entered")
    return list(entries)
