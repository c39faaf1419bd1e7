"""loggers.json in a run's folder: to which trackers the run is sent, and how far."""

from typing import Any

from manyseeds.core.files import parse_json, write_json
from manyseeds.core.layout import LOGGERS_ACCOUNT
from manyseeds.loggers.run import Run


def read_account(run: Run) -> dict[str, dict[str, Any]]:
    """Return by tracker `sent`, the last iteration that it is known to have (-1: none), and `url` where it has one.

    Empty if the run was sent nowhere, or if the file belongs to an earlier run in the folder.
    """
    try:
        content = parse_json((run.folder / LOGGERS_ACCOUNT).read_text(encoding="utf-8"))
        return dict(content["loggers"]) if content["id"] == run.id else {}
    except (OSError, ValueError, KeyError, TypeError):
        return {}


def write_account(run: Run, name: str, sent: int, url: str | None) -> None:
    """Write how far one tracker is.

    Args:
        run: the run.
        name: the tracker's.
        sent: the last iteration that it is known to have; -1 for none.
        url: where a person sees the run.

    Raises:
        StorageError: when the file cannot be written.
    """
    entry = {"sent": sent, **({"url": url} if url else {})}
    write_json(run.folder / LOGGERS_ACCOUNT, {"id": run.id, "loggers": read_account(run) | {name: entry}})
