"""The real snakemake on a tiny experiment in a folder of its own."""

import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import yaml

from manyseeds.core.layout import REPOSITORY

TINY = {
    "experiment": "tiny",
    # A second an episode: films of whole ones take most of the time.
    "task": {"name": "lift_object", "overrides": {"episode_length_s": 1.0}},
    "seeds": [1, 2],
    "train": {"num_envs": 8, "max_iterations": 2, "save_interval": 1, "state_interval": 1},
    "agent": {
        "file": "generic_policy.json",
        "overrides": {"policy.actor_hidden_dims": [16], "policy.critic_hidden_dims": [16]},
    },
    "evaluate": {"episodes": 8},
}


def snakemake(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run snakemake in a folder with a config.yaml of its own; stdout holds both streams."""
    return run_snakemake(folder, REPOSITORY / "Snakefile", *arguments)


def run_snakemake(folder: Path, snakefile: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a workflow in a folder; stdout holds both streams."""
    command = [sys.executable, "-m", "snakemake", "--snakefile", str(snakefile), "--cores", "2"]
    return subprocess.run(
        [*command, *arguments], cwd=folder, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=1800
    )


def finish(folder: Path, fields: Mapping[str, object]) -> Path:
    """Write a config.yaml and run the whole workflow; return the folder."""
    (folder / "config.yaml").write_text(yaml.safe_dump(dict(fields)))
    result = snakemake(folder)
    assert result.returncode == 0, result.stdout
    return folder


def planned(folder: Path, *arguments: str, snakefile: Path = REPOSITORY / "Snakefile") -> set[str]:
    """Return the rules that a dry run would execute, from its table of jobs."""
    result = run_snakemake(folder, snakefile, "--dry-run", *arguments)
    assert result.returncode == 0, result.stdout
    return set(re.findall(r"^(\w+) +\d+$", result.stdout, re.MULTILINE)) - {"total"}


def write_config(folder: Path, **fields: object) -> None:
    (folder / "config.yaml").write_text(yaml.safe_dump(TINY | fields))
