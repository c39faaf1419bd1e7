"""How well a last checkpoint does when numbers of the task change, one at a time and all together: a row for each."""

import csv
import json
import multiprocessing
import pickle
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

from manyseeds.config.conditions import Condition, conditions
from manyseeds.config.errors import problems
from manyseeds.config.settings import EvaluateSettings
from manyseeds.core.description import RETURN
from manyseeds.core.errors import UserError
from manyseeds.core.files import write_atomic
from manyseeds.core.record import recorded_checkpoints
from manyseeds.core.simulators import SIMULATORS
from manyseeds.evaluation.evaluate import (
    Episodes,
    code_of,
    evaluate_run,
    evaluation_parser,
    json_object,
    read_flags,
    record,
    seconds,
    shares_in_words,
)
from manyseeds.tasks import registry
from manyseeds.tasks.code import check_task


def evaluate_factors(
    run_dir: Path, factors: Mapping[str, Sequence[Any]], *, overrides: Mapping[str, Any] | None = None, **how: Any
) -> Iterator[tuple[Condition, Episodes]]:
    """Play the same episodes with a run's last checkpoint under each of `manyseeds.config.conditions`.

    Args:
        run_dir: the run's folder.
        factors: the levels of each number of the task.
        overrides: numbers of the task that the evaluation changes under every condition; a level replaces them.
        **how: `episodes`, `seed`, `threads`, `simulator` and `device` of `evaluate_run`.

    Raises:
        UserError: as `evaluate_run`, and for a level that the task does not allow.
    """
    from manyseeds.learning.policy import read_params
    from manyseeds.tasks.base import configure

    last, params = max(recorded_checkpoints(run_dir)), read_params(run_dir)
    check_task(run_dir, params.env["task"])
    task = registry.load(params.env["task"])
    played = [(condition, {**(overrides or {}), **condition.overrides}) for condition in conditions(factors)]
    for condition, numbers in played:
        configure(task, {**params.env["task_cfg"], **numbers}, f"{run_dir}: {condition.name}")
    row = SIMULATORS.get(how.get("simulator") or params.env["simulator"])
    play = _play_apart if row and row.one_a_process else _play
    for condition, numbers in played:
        yield condition, play(run_dir, {**how, "overrides": numbers, "only": last})


def _play(run_dir: Path, how: Mapping[str, Any]) -> Episodes:
    [result] = evaluate_run(run_dir, **how)
    return result


def _play_apart(run_dir: Path, how: Mapping[str, Any]) -> Episodes:
    """Play in a process of its own, since each condition needs another simulation."""
    from manyseeds.simulators import NonFiniteError

    with ProcessPoolExecutor(1, multiprocessing.get_context("fork")) as pool:
        result: Episodes | tuple[str, int] = pickle.loads(pool.submit(_played, run_dir, how).result())
    if isinstance(result, tuple):
        raise NonFiniteError(*result)
    return result


def _played(run_dir: Path, how: Mapping[str, Any]) -> bytes:
    from manyseeds.simulators import NonFiniteError

    # As bytes, because PyTorch would leave tensors in shared memory that ends with this process.
    try:
        return pickle.dumps(_play(run_dir, how))
    except NonFiniteError as error:
        return pickle.dumps((error.term, error.env_index))


def row_of(condition: Condition, result: Episodes) -> dict[str, Any]:
    """Sum up the episodes under a condition.

    Returns:
        `condition`, `factor`, `value` (JSON; empty where no single number changes), `iteration`, `episodes`, and by
        outcome: `<share>`, how many episodes have it; `<measure>_mean` over the episodes that have one, and
        `<measure>_episodes`, how many these are; `return_mean`.
    """
    row = {
        "condition": condition.name,
        "factor": condition.factor,
        "value": json.dumps(condition.value) if condition.factor else "",
        "iteration": result.iteration,
        "episodes": len(result.total_reward),
    }
    for outcome in result.description.outcomes:
        numbers = result.outcomes[outcome.name].double()
        if outcome.kind == "share":
            row[outcome.name] = int(numbers.sum().item())
        else:
            present = int((~numbers.isnan()).sum().item())
            row[f"{outcome.name}_mean"] = f"{numbers.nanmean().item():.9g}" if present else ""
            row[f"{outcome.name}_episodes"] = present
    return row | {f"{RETURN.name}_mean": f"{result.total_reward.mean().item():.9g}"}


def write_factors(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write one row per condition, whole or not at all."""
    with write_atomic(path) as partial, partial.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def main(argv: Sequence[str] | None = None) -> int:
    """Evaluate a run under factors; return 0, or 1 when the simulator fails."""
    from manyseeds.simulators import NonFiniteError

    example = "--output factors.csv --factors '{\"success_distance\": [0.02]}'"
    parser = evaluation_parser("evaluate-factors", __doc__, example)
    parser.add_argument(
        "--factors",
        required=True,
        help="numbers of the task and their values, as JSON: '{\"NAME\": [VALUE, ...]}'; a range is a list in the list",
    )
    args = read_flags(parser, argv)
    factors = _factors(args.factors)
    named, code, start = conditions(factors), code_of(args, factors=True), time.perf_counter()
    rows: list[dict[str, Any]] = []
    try:
        for condition, result in evaluate_factors(args.run_dir, factors, **args.how):
            rows.append(row_of(condition, result))
            print(
                f"[{len(rows)}/{len(named)}] {condition.name}: {shares_in_words(result)} ({seconds(start)})", flush=True
            )
    except NonFiniteError as error:
        print(f"error: {args.run_dir}: {error} in the evaluation with {named[len(rows)].name}.", file=sys.stderr)
        return 1
    write_factors(args.output, rows)
    [last] = {row["iteration"] for row in rows}
    record(
        args, "evaluate-factors", args.output.stem, [recorded_checkpoints(args.run_dir)[last]], code, factors=factors
    )
    return 0


def _factors(text: str) -> dict[str, Any]:
    """Return the factors that the flag holds.

    Raises:
        UserError: when they are not numbers of a task with at least one value each, or none.
    """
    factors = json_object("--factors", text, "numbers of the task and their values")
    found = problems(EvaluateSettings, {"factors": factors}, name=lambda path: ".".join(("--factors", *path[1:])))
    if not factors:
        found = [f"--factors is {text}; it must name at least one number of the task"]
    if found:
        raise UserError(f"{found[0]}.")
    return factors
