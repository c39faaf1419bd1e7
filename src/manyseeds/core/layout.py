"""Names and places of files, each in one place."""

import re
from collections.abc import Iterator
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[3]
"""The checkout that this package is imported from; without meaning for an installed wheel."""
PACKAGE = Path(__file__).resolve().parents[1]
"""The installed package."""

# The folder of a run.
RUN_RECORD = "run.json"
"""What made the run, and the checksums of its files; written when the run has ended."""
JOURNAL = "journal.json"
"""When the run began, how often it was resumed and what was noted, from its first start on."""
CODE_DIFF = "code.diff"
"""What had changed since the commit when the run began."""
ANEW = ".anew"
"""Holds the reason why the run is to be trained anew; the next start moves what is there aside and removes it."""
RUN_CONFIG = "run_config.json"
"""What `manyseeds train --run` reads."""
LOCK = ".lock"
EVENT_FILE = "events.out.tfevents.manyseeds"
"""TensorBoard finds it by `tfevents`."""
PARAMS = ("params/agent.yaml", "params/env.yaml")
NEXT_STATE = "state.next.pt"
STATE = "state.pt"
PREVIOUS_STATE = "state.previous.pt"
STATES = (NEXT_STATE, STATE, PREVIOUS_STATE)
"""The names a state can have, the newest first; the first is there only when a kill left it."""
SUPERSEDED = "superseded"
"""Files that a run could not continue are in `superseded_<n>`."""
SUPERSEDED_EVENTS = "superseded.events"
"""The event file's name there: TensorBoard, which looks for `tfevents`, must not show its steps a second time."""
LOGGERS_ACCOUNT = "loggers.json"
"""To which experiment trackers the run is sent, and how far."""
LOGGERS_LOCK = ".loggers.lock"
"""Held by the process that sends it."""
SCALARS = "scalars.csv"
SCALARS_ACCOUNT = "scalars.json"
EPISODES = "episodes.csv"
CHECKPOINTS = "checkpoints.csv"
"""Rates of checkpoints whose single episodes are not known: a row a checkpoint."""
FACTORS = "factors.csv"
"""How the last checkpoint does under each condition of `evaluate.factors`: a row a condition."""
VIDEOS = "videos"
EXTERNAL_WORK = "work"
"""Where an external trainer runs, below the run's folder."""

# The folder of an experiment.
RESULTS = "results"
CONFIG = "config.json"
COMPARED = "compared"
"""The key of config.json that only `manyseeds compare` writes."""
LEDGER = "ledger.json"
"""Every plan of the experiment, with the time from which it held."""
LEDGER_COPY = ".ledger.json"
LEARNING_CURVES = "learning_curves.csv"
FIGURES = "figures"
FILM = "policy.gif"
"""In a variant's folder."""
FILM_PAGE = "policy.html"
FAILURES_FILM = "failures.gif"
"""In a variant's folder: what its worst seed fails at, above what it succeeds in."""
SEEDS_FILM = "seeds.gif"
"""In a variant's folder: all its seeds on the same episode."""
FILMED = "failures.json"
"""In a variant's folder: what the two films show and why."""
REPORT = "report.html"
BENCHMARK = "benchmark.json"
"""In the folder of a benchmark, which holds a folder per task: the names of the tasks in their order."""
OVER_TASKS = "over_tasks"
"""How the files there begin that are over all tasks."""
CAPTIONS = "captions.json"
"""In the folder of the figures: their captions by name."""
FILE_ENDINGS = (".csv", ".gif", ".html", ".json", ".log", ".md", ".pdf", ".png", ".rst", ".svg", ".tex", ".tsv", ".txt")
"""How files next to the variants' folders end, in the results and in the logs; no variant's name ends so."""
PUBLISHED = "published.json"
"""In a published copy: the checksums of the files that `manyseeds publish` cut."""
MANIFEST = "manifest.json"
"""`<step>.manifest.json`: the checksums of what a step made, and of what it was made from."""
NOT_SHIPPED = "not_shipped.txt"
"""The outputs that a published copy lacks, a path a line."""


def decision_name(rung: int | str) -> str:
    """Return the name of the file in an experiment's folder that says who goes on from a rung of its race."""
    return f"race_{rung}.json"


def score_name(rung: int) -> str:
    """Return the name of the file in a run's folder that says how it did at a rung of the race."""
    return f"rung_{rung}.json"


SEED_FOLDER = re.compile(r"seed_(\d+)")
"""The name of a run's folder; no variant has such a name."""


def run_folder(variant: str, seed: int | str) -> str:
    """Return the folder of a run below its experiment's."""
    return f"{variant}/seed_{seed}"


def has_begun(folder: Path) -> bool:
    """Return whether a run has begun in a folder."""
    return any((folder / name).is_file() for name in (RUN_RECORD, JOURNAL))


def folders_below(folder: Path, above: frozenset[Path] = frozenset()) -> Iterator[Path]:
    """Yield all folders below a folder but those within runs; links are followed, but not in circles."""
    if has_begun(folder):
        return
    above |= {folder.resolve()}
    for path in folder.iterdir():
        if path.is_dir() and path.resolve() not in above:
            yield path
            if not SEED_FOLDER.fullmatch(path.name):
                yield from folders_below(path, above)


def checkpoint_name(iteration: int | str) -> str:
    """Return the name of the checkpoint after `iteration` completed iterations."""
    return f"model_{iteration}.pt"


def checkpoints(folder: Path) -> dict[int, Path]:
    """Return a folder's checkpoints by completed iterations, in that order."""
    found = {
        int(match[1]): path
        for path in folder.glob("model_*.pt")
        if (match := re.fullmatch(r"model_(\d+)\.pt", path.name))
    }
    return dict(sorted(found.items()))


def checkpoint_iterations(max_iterations: int, save_interval: int) -> list[int]:
    """Return the iterations that leave a checkpoint: every `save_interval`-th and the last."""
    return [*range(save_interval, max_iterations, save_interval), max_iterations]


def dump_name(iteration: int | str) -> str:
    """Return the name of the dump of a divergence in `iteration`."""
    return f"diverged_{iteration}.pt"
