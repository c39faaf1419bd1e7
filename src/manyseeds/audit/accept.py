"""Accept today's code for finished runs: their policies may be played, filmed and evaluated with it."""

from pathlib import Path

from manyseeds.config.settings import OURS
from manyseeds.core.errors import UserError
from manyseeds.core.layout import RUN_RECORD
from manyseeds.core.record import accept_code, other_code, read_record
from manyseeds.tasks.code import training_code


def accept(run: Path, repeated: int | None = None) -> list[str]:
    """Write into a run's record that its results are accepted as those of today's code, if that is another.

    Args:
        run: the run's folder, with run.json.
        repeated: how many iterations were repeated with today's code and are identical; None when none were.

    Returns:
        What of the code has changed since the run began; empty where nothing has, or where it was accepted before.

    Raises:
        UserError: when the record is damaged, an external trainer made the run, or its task is not here.
    """
    config = read_record(run / RUN_RECORD).get("config")
    if not isinstance(config, dict) or not isinstance(config.get("task"), str):
        raise UserError(f"{run / RUN_RECORD} does not say how the run was trained")
    if config.get("trainer") != OURS:
        raise UserError(
            f"{run / RUN_RECORD}: the run was trained by {config.get('trainer')!r}; only {OURS}' runs are accepted here"
            " (others: changed_code: accept in the config)"
        )
    code = training_code(config["task"], str(config.get("simulator")))
    changes = other_code(run, code)
    if changes == []:
        return []
    evidence = f", whose first {repeated} iterations are identical" if repeated else ""
    accept_code(run, code, f"accepted by manyseeds verify --accept{evidence}")
    return changes or ["the code is not recorded"]
