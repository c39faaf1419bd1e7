"""Jobs of an earlier Snakemake that are still in Slurm's queue."""

import subprocess
from pathlib import Path


def queued(folder: Path) -> dict[str, str]:
    """Return the ids of this user's jobs from a working directory, by the comment that names rule and wildcards.

    A Snakemake that was killed leaves its jobs behind. They go on, and a job for the same run, submitted again, must
    not take a GPU only to wait for the other one's lock.

    Args:
        folder: the working directory.
    """
    command = ["squeue", "--me", "--noheader", "--states=PENDING,RUNNING,SUSPENDED,CONFIGURING", "--format=%i|%Z|%k"]
    try:
        lines = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout.splitlines()
    except (OSError, subprocess.SubprocessError):
        return {}
    rows = [line.split("|", 2) for line in lines]
    return {row[2]: row[0] for row in rows if len(row) == 3 and Path(row[1]) == folder}


def after(job: str | None) -> str:
    """Return the option of sbatch that lets a job start when another has ended, nothing without another."""
    return f"--dependency=afterany:{job}" if job else ""
