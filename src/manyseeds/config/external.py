"""The trainers: ours, and any other program that trains with RSL-RL, as a command line with placeholders.

A template is split into words first and its placeholders are filled afterwards, word by word. No shell reads it, so
a value is never more than (part of) one word, whatever characters it has.
"""

import hashlib
import json
import shlex
from collections.abc import Iterator, Mapping
from string import Formatter
from typing import Annotated, Any, ClassVar, Literal

from annotated_types import Ge, Le
from pydantic import Field, model_validator

from manyseeds.config.fields import IMAGE, WHOLE, Allowed, Count, Image, Model, Name, Text
from manyseeds.config.settings import NUM_STEPS_PER_ENV, OURS, TrainSettings
from manyseeds.core.description import Description, Outcome
from manyseeds.core.errors import UserError
from manyseeds.core.layout import checkpoint_iterations, checkpoint_name
from manyseeds.core.simulators import SIMULATORS

_TRAIN = tuple(name for name in TrainSettings.model_fields if name != "init_from")
VALUES = ("seed", *_TRAIN, "device", "log_dir", "task", "ranks", "variant")
"""Placeholders that stand for one value each."""
NEEDED = ("seed", "num_envs", "max_iterations")
"""Without these in its command a trainer would not do what the config says."""
GROUPS = {
    "distributed": ("ranks",),
    "agent_file": ("agent_file",),
    "agent_overrides": ("key", "value"),
    "task_overrides": ("key", "value"),
    "init_from": ("init_from",),
}
"""Placeholders that stand for no word or several, and the placeholders that their own templates may hold."""


HIDDEN = "sha256"
"""Instead of the names of environment variables: their values may be secrets."""
ENVIRONMENT_VARIABLE = "MANYSEEDS_TRAINER_ENVIRONMENT"
"""Environment variable with those of a trainer, for its jobs."""


class Scalars(Model):
    """Which tags of the event files mean what."""

    reward: Text = Field("Train/mean_reward", description="the return per episode")
    reward_terms: Text = Field("Episode_Reward/", description="what the tags of single reward terms begin with")
    success: str = Field("", description="a success rate from 0 to 1; empty where the trainer logs none")


OUR_SCALARS = Scalars(success="Metrics/success_rate")
"""What the trainer of this package logs."""


class Ours(Model):
    """The trainer of this package: its simulators are ours, so runs are evaluated and continue exactly.

    Attributes:
        name: what config.yaml and records call it.
        evaluates: whether checkpoints are evaluated and filmed.
        scalars: what its scalars mean.
        first_iteration: the number of its first iteration in event files.
        steps_per_env: environment steps of an iteration where the agent does not say.
    """

    name: ClassVar[str] = OURS
    evaluates: ClassVar[bool] = True
    scalars: ClassVar[Scalars] = OUR_SCALARS
    first_iteration: ClassVar[int] = 1
    steps_per_env: ClassVar[int] = NUM_STEPS_PER_ENV

    @model_validator(mode="before")
    @classmethod
    def _from_name(cls, value: Any) -> Any:
        return {} if value == OURS else value

    def settings(self) -> str:
        """Return what of the trainer determines the result of a run."""
        return OURS

    def job_environment(self, simulator: str) -> str:
        """Return the environment of envs/ that training jobs run in."""
        return SIMULATORS[simulator].environment

    def checkpoints(self, max_iterations: int, save_interval: int) -> list[str]:
        """Return the names of the checkpoints that a run must leave."""
        return [checkpoint_name(iteration) for iteration in checkpoint_iterations(max_iterations, save_interval)]

    def describe(self, task: Description | None) -> Description | None:
        """Return what tables and figures show: what evaluation measures."""
        return task


class Words(Model):
    """Keys below `words:`, templates of the `GROUPS` that the command has."""

    distributed: Text | None = None
    agent_file: Text | None = None
    agent_overrides: Text | None = None
    task_overrides: Text | None = None
    init_from: Text | None = None


Variable = Annotated[str, Field(pattern="^[A-Za-z_][A-Za-z0-9_]*$"), Allowed("the name of an environment variable")]
FileName = Annotated[str, Field(pattern="^[A-Za-z0-9_.-]*[A-Za-z0-9_-]$"), Allowed("a file name")]


class External(Model):
    """A trainer of someone else; docs/trainers.md explains the keys."""

    evaluates: ClassVar[bool] = False

    name: Name = Field(description="what tables, figures and messages call it")
    command: Annotated[Text, Allowed("a command line with placeholders")] = Field(
        description="template of its command line"
    )
    words: Annotated[Words, Allowed(f"a mapping of {', '.join(list(GROUPS)[:-1])} and {list(GROUPS)[-1]} to words")] = (
        Field(Words(), description="templates of the placeholders that stand for no word or several")
    )
    logs: Annotated[Text, Allowed("a folder below the one in which the trainer runs")] = Field(
        ".", description="the folder that it logs to, relative to the one in which it runs; may hold *"
    )
    checkpoint: Annotated[str, Field(pattern="^[^/]+$"), Allowed("a file name with {iteration}")] = Field(
        "model_{iteration}.pt", description="how it names its checkpoints"
    )
    # Stock RSL-RL counts from 0, so that the last checkpoint of N iterations is model_<N-1>.pt.
    first_iteration: Annotated[int, Ge(0), Le(1), WHOLE] = Field(
        0, description="the number of its first iteration in checkpoints and event files"
    )
    steps_per_env: Count | None = Field(None, description="environment steps of an iteration in each environment")
    environment: dict[Variable, str] = Field(
        default_factory=dict, description="environment variables that it gets besides those of the workflow"
    )
    inputs: tuple[Text, ...] = Field(
        (),
        strict=False,
        description="files, folders and patterns of files that decide its results, such as its script",
    )
    path: str = Field("", description="a folder to look for its programs in first; not used in a container")
    links: dict[FileName, Text] = Field(
        default_factory=dict, description="names in the folder in which it runs, and what they lead to"
    )
    container: Annotated[Image | Literal[""], Allowed(IMAGE)] = Field(
        "", description="its image, for --use-singularity"
    )
    versions: Annotated[str, Allowed("a command line")] = Field(
        "", description="a command that prints its packages, a line name==version each"
    )
    runtime: Count = Field(1440, description="minutes to ask a cluster for")
    mem_mb: Count = Field(16000, description="memory to ask a cluster for (MB)")
    accept_crash: bool = Field(
        False,
        description="take a run whose last checkpoint is there as finished, although the trainer crashed or was killed",
    )
    scalars: Scalars = Field(Scalars(), description="what its scalars mean")

    def settings(self) -> dict[str, Any]:
        """Return the fields that determine a run's result. Paths, log folders and names of tags do not."""
        return self.hidden().model_dump(include={"name", "command", "words", "environment"}, exclude_none=True)

    def hidden(self) -> "External":
        """Return the trainer as files may hold it: with a digest of its environment variables instead of them."""
        if not self.environment or self.is_hidden:
            return self
        text = json.dumps(self.environment, sort_keys=True)
        return self.model_copy(update={"environment": {HIDDEN: hashlib.sha256(text.encode()).hexdigest()}})

    @property
    def is_hidden(self) -> bool:
        """Whether it has a digest instead of its environment variables."""
        return self.environment.keys() == {HIDDEN}

    def revealed(self, text: str) -> "External":
        """Return the trainer with its environment variables.

        Args:
            text: them as JSON, as ENVIRONMENT_VARIABLE hands them to jobs.

        Raises:
            UserError: when they are not those of the digest.
        """
        if not self.is_hidden:
            return self
        found = self.model_copy(update={"environment": json.loads(text or "{}")})
        if found.hidden() != self:
            raise UserError(
                f"trainer {self.name}: the values of trainer.environment are kept in no file; start the run with"
                f" snakemake, or with {ENVIRONMENT_VARIABLE} set to them as JSON"
            )
        return found

    def job_environment(self, simulator: str) -> str:
        """Return the environment of envs/ that training jobs run in; the trainer brings its own."""
        return "analysis"

    def checkpoints(self, max_iterations: int, save_interval: int) -> list[str]:
        """Return the names of the checkpoints that a run must leave: the last."""
        return [fill(self.checkpoint, {"iteration": max_iterations - 1 + self.first_iteration})]

    def describe(self, task: Description | None) -> Description:
        """Return what tables and figures show: what the trainer logs."""
        success = Outcome(
            "success",
            "Success",
            "share",
            f"the success rate that {self.name} logs in training ({self.scalars.success})",
            tag=self.scalars.success,
        )
        total = Outcome(
            "return",
            "Return",
            "measure",
            f"the mean return of training episodes ({self.scalars.reward})",
            tag=self.scalars.reward,
        )
        return Description(outcomes=(*([success] if self.scalars.success else []), total))

    def has(self, placeholder: str) -> bool:
        """Whether the command holds a placeholder."""
        return any(placeholder in _names(word) for word in split(self.command))


Trainer = Ours | External


def template_problems(definition: External) -> list[str]:
    """Return one sentence for everything wrong in the templates of a definition."""
    given = definition.words.model_dump(exclude_none=True)
    templates = {
        "command": (definition.command, (*VALUES, *GROUPS)),
        "versions": (definition.versions, VALUES),
        **{f"words.{name}": (text, GROUPS[name]) for name, text in given.items()},
        **{f"environment.{name}": (text, VALUES) for name, text in definition.environment.items()},
        "logs": (definition.logs, VALUES),
        "checkpoint": (definition.checkpoint, ("iteration",)),
    }
    split_first = ("command", "versions", *(f"words.{name}" for name in given))
    problems = [
        f"trainer.{key} is {text!r}; {problem}"
        for key, (text, known) in templates.items()
        for problem in _template_problems(text, known, key in split_first)
    ]
    if problems:
        return problems
    words = split(definition.command)
    if not words:
        return ["trainer.command is empty; it must be a command line"]
    if _names(words[0]):
        return [f"trainer.command begins with {words[0]!r}; its first word must be a program, without a placeholder"]
    problems += [
        f"trainer.command lacks {{{name}}}; without it the trainer would not do what the config says"
        for name in NEEDED
        if not any(name in _names(word) for word in words)
    ]
    for name in GROUPS:
        inside = [word for word in words if name in _names(word)]
        if any(word != f"{{{name}}}" for word in inside):
            problems.append(f"trainer.command has {inside[0]!r}; {{{name}}} must be a word of its own")
        if inside and name not in given:
            problems.append(f"trainer.words.{name} is missing; it says what stands for {{{name}}} in trainer.command")
        if name in given and not inside:
            problems.append(f"trainer.words.{name} is given, but trainer.command has no {{{name}}}")
    if _names(definition.checkpoint) != ["iteration"]:
        problems.append(f"trainer.checkpoint is {definition.checkpoint!r}; it must hold {{iteration}} once")
    if definition.logs.startswith("/") or ".." in definition.logs.split("/"):
        problems.append(f"trainer.logs is {definition.logs!r}; it must lie in the folder in which the trainer runs")
    return problems


def split(template: str) -> list[str]:
    """Split a template into words as a shell would, and do nothing else that a shell does."""
    return shlex.split(template)


def fill(text: str, values: Mapping[str, Any]) -> str:
    """Put values in the place of placeholders; `{{` and `}}` stand for braces."""
    return "".join(
        literal + ("" if name is None else _text(values[name])) for literal, name, _, _ in Formatter().parse(text)
    )


def render(
    definition: External,
    values: Mapping[str, Any],
    *,
    agent_file: str | None = None,
    agent_overrides: Mapping[str, Any] | None = None,
    task_overrides: Mapping[str, Any] | None = None,
    init_from: str | None = None,
) -> list[str]:
    """Return the words of a trainer's command line.

    Args:
        definition: the trainer.
        values: all of `VALUES`.
        agent_file: path of the hyper-parameters, if there are any.
        agent_overrides: hyper-parameters by dotted key, where there is no file.
        task_overrides: numbers of the task by dotted key.
        init_from: path of the checkpoint to start from, if there is one.
    """
    fillings: dict[str, list[dict[str, Any]]] = {
        "distributed": [{"ranks": values["ranks"]}] if values["ranks"] > 1 else [],
        "agent_file": [{"agent_file": agent_file}] if agent_file else [],
        "agent_overrides": [{"key": key, "value": value} for key, value in (agent_overrides or {}).items()],
        "task_overrides": [{"key": key, "value": value} for key, value in (task_overrides or {}).items()],
        "init_from": [{"init_from": init_from}] if init_from else [],
    }
    command: list[str] = []
    for word in split(definition.command):
        group = word[1:-1]
        if word == f"{{{group}}}" and group in GROUPS:
            template = split(getattr(definition.words, group))
            command += [fill(part, filling) for filling in fillings[group] for part in template]
        else:
            command.append(fill(word, values))
    return command


def missing_placeholders(definition: External, given: Mapping[str, bool]) -> Iterator[str]:
    """Yield a sentence for each thing that the config asks for and the command has no placeholder for.

    Args:
        definition: the trainer.
        given: by a name of `GROUPS`, whether the config asks for it.
    """
    what = {
        "distributed": "gpus_per_run is more than 1",
        "agent_file": "agent.file is given",
        "agent_overrides": "agent.overrides are given without agent.file",
        "task_overrides": "task.overrides are given",
        "init_from": "train.init_from is given",
    }
    for name, wanted in given.items():
        if wanted and not definition.has(name):
            yield f"{what[name]}, but the command of trainer {definition.name} has no {{{name}}}"


def _template_problems(text: str, known: tuple[str, ...], is_command: bool) -> Iterator[str]:
    try:
        words = split(text) if is_command else [text]
        pieces = [piece for word in words for piece in Formatter().parse(word)]
    except ValueError as error:
        yield f"it is not a template: {str(error)[0].lower()}{str(error)[1:]} ('{{{{' and '}}}}' stand for braces)"
        return
    for _, name, form, conversion in pieces:
        if name is None:
            continue
        if name not in known or form or conversion:
            shown = f"{name}{f'!{conversion}' if conversion else ''}{f':{form}' if form else ''}"
            allowed = ", ".join(f"{{{other}}}" for other in known)
            yield f"it has the placeholder {{{shown}}}, and known are {allowed or 'none'}"


def _names(word: str) -> list[str]:
    return [name for _, name, _, _ in Formatter().parse(word) if name is not None]


def _text(value: Any) -> str:
    """Return a value as command lines and Hydra know it."""
    if isinstance(value, str):
        return value
    return json.dumps(value, separators=(",", ":")) if value is None or isinstance(value, bool | list) else str(value)
