"""The memory and disk that runs take, and whether they are there."""

import itertools
import os
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from manyseeds.config.experiment import Experiment, Variant
from manyseeds.core.layout import RESULTS
from manyseeds.workflow.resources import memory_mb, needed_mb

if TYPE_CHECKING:
    from manyseeds.tasks.base import Task

# Bytes of one scalar in an event file, and of one row of episodes.csv.
SCALAR_BYTES = 60
ROW_BYTES = 150


@dataclass(frozen=True)
class Need:
    """What one run of a variant takes.

    Attributes:
        memory_mb: memory of one of its processes, in MB.
        disk_bytes: checkpoints, curves and episodes of one seed.
    """

    memory_mb: int
    disk_bytes: float


def needs(experiment: Experiment, agents: Mapping[str, Mapping[str, Any]], task: "Task") -> dict[str, Need]:
    """Return what a run of every variant takes.

    Args:
        experiment: the resolved experiment.
        agents: the complete configuration of each variant's agent.
        task: its task.
    """
    found = {}
    for variant in experiment.variants:
        agent = agents[variant.name]
        parameters = _parameters(agent, task)
        samples = variant.train.num_envs // experiment.ranks * agent["num_steps_per_env"]
        batch = samples // agent["algorithm"]["num_mini_batches"]
        memory = needed_mb(
            variant.train.num_envs, samples, batch, task.observation_width, task.action_width, parameters
        )
        found[variant.name] = Need(memory, _disk_bytes(experiment, variant, parameters))
    return found


def problems(experiment: Experiment, needs: Mapping[str, Need], source: str, cluster: bool) -> Iterator[str]:
    """Yield a sentence for every variant that needs more memory than there is, and one if the disk is too small.

    Args:
        experiment: the resolved experiment.
        needs: from the function of this name.
        source: the config file's name.
        cluster: whether a scheduler gives the memory that jobs ask for; otherwise they have this machine's.
    """
    disk = 0.0
    for variant in experiment.variants:
        needed = needs[variant.name].memory_mb
        limit = memory_mb(variant.train.num_envs) if cluster else machines_mb()
        if needed > limit and experiment.device != "cuda":
            has = "a job asks the cluster for" if cluster else "this machine has"
            yield (
                f"{source}: variant {variant.name}: a run needs about {needed:,} MB of memory, and {has} {limit:,} MB;"
                " fewer num_envs, num_steps_per_env or narrower layers need less."
            )
        else:
            disk += len(experiment.seeds) * needs[variant.name].disk_bytes
    free = shutil.disk_usage(".").free + _bytes_below(Path(RESULTS) / experiment.experiment)
    if disk > free:
        yield (
            f"{source}: the checkpoints, curves and episodes of {len(experiment.variants) * len(experiment.seeds)} runs"
            f" take about {disk / 1e9:,.0f} GB, and {free / 1e9:,.0f} GB are free here; a larger train.save_interval"
            " leaves fewer checkpoints."
        )


def machines_mb() -> int:
    """Return the memory of this machine, or of this process's control group where that is less, in MB."""
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    for path in ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"):
        try:
            total = min(total, int(Path(path).read_text(encoding="utf-8")))
        except (OSError, ValueError):
            continue
    return total >> 20


def _parameters(agent: Mapping[str, Any], task: "Task") -> int:
    """Return how many numbers the actor and the critic have."""
    total = 0
    for role, outputs in (("actor", task.action_width), ("critic", 1)):
        widths = [task.observation_width, *agent[role]["hidden_dims"], outputs]
        total += sum((before + 1) * after for before, after in itertools.pairwise(widths))
    return total


def _disk_bytes(experiment: Experiment, variant: Variant, parameters: int) -> float:
    checkpoints, rows = len(variant.checkpoints), experiment.episodes_of(variant)
    scalars = 40 * SCALAR_BYTES * variant.train.max_iterations
    # Parameters and Adam's two averages, as float32.
    return 12.0 * parameters * checkpoints + ROW_BYTES * rows + scalars


def _bytes_below(folder: Path) -> int:
    """Return the size of the files below a folder, which a repetition replaces."""
    return sum(path.stat().st_size for path in folder.rglob("*.pt") if path.is_file()) if folder.is_dir() else 0
