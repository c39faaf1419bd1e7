"""Jobs of an earlier Snakemake that are still in Slurm's queue."""

import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any


def queued(folder: Path) -> dict[str, str]:
    """Return the ids of this user's jobs from a working directory, by the comment that names rule and wildcards.

    A killed Snakemake leaves its jobs in the queue, and they continue. A new job for the same run must not take a GPU
    only to wait for the old job's lock.

    Args:
        folder: the working directory.
    """
    command = ["squeue", "--me", "--noheader", "--states=PENDING,RUNNING,SUSPENDED,CONFIGURING", "--format=%i|%Z|%k"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, errors="replace", timeout=60, check=True)
    except (OSError, subprocess.SubprocessError):
        return {}
    rows = [line.split("|", 2) for line in done.stdout.splitlines()]
    return {row[2]: row[0] for row in rows if len(row) == 3 and Path(row[1]) == folder}


def after_queued(rule: str, jobs: Mapping[str, str]) -> dict[str, Callable[[Any], str]]:
    """Return the resource by which a run's job starts when the run's earlier job has ended.

    Args:
        rule: the rule of the jobs.
        jobs: from `queued`.
    """

    def option(wildcards: Any) -> str:
        job = jobs.get("_".join([f"rule_{rule}_wildcards", *map(str, wildcards)]))
        return f"--dependency=afterany:{job}" if job else ""

    return {"slurm_extra": option} if jobs else {}
