"""The first iterations of a recorded run, trained again and compared with what the run left."""

import math
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from manyseeds.config.settings import OURS, RunConfig
from manyseeds.core import record as provenance
from manyseeds.core.errors import UserError
from manyseeds.core.files import sha256
from manyseeds.core.layout import CODE_DIFF, EVENT_FILE, RUN_RECORD, SCALARS, checkpoints
from manyseeds.learning import foreign

WALL_CLOCK = "Perf/"
"""Scalars that measure time begin so; they are never the same twice."""

Scalars = dict[tuple[int, str], float]


@dataclass(frozen=True)
class Repetition:
    """How the repeated iterations compare with the recorded ones.

    Attributes:
        notes: sentences on what was other when the run was made: code, packages, Python, processor.
        scalars: how many scalars were compared.
        checkpoints: names of the checkpoints that were compared.
        difference: the first difference as a sentence; None when there is none.
    """

    notes: tuple[str, ...]
    scalars: int
    checkpoints: tuple[str, ...]
    difference: str | None


def repeat(folder: Path, iterations: int, threads: int = 0) -> Repetition:
    """Train the first iterations of a run afresh, in a temporary folder, and compare scalars and parameters.

    Args:
        folder: the run's folder, with run.json and the event file or scalars.csv.
        iterations: how many.
        threads: CPU threads, which do not change the results; 0 means all.

    Raises:
        UserError: when the record is damaged, the run has fewer iterations, or nothing is left to compare with.
    """
    from manyseeds.learning.runner import DivergedError
    from manyseeds.runs.train import train

    record = provenance.read_record(folder / RUN_RECORD)
    recorded = _recorded_scalars(folder, record, iterations)
    notes = tuple(_what_changed(record))
    with tempfile.TemporaryDirectory(prefix="repetition_") as temporary:
        again = Path(temporary) / "run"
        try:
            train(_shortened(folder, record, iterations, threads, again))
        except DivergedError as error:
            return Repetition(notes, 0, (), f"{error}, which did not happen in the recorded run")
        found = _scalars_of_events(again / EVENT_FILE, iterations)
        if not (folder / EVENT_FILE).is_file():
            steps = {step for step, _ in recorded}
            found = {(step, tag): value for (step, tag), value in found.items() if step in steps}
        compared = {path.name: path for path in checkpoints(again).values() if path.name in record["outputs"]}
        difference = _first_scalar_difference(recorded, found)
        for name, path in compared.items():
            difference = difference or _checkpoint_difference(path, folder / name, record["outputs"][name])
    return Repetition(notes, len(found), tuple(compared), difference)


def _shortened(folder: Path, record: Mapping[str, Any], iterations: int, threads: int, log_dir: Path) -> RunConfig:
    """Return the recorded run with fewer iterations, in another folder."""
    path = folder / RUN_RECORD
    try:
        config = dict(record["config"])
        if config["trainer"] != OURS:
            raise UserError(f"{path}: the run was trained by {config['trainer']!r}; only {OURS}' runs are repeated")
        if config.get("ranks", 1) > 1:
            raise UserError(f"{path}: the run was trained on {config['ranks']} GPUs; only runs of one are repeated")
        total = config["train"]["max_iterations"]
        if not 1 <= iterations <= total:
            raise UserError(
                f"--repeat is {iterations}; it must be at least 1 and at most {total}, as many as the run has"
            )
        foreign.check(config["agent"], config["task"], str(path))
        changed = {"max_iterations": iterations, "state_interval": iterations, "threads": threads or "auto"}
        changed |= {"init_from": record["init_from"]} if "init_digest" in config else {}
        return RunConfig.model_validate(
            config | {"train": config["train"] | changed, "agent_file": f"of {path}", "log_dir": log_dir}
        )
    except (KeyError, TypeError, ValidationError) as error:
        raise UserError(f"{path} does not say how the run was trained: {str(error).splitlines()[0]!r}") from error


def _recorded_scalars(folder: Path, record: Mapping[str, Any], iterations: int) -> Scalars:
    """Return what the run logged: from its event file, or else from the table made of it.

    The table of a published copy may lack iterations.
    """
    from manyseeds.eventfiles.table import read_table

    events, table = folder / EVENT_FILE, folder / SCALARS
    if events.is_file():
        return _scalars_of_events(events, iterations)
    if table.is_file():
        if scalars := _scalars_of_table(read_table(table), iterations):
            return scalars
        raise UserError(f"{table} has none of the first {iterations} iterations; repeat more")
    raise UserError(f"{folder} holds neither {EVENT_FILE} nor {SCALARS} to compare with")


def _scalars_of_events(path: Path, iterations: int) -> Scalars:
    from manyseeds.eventfiles.log import read_log
    from manyseeds.eventfiles.table import to_table

    return _scalars_of_table(to_table(read_log(path)), iterations)


def _scalars_of_table(table: Any, iterations: int) -> Scalars:
    """Return the values, float32, by iteration and tag; without those that measure time."""
    columns = table.to_pydict()
    steps = columns.pop("iteration")
    return {
        (step, tag): value
        for tag, values in columns.items()
        if not tag.startswith(WALL_CLOCK)
        for step, value in zip(steps, values, strict=True)
        if value is not None and step <= iterations
    }


def _first_scalar_difference(recorded: Scalars, found: Scalars) -> str | None:
    for step, tag in sorted(recorded.keys() | found.keys()):
        was, now = recorded.get((step, tag)), found.get((step, tag))
        both_nan = was is not None and now is not None and math.isnan(was) and math.isnan(now)
        if was != now and not both_nan:
            return f"{tag} of iteration {step} was {_shown(was)} and is {_shown(now)}"
    return None


def _checkpoint_difference(path: Path, recorded: Path, checksum: str) -> str | None:
    """Compare by the checksum in the record; where it differs, by the parameters, if the file is there."""
    import torch

    from manyseeds.learning.checkpoint import load_checkpoint

    if sha256(path) == checksum:
        return None
    if not recorded.is_file():
        return f"{recorded.name} has another checksum, and the recorded file is not here to say where it differs"
    was, now = load_checkpoint(recorded), load_checkpoint(path)
    for part in ("actor_state_dict", "learning_actor_state_dict", "critic_state_dict"):
        before, after = was.get(part, {}), now.get(part, {})
        for name in before.keys() | after.keys():
            old, new = before.get(name), after.get(name)
            if old is None or new is None or old.shape != new.shape:
                return f"{recorded.name}: {part}.{name} has another shape"
            if not torch.equal(old, new):
                largest = (old.double() - new.double()).abs().max().item()
                return f"{recorded.name}: {part}.{name} differs by up to {largest:.3g}"
    return None


def _what_changed(record: Mapping[str, Any]) -> list[str]:
    """Say what is other now than when the run was made and may change its bits."""
    now = provenance.collect()
    pairs: dict[str, tuple[Any, Any]] = {"the code": (_code(record.get("code")), _code(now["code"]))}
    packages = record.get("packages") or {}
    for name in sorted(packages or now["packages"]):
        pairs[name] = (packages.get(name), now["packages"].get(name))
    pairs["Python"] = (record.get("python"), now["python"])
    pairs["the processor"] = ((record.get("hardware") or {}).get("cpu"), now["hardware"]["cpu"])
    notes = [f"{name} was {was} and is {is_now}" for name, (was, is_now) in pairs.items() if was != is_now]
    if (record.get("code") or {}).get("dirty"):
        where = f"{CODE_DIFF} has those of src" if CODE_DIFF in record["outputs"] else "which are not recorded"
        notes.append(f"the code had changes after its commit when the run was made; {where}")
    return notes


def _code(code: Mapping[str, Any] | None) -> str:
    code = code or {}
    return f"{code.get('commit') or code.get('version')}{' with changes' if code.get('dirty') else ''}"


def _shown(value: float | None) -> str:
    return "not logged" if value is None else f"{value:.9g}"
