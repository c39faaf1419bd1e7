"""The experiment: as config.yaml gives it, and resolved, with every value filled in and every variant spelled out."""

import json
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, ValidationError, field_serializer

from manyseeds.config.external import External, Ours, Trainer
from manyseeds.config.fields import (
    WHOLE,
    Allowed,
    Count,
    Environment,
    Ge,
    Image,
    Label,
    Model,
    Name,
    Seed,
    SimulatorEnvironment,
    SimulatorName,
    Text,
    Unique,
    default_images,
    environments,
)
from manyseeds.config.settings import (
    ChangedCode,
    CurvesSettings,
    DevelopmentSettings,
    EvaluateSettings,
    RaceSettings,
    RunConfig,
    TrainSettings,
)
from manyseeds.core.description import Description
from manyseeds.core.errors import UserError
from manyseeds.core.files import parse_json
from manyseeds.core.layout import COMPARED, checkpoint_iterations
from manyseeds.core.text import plain

SCHEMA_VERSION = 1


def not_published(name: str) -> str:
    """Return a name of results, unless it is the one under which the repository ships its own."""
    if name.casefold().split("/")[0] == "published":
        raise ValueError("results/published is what the repository ships")
    return name


ExperimentName = Annotated[
    str,
    Field(
        pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*(/[A-Za-z0-9][A-Za-z0-9_.-]*)?$",
        json_schema_extra={"not": {"pattern": "^[Pp][Uu][Bb][Ll][Ii][Ss][Hh][Ee][Dd](/|$)"}},
    ),
    AfterValidator(not_published),
    Allowed(
        "a name of letters, digits, '_', '.' and '-' that is not 'published', or a folder and such a name (mine/reach)"
    ),
]


class Common(Model):
    """Keys that config.yaml and the resolved experiment share."""

    experiment: ExperimentName = Field(description="results go to results/<experiment>/")
    simulator: SimulatorName = Field("auto", description="what steps the physics; auto: by the device")
    device: Annotated[Literal["cpu", "cuda", "auto"], Allowed("cpu, cuda or auto (gpus says which GPUs)")] = Field(
        "cpu", description="where policies are trained; auto: a GPU where there is one"
    )
    gpus: Annotated[
        Literal["auto", "none"] | Annotated[tuple[Annotated[int, Ge(0), WHOLE], ...], *Unique],
        Allowed("auto, none or a list of at least one GPU's number, each once"),
    ] = Field("auto", description="GPUs that runs may use: auto (all), a list of numbers, or none (do not manage GPUs)")
    jobs_per_gpu: Count = Field(1, description="runs that share one GPU")
    gpus_per_run: Count = Field(1, description="GPUs that one run uses, a process on each")
    changed_code: ChangedCode = Field(
        "stop",
        description="runs and evaluations of other code: stop, redo (make them anew) or accept (keep them, and say so)",
    )
    keep_state: bool = Field(
        True, description="keep each run's training state, so that a larger max_iterations continues it"
    )
    seeds: Annotated[tuple[Seed, ...], *Unique, Allowed("a list of at least one seed, each seed once")] = Field(
        description="every variant is trained once with every seed"
    )
    evaluate: EvaluateSettings = Field(EvaluateSettings(), description="how every checkpoint is judged")
    race: Annotated[RaceSettings | None, Allowed("a mapping with rungs, or null")] = Field(
        None, description="stop variants early that are beaten; null: train every variant to its end"
    )
    development: DevelopmentSettings = Field(
        DevelopmentSettings(), description="what was used to choose the settings, and must not be reported"
    )
    curves: CurvesSettings = Field(CurvesSettings(), description="how event files become curves")
    labels: Annotated[dict[Text, Label], Allowed("a mapping of variants to what tables and figures call them")] = Field(
        default_factory=dict, description="what tables, figures and pages call the variants, by their names"
    )
    baseline: Annotated[Text | None, Allowed("the name of a variant")] = Field(
        None, description="the variant that all others are compared with; by default every two are compared"
    )
    container: Annotated[
        dict[Environment, Image],
        AfterValidator(default_images),
        Allowed(f"a mapping of environments ({', '.join(environments('analysis'))}) to images"),
    ] = Field(default_images({}), description="the container image of each environment, for --use-singularity")
    python: Annotated[
        dict[SimulatorEnvironment, Annotated[Text, Allowed("the path of a Python interpreter")]],
        Allowed(f"a mapping of environments ({', '.join(environments())}) to the paths of their interpreters"),
    ] = Field(default_factory=dict, description="interpreters of simulators that are not installed next to Snakemake")


class AgentChoice(Model):
    """Keys below `agent:`; a plain file name means {file: NAME}."""

    shorthand = "file"
    file: Annotated[Text | None, Allowed("the path of a JSON file")] = Field(
        None, description="JSON file of hyper-parameters; by default the task's own agent.json"
    )
    overrides: dict[str, Any] = Field(default_factory=dict, description="single values, such as algorithm.gamma: 0.98")


class TaskChoice(Model):
    """Keys below `task:`; a plain text means {name: NAME} or {file: NAME.py}."""

    shorthand = "name"
    name: Annotated[Text | None, Allowed("the name of a task")] = Field(None, description="the name of a task")
    file: Annotated[Text | None, Allowed("the path of a Python file")] = Field(
        None, description="a Python file that defines TASK"
    )
    overrides: dict[str, Any] = Field(default_factory=dict, description="numbers of the task to change")


class TaskOverrides(Model):
    """Keys below a variant's `task:`."""

    overrides: dict[str, Any] = Field(default_factory=dict, description="numbers of the task; a list makes a grid")


AgentField = Annotated[AgentChoice, Allowed("the path of a JSON file, or a mapping with file and overrides")]


class VariantChoice(Model):
    """Keys of a variant: what it changes. A list of values makes a grid."""

    train: dict[str, Any] = Field(default_factory=dict, description="keys of train; a list makes a grid")
    agent: AgentField = Field(AgentChoice(), description="another agent file, or single values; a list makes a grid")
    task: TaskOverrides = Field(TaskOverrides(), description="numbers of the task; a list makes a grid")


class TrainChoice(TrainSettings):
    """Keys below `train:` of config.yaml."""

    cuda: TrainSettings = Field(
        default_factory=TrainSettings, description="values that replace those above where runs train on GPUs"
    )

    def on(self, device: str) -> dict[str, Any]:
        """Return the values of `TrainSettings` on a device."""
        replaced = self.cuda.model_dump(exclude_unset=True) if device == "cuda" else {}
        return self.model_dump(exclude={"cuda"}) | replaced


class Config(Common):
    """config.yaml."""

    task: Annotated[TaskChoice, Allowed("the name of a task, or a mapping with name and overrides")] = Field(
        TaskChoice(name="lift_object"), description="what is learned"
    )
    trainer: Annotated[
        Text | dict[str, Any], Allowed("manyseeds, the path of a trainer's YAML file, or a mapping of its keys")
    ] = Field("manyseeds", description="the program that trains")
    train: TrainChoice = Field(description="how one run trains")
    agent: AgentField = Field(AgentChoice(), description="hyper-parameters")
    variants: dict[Name, VariantChoice | None] = Field(
        default_factory=dict, description="variants to compare; without any there is one called default"
    )


class Variant(Model):
    """One column of the comparison: the settings that all of its seeds share.

    Attributes:
        name: the variant's name.
        train: how its runs train.
        agent_file: the file of its hyper-parameters; "" where an external trainer gets none.
        agent: its hyper-parameters.
        task_cfg: numbers of the task to change.
        init_digest: SHA-256 of the checkpoint `train.init_from`; None without one.
    """

    name: str
    train: TrainSettings
    agent_file: str
    agent: dict[str, Any]
    task_cfg: dict[str, Any]
    init_digest: str | None = None

    @property
    def checkpoints(self) -> list[int]:
        """Iterations of which a run of this variant leaves a checkpoint."""
        return checkpoint_iterations(self.train.max_iterations, self.train.save_interval)


class Experiment(Common):
    """All runs, variants times seeds, and how they are judged.

    Attributes:
        task: a task reference: a name or a path.
        trainer: `Ours` or an `External` one.
        variants: in the order of the config.
        description: the task as tables and figures see it; None where only the task's own process can tell.
    """

    task: str
    trainer: Trainer = Ours()
    variants: tuple[Variant, ...] = Field(strict=False)
    description: dict[str, Any] | None = None

    @field_serializer("trainer")
    def _trainer_to_json(self, trainer: Trainer) -> str | dict[str, Any]:
        return trainer.hidden().model_dump(mode="json") if isinstance(trainer, External) else trainer.name

    def episodes_of(self, variant: Variant) -> int:
        """Return how many episodes all checkpoints of a run play together."""
        checkpoints = variant.checkpoints
        return sum(self.evaluate.episodes_of(iteration, checkpoints) for iteration in checkpoints)

    def variant(self, name: str) -> Variant:
        """Return the variant called `name`.

        Raises:
            UserError: when there is none.
        """
        for variant in self.variants:
            if variant.name == name:
                return variant
        known = ", ".join(variant.name for variant in self.variants)
        raise UserError(f"experiment {self.experiment} has no variant {name!r}; it has {known}")

    @property
    def environment(self) -> str:
        """The environment (conda's, or a container's) that a training job runs in."""
        return self.trainer.job_environment(self.simulator)

    @property
    def leases_gpus(self) -> bool:
        """Whether every run takes GPUs of its own."""
        return self.device == "cuda" and self.gpus != "none"

    @property
    def ranks(self) -> int:
        """Processes that train one run together: one for each of its GPUs."""
        return self.gpus_per_run if self.device == "cuda" else 1

    def run(self, variant: str, seed: int) -> RunConfig:
        """Return what one run is."""
        chosen = self.variant(variant)
        return RunConfig(
            task=self.task,
            task_cfg=chosen.task_cfg,
            init_digest=chosen.init_digest,
            simulator=self.simulator if self.trainer.is_ours else None,
            device=self.device,
            trainer=self.trainer.settings(),
            seed=seed,
            train=chosen.train,
            agent=chosen.agent,
            agent_file=chosen.agent_file,
            ranks=self.ranks,
            changed_code=self.changed_code,
        )

    def settings(self, variant: str, seed: int) -> dict[str, Any]:
        """Return what determines the result of one run, and nothing else."""
        return self.run(variant, seed).identity()

    def checkpoints(self, variant: str) -> list[str]:
        """Return the names of the checkpoints that a run must leave."""
        train = self.variant(variant).train
        return self.trainer.checkpoints(train.max_iterations, train.save_interval)

    def samples_per_iteration(self, variant: str) -> int | None:
        """Return the environment steps of an iteration; None where an external trainer does not say."""
        chosen = self.variant(variant)
        steps = chosen.agent.get("num_steps_per_env", self.trainer.steps_per_env)
        return None if steps is None else chosen.train.num_envs * int(steps)

    def described(self, task: Description | None) -> "Experiment":
        """Return the experiment with the description of its outcomes.

        Args:
            task: what its task says of itself; None where that is not known yet.
        """
        description = self.trainer.describe(task)
        return self.model_copy(update={"description": description and plain(description.to_dict())})

    def to_dict(self) -> dict[str, Any]:
        """Return the experiment as plain JSON values, in the layout of `config.json`."""
        fields = self.model_dump(mode="json")
        fields["variants"] = {variant.pop("name"): variant for variant in fields["variants"]}
        return {"schema": SCHEMA_VERSION, **fields}

    def to_json(self) -> str:
        """Return the text of `config.json`."""
        return json.dumps(self.to_dict(), indent=2) + "\n"


def from_dict(fields: dict[str, Any]) -> Experiment:
    """Rebuild an experiment from `Experiment.to_dict`."""
    variants = [{"name": name, **variant} for name, variant in fields["variants"].items()]
    kept = {key: value for key, value in fields.items() if key != "schema"}
    return Experiment.model_validate(kept | {"variants": variants})


def read_resolved(path: str | Path) -> Experiment:
    """Read `results/<experiment>/config.json`.

    Raises:
        UserError: when the file is missing or is not such a file.
    """
    try:
        fields = parse_json(Path(path).read_text(encoding="utf-8"))
        if COMPARED in fields:
            raise UserError(f"{path} is of runs that `manyseeds compare` brought in, and not of an experiment to run")
        if fields["schema"] != SCHEMA_VERSION:
            raise UserError(f"{path} has schema {fields['schema']}, this version reads {SCHEMA_VERSION}")
        return from_dict(fields)
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}") from error
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(map(str, first["loc"]))
        raise UserError(f"{path} is not a config.json as manyseeds writes it: {place}: {first['msg']}") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError(f"{path} is not a config.json as manyseeds writes it: {error!r}") from error
