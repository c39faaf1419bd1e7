"""How a run is trained and evaluated: each key is one field with its type, range, default and help.

The checks of config.yaml, the schema for editors, the flags of `manyseeds train`, the record of a run, what decides its
identity, and the placeholders of external trainers are made from these fields.
"""

from pathlib import Path
from typing import Annotated, Any, Literal

from annotated_types import Le
from pydantic import Field

from manyseeds.config.fields import FLAG, NO_IDENTITY, Allowed, Count, Model, Positive, Seed

NUM_STEPS_PER_ENV = 24
"""Environment steps of an iteration where an agent file does not say; RSL-RL's name for it is num_steps_per_env."""
OURS = "manyseeds"
"""The name of the trainer of this package."""


class TrainSettings(Model):
    """Keys below `train:`."""

    num_envs: Count = Field(512, description="number of parallel environments")
    max_iterations: Count = Field(
        12000, description=f"training iterations of {NUM_STEPS_PER_ENV} steps in each environment"
    )
    save_interval: Count = Field(500, description="save a checkpoint every that many iterations, and after the last")
    state_interval: Annotated[Count, NO_IDENTITY] = Field(
        10, description="save the state to continue from every that many iterations"
    )
    env_spacing: Annotated[Positive, NO_IDENTITY] = Field(5.0, description="spacing between parallel environments (m)")
    threads: Annotated[Count | Literal["auto"], Allowed("auto or a whole number of at least 1"), NO_IDENTITY] = Field(
        "auto", description="CPU threads (of each process), which do not change the results; auto: all there are"
    )


class EvaluateSettings(Model):
    """Keys below `evaluate:`."""

    episodes: Annotated[Count, Le(1_000_000)] = Field(
        1000, description="episodes of each checkpoint, the same for every seed and checkpoint"
    )
    seed: Seed = Field(20260101, description="what the episodes are drawn from, whatever seed a run was trained with")
    overrides: dict[str, Any] = Field(default_factory=dict, description="numbers of the task that evaluation changes")


class CurvesSettings(Model):
    """Keys below `curves:`."""

    allow_corrupt: bool = Field(
        False, description="read what is left of an event file that is corrupt in its middle, instead of failing"
    )
    band: Literal["pointwise", "simultaneous"] = Field(
        "pointwise", description="what the bands of the curves cover: the mean at each point, or the whole mean curve"
    )


class Launched(Model):
    """What only the launcher of a run knows; part of its record.

    Attributes:
        experiment: the experiment's name.
        variant: the variant's name.
        gpus: the GPUs that the run has, as text.
        slurm_job: the id of its job, where Slurm started it.
        command: the command line that trains it.
    """

    experiment: str
    variant: str
    gpus: list[str]
    slurm_job: str | None
    command: list[str]


class RunConfig(Model):
    """One run: what decides its result, and what does not.

    Attributes:
        task: a task reference.
        task_digest: of the task's file; None for an installed task.
        task_cfg: numbers of the task to change.
        trainer: "manyseeds", or what identifies an external trainer.
        agent: the hyper-parameters as the agent file and overrides give them.
        agent_file: what messages call them.
        ranks: processes that train it together.
        log_dir: the run's folder.
        launched: what the launcher adds to the record; None for a run by hand.
    """

    task: str
    task_digest: str | None = None
    task_cfg: dict[str, Any] = Field(default_factory=dict)
    simulator: Annotated[str | None, FLAG] = Field("mujoco", description="what steps the physics")
    device: Annotated[str, FLAG] = Field("", description="cpu, cuda or cuda:N (what the simulator runs on)")
    trainer: str | dict[str, Any] = OURS
    seed: Annotated[Seed, FLAG] = Field(42, description="random seed")
    train: TrainSettings = TrainSettings()
    agent: dict[str, Any] = Field(default_factory=dict)
    ranks: Count = 1
    agent_file: Annotated[str, NO_IDENTITY] = ""
    log_dir: Annotated[Path, NO_IDENTITY] = Field(Path(), strict=False)
    video: Annotated[bool, NO_IDENTITY, FLAG] = Field(False, description="record training videos to <log_dir>/videos")
    video_interval: Annotated[Count, NO_IDENTITY, FLAG] = Field(500, description="iterations between videos")
    video_length: Annotated[Count, NO_IDENTITY, FLAG] = Field(
        250, description="environment steps of a video (50 are one second)"
    )
    launched: Annotated[Launched | None, NO_IDENTITY] = None
