"""The command line: `manyseeds VERB ...`."""

import importlib
import sys
from collections.abc import Sequence
from difflib import get_close_matches

from manyseeds import __version__
from manyseeds.core.errors import UserError
from manyseeds.core.failures import guarded

GROUPS = {
    "train and judge": {
        "train": ("runs.command", "train one policy"),
        "evaluate": ("evaluation.evaluate", "play the same episodes with every checkpoint of a run"),
        "evaluate-factors": (
            "evaluation.factors",
            "play them with the last checkpoint while numbers of the task change",
        ),
        "film": ("evaluation.film", "film a policy"),
        "film-failures": ("evaluation.failures", "film what a variant fails at, and all its seeds on one episode"),
        "play": ("evaluation.player.command", "play a policy in a browser or a window"),
        "export": ("evaluation.export", "export a policy to ONNX or TorchScript, or as a folder for a robot team"),
        "tasks": ("tasks.show", "list the tasks"),
    },
    "report": {
        "compare": ("compare.command", "compare finished runs of other programs"),
        "scalars": ("eventfiles.command", "turn the event files of a run into CSV"),
        "curves": ("analysis.command", "turn the scalars of several seeds into learning curves"),
        "tables": ("report.tables.write", "write the success-rate tables of an experiment"),
        "figures": ("report.figures.draw", "draw the figures of an experiment"),
        "pages": ("report.pages.write", "write the HTML pages of an experiment"),
        "report": ("report.pages.report", "write the report of an experiment: everything on one page"),
        "benchmark": ("report.benchmark", "write the table and the figure over all tasks of a benchmark"),
        "film-page": ("report.pages.animation", "put a GIF into an HTML page"),
    },
    "look after": {
        "config": ("workflow.check", "check an experiment file and print what it resolves to"),
        "forecast": ("workflow.forecast", "say how long an experiment takes here"),
        "status": ("launch.status", "show the progress of every run"),
        "gpus": ("gpus.show", "show which run has which GPU"),
        "verify": ("audit.verify", "check results against what their runs recorded"),
        "publish": ("audit.publish", "copy what is worth publishing of an experiment"),
        "replay": ("audit.replay", "compute a divergence again"),
        "sync": ("loggers.command", "send runs to Weights & Biases or MLflow"),
        "tidy": ("launch.tidy", "remove the training states of finished runs"),
        "completion": ("completion", "print what makes bash and zsh complete verbs and flags"),
    },
    "used by the workflow": {
        "launch": ("launch.run", "train one run of an experiment"),
        "rung": ("racing.rung", "train one run to a rung of the race, and play its episodes"),
        "race": ("racing.decide", "decide who goes on from a rung of the race"),
        "evaluate-external": ("launch.evaluate", "evaluate one run of an external trainer"),
        "usd": ("simulators.isaaclab.assets", "convert a task's MJCF to USD"),
    },
}
"""Verbs in groups: the module below `manyseeds` whose `main` takes the verb's arguments, and what the verb does."""

VERBS = {verb: module for verbs in GROUPS.values() for verb, (module, _) in verbs.items()}


def main(argv: Sequence[str] | None = None) -> int:
    """Run a verb; return its exit code, or 2 for an unknown verb."""
    verb, *arguments = (sys.argv[1:] if argv is None else list(argv)) or ["--help"]
    if verb in ("-h", "--help", "help"):
        return guarded("manyseeds", _print_usage)
    if verb == "--version":
        print(f"manyseeds {__version__}")
        return 0
    if verb not in VERBS:
        close = get_close_matches(verb, VERBS, n=1)
        hint = f"did you mean 'manyseeds {close[0]}'?" if close else "`manyseeds --help` lists the verbs."
        print(f"error: 'manyseeds {verb}' is unknown; {hint}", file=sys.stderr)
        return 2
    # Only the verb's own module is imported: most verbs need neither torch nor a simulator.
    return guarded(f"manyseeds {verb}", lambda: _run(verb, arguments))


def _run(verb: str, arguments: Sequence[str]) -> int:
    try:
        return int(importlib.import_module(f"manyseeds.{VERBS[verb]}").main(arguments))
    except Exception as error:
        registry = sys.modules.get("manyseeds.tasks.registry")
        if registry and not isinstance(error, UserError) and (sentence := registry.mistake(error)):
            raise UserError(sentence) from error
        raise


def _print_usage() -> int:
    print(usage())
    return 0


def usage() -> str:
    """Return the help text: a line a verb."""
    lines, width = ["usage: manyseeds VERB ..."], max(map(len, VERBS))
    for group, verbs in GROUPS.items():
        lines += ["", f"{group}:", *(f"  {verb:{width}}  {summary}" for verb, (_, summary) in verbs.items())]
    return "\n".join(
        [
            *lines,
            "",
            "`manyseeds VERB --help` explains a verb and shows an example; `manyseeds --version` says the version.",
        ]
    )
