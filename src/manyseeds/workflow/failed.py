"""What is left to do when runs have failed: tables and figures of the others, with the names of those that failed."""

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from manyseeds.config import Experiment
from manyseeds.core import python_path
from manyseeds.core.layout import (
    CONFIG,
    EPISODES,
    FACTORS,
    LEARNING_CURVES,
    RUN_RECORD,
    SCALARS,
    run_folder,
)
from manyseeds.workflow.trust import Findings


def report_the_others(experiment: Experiment, results: str, findings: Findings) -> list[str]:
    """Write tables, figures and pages of the runs that have ended.

    Args:
        experiment: the experiment.
        results: its folder.
        findings: what `manyseeds.workflow.trust.look` finds now.

    Returns:
        The names of the runs that are missing in them; empty where nothing was written.
    """
    runs = [run_folder(variant.name, seed) for variant in experiment.variants for seed in experiment.seeds]
    needed = [SCALARS, *([EPISODES] if experiment.trainer.evaluates else [])]
    for run in runs:
        # Tables name the runs that lack the evaluation under factors.
        _remove_outdated(Path(results, run), [*needed, FACTORS], findings)
    missing = [run for run in runs if not all(Path(results, run, name).is_file() for name in needed)]
    if not missing or len(missing) == len(runs):
        return []
    one, many = f"{results}: {missing[0]} failed", f"{results}: {len(missing)} runs failed ({', '.join(missing)})"
    print(
        f"{one if len(missing) == 1 else many}; writing tables and figures of the other {len(runs) - len(missing)}",
        file=sys.stderr,
    )
    curves = ("curves", "--config", f"{results}/{CONFIG}", "--output", f"{results}/{LEARNING_CURVES}")
    for verb in ((*curves, "--allow-missing"), *((name, results) for name in ("tables", "figures", "pages", "report"))):
        if call_verb(verb):
            break
    return missing


def _remove_outdated(folder: Path, names: Sequence[str], findings: Findings) -> None:
    """Remove files of an earlier run that the next invocation would make again: they are none of this run's results."""
    ended = (folder / RUN_RECORD).is_file()
    for name in names:
        if not ended or str(folder / name) in findings.again:
            (folder / name).unlink(missing_ok=True)


def call_verb(arguments: Sequence[str]) -> int:
    """Call a verb with the code of this checkout; return its exit code."""
    command = [sys.executable, "-m", "manyseeds", *arguments]
    return subprocess.run(command, env=os.environ | {"PYTHONPATH": python_path.with_package()}, check=False).returncode
