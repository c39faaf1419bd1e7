"""As much of a Weights & Biases server as its client needs to begin, continue and finish runs."""

import gzip
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

KEY = "0123456789abcdef0123456789abcdef01234567"
ENTITY = {"id": "e", "name": "lab"}


@dataclass
class Stored:
    """A run on the server.

    Attributes:
        lines: of its history, as they were sent.
        names: project, group and name.
        config: as JSON text.
        exits: the exit codes with which it ended.
    """

    lines: list[str] = field(default_factory=list)
    names: tuple[Any, ...] = ()
    config: str = "{}"
    exits: list[int] = field(default_factory=list)

    @property
    def steps(self) -> list[int]:
        return [json.loads(line)["_step"] for line in self.lines]


@contextmanager
def wandb_server(monkeypatch) -> Iterator[dict[str, Stored]]:
    """Yield the runs, by id, of a server that this process and its children log to."""
    runs: dict[str, Stored] = {}

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: Any) -> None:
            pass

        def do_POST(self) -> None:
            body, place, answer = self._body(), self.path.split("/"), {}
            if place[-1] == "graphql":
                asked = json.loads(body)
                answer = {"data": _answer(runs, asked.get("operationName", ""), asked.get("variables") or {})}
            elif place[-1] == "file_stream":
                _store(runs[place[-2]], json.loads(body))
            self._reply(json.dumps(answer).encode())

        def do_PUT(self) -> None:
            self._body()
            self._reply(b"{}")

        do_GET = do_PUT  # noqa: N815

        def _body(self) -> bytes:
            if self.headers.get("Transfer-Encoding") == "chunked":
                data = b""
                while size := int(self.rfile.readline(), 16):
                    data += self.rfile.read(size)
                    self.rfile.readline()
                self.rfile.readline()
            else:
                data = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            return gzip.decompress(data) if self.headers.get("Content-Encoding") == "gzip" else data

        def _reply(self, data: bytes) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setenv("WANDB_BASE_URL", f"http://127.0.0.1:{server.server_port}")
    monkeypatch.setenv("WANDB_API_KEY", KEY)
    monkeypatch.delenv("WANDB_MODE", raising=False)
    try:
        yield runs
    finally:
        server.shutdown()
        server.server_close()


def _answer(runs: dict[str, Stored], operation: str, given: dict[str, Any]) -> Any:
    if operation == "RunResumeStatus":
        run = runs.get(given["name"])
        return {"model": {"id": "p", "name": given["project"], "entity": ENTITY, "bucket": run and _status(given, run)}}
    if operation == "UpsertBucket":
        is_new = given["name"] not in runs
        run = runs.setdefault(given["name"], Stored())
        if given["displayName"]:
            run.names = (given["project"], given["groupName"], given["displayName"])
        run.config = given["config"] or run.config
        project = {"id": "p", "name": given["project"], "entity": ENTITY}
        bucket = {
            "id": given["name"],
            "name": given["name"],
            "displayName": run.names[2],
            "config": run.config,
            "project": project,
            "historyLineCount": len(run.lines),
        }
        return {"upsertBucket": {"bucket": bucket, "inserted": is_new}}
    if operation == "CreateRunFiles":
        return {"createRunFiles": {"runID": given["run"], "uploadHeaders": [], "files": []}}
    if operation.startswith("Organization"):
        return {"entity": {"organization": {"coreWeaveOrganizationId": None}}}
    if operation == "ServerFeaturesQuery":
        return {"serverInfo": {"features": []}}
    return {}


def _status(given: dict[str, Any], run: Stored) -> dict[str, Any]:
    return {
        "id": given["name"],
        "name": given["name"],
        "summaryMetrics": "{}",
        "displayName": run.names[2],
        "logLineCount": 0,
        "historyLineCount": len(run.lines),
        "eventsLineCount": 0,
        "historyTail": json.dumps(run.lines[-1:]),
        "eventsTail": "[]",
        "config": run.config,
        "tags": [],
        "notes": None,
        "wandbConfig": '{"t": 1}',
    }


def _store(run: Stored, body: dict[str, Any]) -> None:
    history = body.get("files", {}).get("wandb-history.jsonl", {})
    content = history.get("content", [])
    if content:
        run.lines[history["offset"] : history["offset"] + len(content)] = content
    if body.get("complete"):
        run.exits.append(body["exitcode"])
