"""The command line: `manyseeds VERB ...`."""

import importlib
import sys
from collections.abc import Sequence

VERBS = {
    "config": ("workflow.check", "check an experiment file and print what it resolves to"),
    "train": ("runs.command", "train one policy"),
    "launch": ("launch.run", "train one run of an experiment, as the workflow does"),
    "evaluate": ("evaluation.evaluate", "play the fixed episodes with every checkpoint of a run"),
    "film": ("evaluation.film", "film a policy"),
    "export": ("evaluation.export", "export a policy to ONNX"),
    "scalars": ("eventfiles.command", "turn the event files of a run into CSV"),
    "curves": ("analysis.command", "turn the scalars of several seeds into learning curves"),
    "tables": ("report.tables.write", "write the success-rate tables of an experiment"),
    "figures": ("report.figures.draw", "draw the figures of an experiment"),
    "pages": ("report.pages.write", "write the HTML pages of an experiment"),
    "status": ("launch.status", "show a line per run"),
    "verify": ("audit.verify", "check that results are what their runs left"),
    "replay": ("audit.replay", "compute a divergence again"),
    "gpus": ("gpus.show", "show the GPUs and which run has which"),
    "tasks": ("tasks.show", "list the tasks"),
    "film-page": ("report.pages.animation", "put a film into an HTML page"),
    "usd": ("simulators.isaaclab.assets", "convert a task's MJCF to USD"),
    "tidy": ("launch.tidy", "remove the training states of finished runs"),
}
"""The module behind each verb, below `manyseeds`, and what the verb does. Its `main` takes the verb's arguments."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run a verb; return its exit code, or 2 for an unknown verb."""
    verb, *arguments = (sys.argv[1:] if argv is None else list(argv)) or ["--help"]
    if verb in ("-h", "--help"):
        print(usage())
        return 0
    if verb not in VERBS:
        print(f"error: 'manyseeds {verb}' is unknown; the verbs are {', '.join(VERBS)}", file=sys.stderr)
        return 2
    # Only the verb's own module is imported: most verbs need neither torch nor a simulator.
    return int(importlib.import_module(f"manyseeds.{VERBS[verb][0]}").main(arguments))


def usage() -> str:
    """Return the help text: a line a verb."""
    lines = [f"  {verb:10} {summary}" for verb, (_, summary) in VERBS.items()]
    return "\n".join(["usage: manyseeds VERB ...", "", *lines, "", "`manyseeds VERB --help` explains a verb."])
