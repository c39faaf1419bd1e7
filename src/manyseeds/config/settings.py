"""How a run is trained and evaluated: each key is one field with its type, range, default and help.

The checks of config.yaml, the schema for editors, the flags of `manyseeds train`, the record of a run, what decides its
identity, and the placeholders of external trainers are made from these fields.
"""

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any, Literal

from annotated_types import Gt, Le, Lt
from pydantic import AfterValidator, BeforeValidator, Field
from pydantic_core import PydanticCustomError

from manyseeds.config.fields import (
    FLAG,
    NO_IDENTITY,
    WHOLE,
    Allowed,
    Count,
    Ge,
    LoggerName,
    Model,
    Number,
    Positive,
    Seed,
    SeedSet,
    Text,
    as_tuple,
    unique,
)
from manyseeds.core.loggers import LOGGERS

NUM_STEPS_PER_ENV = 24
"""Environment steps of an iteration where an agent file does not say; RSL-RL's name for it is num_steps_per_env."""
OURS = "manyseeds"
"""The name of the trainer of this package."""


ChangedCode = Annotated[Literal["stop", "redo", "accept"], Allowed("stop, redo or accept")]


def _ascending(numbers: tuple[int, ...]) -> tuple[int, ...]:
    if any(low >= high for low, high in pairwise(numbers)):
        raise ValueError("numbers must rise")
    return numbers


def _distinct(levels: list[Any]) -> list[Any]:
    for place, level in enumerate(levels):
        if level in levels[:place]:
            raise PydanticCustomError("repeated", "{item}", {"item": level})
    return levels


_Levels = Annotated[
    list[Any],
    Field(min_length=1, json_schema_extra={"minItems": 1, "uniqueItems": True}),
    AfterValidator(_distinct),
    Allowed("a list of at least one value, each once: [1, 2], or [[0.5, 1.0]] for a range"),
]
_Logger = Annotated[LoggerName, Allowed(f"{' or '.join(LOGGERS)}, for the event file of TensorBoard is always written")]


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
    # What it holds decides the result, not where it is: `RunConfig.init_digest`.
    init_from: Annotated[Text | None, Allowed("the path of a checkpoint"), NO_IDENTITY] = Field(
        None, description="checkpoint whose networks a new run starts with, of manyseeds or RSL-RL"
    )
    logger: Annotated[
        tuple[_Logger, ...],
        BeforeValidator(as_tuple),
        Field(json_schema_extra={"uniqueItems": True}),
        AfterValidator(unique),
        Allowed(f"a list of {' and '.join(LOGGERS)}, each once"),
        NO_IDENTITY,
    ] = Field((), description=f"where scalars are sent besides the event file: {', '.join(LOGGERS)}")


class EvaluateSettings(Model):
    """Keys below `evaluate:`."""

    episodes: Annotated[int, Ge(1), Le(1_000_000), WHOLE] = Field(
        1000, description="episodes of each checkpoint, the same for every seed and checkpoint"
    )
    earlier_episodes: Annotated[Count | None, Allowed("a whole number of at least 1, or null")] = Field(
        None,
        description="how many of them, the first ones, the checkpoints before those of `estimate` play; null: all",
    )
    seed: Seed = Field(20260101, description="what the episodes are drawn from, whatever seed a run was trained with")
    overrides: dict[str, Any] = Field(default_factory=dict, description="numbers of the task that evaluation changes")
    factors: Annotated[
        dict[Text, _Levels], Allowed("a mapping of numbers of the task to lists of values: {observation_noise: [1, 2]}")
    ] = Field(
        default_factory=dict,
        description="numbers of the task under which the last checkpoint plays the episodes again, one at a time and "
        "all together",
    )
    estimate: Annotated[
        str,
        Field(pattern=r"^(last|mean_of_last_([2-9]|[1-9][0-9]+))$"),
        Allowed("last or mean_of_last_3 (or 2, 4, ...)"),
    ] = Field("last", description="what the rate of a seed is: of its last checkpoint, or the mean of its last ones")
    failed_runs: Literal["leave_out", "count_as_zero"] = Field(
        "leave_out", description="what the tables do with runs that did not get to the last checkpoint"
    )
    requirement: Annotated[
        Annotated[Number, Gt(0), Le(1)] | None, Allowed("a success rate above 0, at most 1, or null")
    ] = Field(None, description="success rate that a seed must reach; tables say how many do not")
    smallest_difference: Annotated[Annotated[Number, Gt(0)] | None, Allowed("a number above 0, or null")] = Field(
        None, description="smallest difference between variants that matters; tables say how many seeds it takes"
    )
    looks: Annotated[
        tuple[Annotated[int, Ge(2), WHOLE], ...],
        BeforeValidator(as_tuple),
        AfterValidator(_ascending),
        Allowed("a list of rising numbers of at least 2"),
    ] = Field((), description="numbers of seeds at which variants are compared, for seeds that are added step by step")

    @property
    def checkpoints(self) -> int:
        """How many last checkpoints the estimate averages."""
        return 1 if self.estimate == "last" else int(self.estimate.rsplit("_", 1)[1])

    def earlier(self, checkpoints: Sequence[int]) -> tuple[int, int]:
        """Return before which iteration checkpoints play fewer episodes, and how many they play.

        Args:
            checkpoints: iterations of all that a run is to leave, in order.
        """
        few = self.episodes if self.earlier_episodes is None else min(self.earlier_episodes, self.episodes)
        return checkpoints[-self.checkpoints], few

    def episodes_of(self, iteration: int, checkpoints: Sequence[int]) -> int:
        """Return how many episodes the checkpoint of an iteration plays; `checkpoints` as in `earlier`."""
        limit, few = self.earlier(checkpoints)
        return few if iteration < limit else self.episodes

    def which(self) -> dict[str, Any]:
        """Return what says which episodes are played, as a record holds it."""
        names = {"episodes", "seed", "overrides", *(["earlier_episodes"] if self.earlier_episodes else [])}
        return self.model_dump(mode="json", include=names)


class RaceSettings(Model):
    """Keys below `race:`."""

    rungs: Annotated[
        tuple[Count, ...],
        BeforeValidator(as_tuple),
        Field(min_length=1, json_schema_extra={"minItems": 1}),
        AfterValidator(_ascending),
        Allowed("a list of at least one iteration, rising"),
    ] = Field(description="iterations after which variants are compared and the beaten ones stop")
    stop: Literal["halving", "test"] = Field(
        "halving", description="which variants stop: all but the best share (halving), or those that a test shows worse"
    )
    keep: Annotated[Number, Gt(0), Lt(1)] = Field(
        0.5, description="share of the variants that goes on from each rung, rounded up (halving)"
    )
    error: Annotated[Number, Gt(0), Lt(1)] = Field(
        0.05, description="probability, over the whole race, that a variant is stopped that is not worse (test)"
    )
    by: Annotated[Text | None, Allowed("the name of an outcome, or null")] = Field(
        None, description="outcome that decides; by default the task's first success rate, or else the return"
    )
    episodes: Annotated[int, Ge(1), Le(1_000_000), WHOLE] = Field(200, description="episodes that each run plays there")
    seed: Seed = Field(20270101, description="what these episodes are drawn from; not evaluate.seed")

    def before(self, rung: int) -> tuple[int, ...]:
        """Return the rungs before one."""
        return tuple(earlier for earlier in self.rungs if earlier < rung)


class DevelopmentSettings(Model):
    """Keys below `development:`."""

    seeds: SeedSet = Field((), description="seeds that settings were chosen with; they cannot be reported")
    episodes: SeedSet = Field((), description="values of evaluate.seed that settings were chosen with")


class CurvesSettings(Model):
    """Keys below `curves:`."""

    allow_corrupt: bool = Field(
        False, description="read what is left of an event file that is corrupt in its middle, instead of failing"
    )
    band: Literal["pointwise", "simultaneous", "standard-error", "range", "none"] = Field(
        "pointwise",
        description="the bands of the curves: a 95 % interval of the mean at each point, a 95 % band of the whole mean "
        "curve (of the return only), the standard error, the smallest and largest seed, or none",
    )


class Launched(Model):
    """What only the launcher of a run knows; part of its record.

    Attributes:
        experiment: the experiment's name.
        variant: the variant's name.
        gpus: the GPUs that the run has, as text.
        slurm_job: the id of its job, where Slurm started it.
        command: the command line that trains it.
        plan: SHA-256 of the experiment's plan when the run was started; see `manyseeds.core.ledger`.
        race: when the race stopped the run's variant, and in which place; None where it did not.
    """

    experiment: str
    variant: str
    gpus: list[str]
    slurm_job: str | None
    command: list[str]
    plan: str = ""
    race: str | None = None

    def recorded(self) -> dict[str, Any]:
        """Return what the record of the run keeps of it."""
        return self.model_dump(exclude={"race"} if self.race is None else None)


class RunConfig(Model):
    """One run: what decides its result, and what does not.

    Attributes:
        task: a task reference.
        task_cfg: numbers of the task to change.
        init_digest: SHA-256 of the checkpoint `train.init_from`; None without one.
        trainer: "manyseeds", or what identifies an external trainer.
        agent: the hyper-parameters as the agent file and overrides give them.
        agent_file: what messages call them.
        ranks: processes that train it together.
        log_dir: the run's folder.
        launched: what the launcher adds to the record; None for a run by hand.
    """

    task: str
    task_cfg: dict[str, Any] = Field(default_factory=dict)
    simulator: Annotated[str | None, FLAG] = Field(
        "auto", description="what steps the physics; auto: mujoco_warp on cuda, mujoco on cpu"
    )
    device: Annotated[str, FLAG] = Field("auto", description="cpu, cuda or cuda:N; auto: a GPU where there is one")
    init_digest: str | None = None
    trainer: str | dict[str, Any] = OURS
    seed: Annotated[Seed, FLAG] = Field(42, description="random seed")
    train: TrainSettings = TrainSettings()
    agent: dict[str, Any] = Field(default_factory=dict)
    ranks: Count = 1
    agent_file: Annotated[str, NO_IDENTITY] = ""
    log_dir: Annotated[Path, NO_IDENTITY] = Field(Path(), strict=False)
    video: Annotated[bool, NO_IDENTITY, FLAG] = Field(False, description="record training videos to <log_dir>/videos")
    video_interval: Annotated[Count, NO_IDENTITY, FLAG] = Field(2000, description="iterations between videos")
    video_length: Annotated[Count, NO_IDENTITY, FLAG] = Field(
        250, description="environment steps of a video (50 are one second)"
    )
    launched: Annotated[Launched | None, NO_IDENTITY] = None
    changed_code: Annotated[ChangedCode, NO_IDENTITY, FLAG] = Field(
        "stop",
        description="when code has changed since the run began: stop, redo (start over), accept (go on and note it)",
    )
