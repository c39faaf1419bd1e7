"""MLflow, through its own client, at the server or store that MLFLOW_TRACKING_URI names."""

import os
import re
import tempfile
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

from manyseeds.core.locks import locked
from manyseeds.core.secrets import masked
from manyseeds.core.text import flatten
from manyseeds.loggers.rows import Row
from manyseeds.loggers.run import Run

T = TypeVar("T")

RUN_TAG, STEP_TAG = "manyseeds.run", "manyseeds.step"
"""Tags of a run there: our id of it, and the last iteration that it has."""
# Limits of MLflow's API.
MOST_METRICS = 1000
MOST_PARAMS = 100
LONGEST_VALUE = 6000
_NOT_IN_NAMES = re.compile(r"[^/\w.\- :]")
PATIENCE = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2", "MLFLOW_HTTP_REQUEST_TIMEOUT": "20"}
"""Environment variables of MLflow, whose own values wait for minutes on a server that is not there."""


class MlflowLogger:
    """One run in MLflow.

    Args:
        run: the run.
        must_send: without effect; nothing is kept offline.

    Attributes:
        offline: always "".
        url: where a person sees the run, where it is at a server.
    """

    def __init__(self, run: Run, must_send: bool) -> None:
        self._run = run
        self.offline = ""
        self.url: str | None = None

    def open(self) -> int:
        """Open the run; return the last iteration that is there, or -1.

        Raises:
            Exception: whatever the client raises.
        """
        for name, value in PATIENCE.items():
            os.environ.setdefault(name, value)
        from mlflow import MlflowClient

        # The first one makes the tables of a new database; two at once would both try.
        with locked(Path(tempfile.gettempdir()) / f"manyseeds-mlflow-{os.getuid()}.lock", wait=lambda: None):
            self._client = MlflowClient()
            experiment = self._experiment()
            run = self._found(experiment) or self._made(experiment)
        self._id = run.info.run_id
        uri = self._client.tracking_uri
        if uri.startswith("http"):
            self.url = masked(f"{uri.rstrip('/')}/#/experiments/{experiment}/runs/{self._id}")
        if run.info.status != "RUNNING":
            self._client.update_run(self._id, status="RUNNING")
        return int(run.data.tags.get(STEP_TAG, -1))

    def _experiment(self) -> str:
        from mlflow.exceptions import MlflowException

        name = os.environ.get("MLFLOW_EXPERIMENT_NAME") or self._run.experiment
        if (found := self._client.get_experiment_by_name(name)) is not None:
            return str(found.experiment_id)
        try:
            return str(self._client.create_experiment(name))
        except MlflowException:
            if (found := self._client.get_experiment_by_name(name)) is None:
                raise
            return str(found.experiment_id)  # that another run has made meanwhile

    def _found(self, experiment: str) -> Any:
        [*found] = self._client.search_runs([experiment], f"tags.`{RUN_TAG}` = '{self._run.id}'", max_results=1)
        return found[0] if found else None

    def _made(self, experiment: str) -> Any:
        from mlflow.entities import Param

        run = self._run
        tags = {RUN_TAG: run.id, STEP_TAG: "-1", **({"variant": run.group} if run.group else {})}
        made = self._client.create_run(experiment, run_name=run.name, tags=tags)
        params = [Param(_name(key), str(value)[:LONGEST_VALUE]) for key, value in flatten(run.config).items()]
        for part in _parts(params, MOST_PARAMS):
            self._client.log_batch(made.info.run_id, params=part)
        return self._client.get_run(made.info.run_id)

    def send(self, rows: Sequence[Row]) -> None:
        """Send rows; a database drops those that it has."""
        from mlflow.entities import Metric, RunTag

        metrics = [
            Metric(_name(tag), value, int(row.time * 1000), row.step)
            for row in rows
            for tag, value in row.scalars.items()
        ]
        for part in _parts(metrics, MOST_METRICS):
            self._client.log_batch(self._id, metrics=part)
        if rows:  # after the metrics, so that it never promises what is not there
            self._client.log_batch(self._id, tags=[RunTag(STEP_TAG, str(rows[-1].step))])

    def close(self, finished: bool) -> None:
        """Say how the run ended.

        Args:
            finished: whether it has ended well; otherwise it shows as killed until it goes on.

        Raises:
            Exception: whatever the client raises.
        """
        self._client.set_terminated(self._id, status="FINISHED" if finished else "KILLED")

    def abandon(self) -> None:
        """Let go of a run after an error, so that it can be opened again."""


def _name(text: str) -> str:
    """Return a name as MLflow allows it."""
    return _NOT_IN_NAMES.sub("_", text)


def _parts(items: Sequence[T], size: int) -> Iterator[list[T]]:
    rest = iter(items)
    while part := list(islice(rest, size)):
        yield part
