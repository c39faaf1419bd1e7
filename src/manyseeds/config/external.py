"""The trainers: ours, and any other program that trains with RSL-RL, as a command line with placeholders."""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from annotated_types import Ge, Le
from pydantic import AfterValidator, Field, model_validator

from manyseeds.config.fields import IMAGE, WHOLE, Allowed, Count, Image, Model, Name, Text
from manyseeds.config.settings import NUM_STEPS_PER_ENV, OURS, TrainSettings
from manyseeds.config.templates import Spelling, fill, fill_words, names, problems, split
from manyseeds.core.description import Description, Outcome
from manyseeds.core.errors import UserError
from manyseeds.core.layout import REPOSITORY, checkpoint_iterations, checkpoint_name
from manyseeds.core.simulators import SIMULATORS

_TRAIN = tuple(name for name in TrainSettings.model_fields if name not in ("init_from", "logger"))
VALUES = ("seed", *_TRAIN, "device", "log_dir", "task", "ranks", "variant", "folder")
"""Placeholders that stand for one value each."""
EVALUATION_VALUES = ("checkpoint", "episodes", "seed", "output", "device", "task", "threads", "variant", "folder")
"""The same for the command that evaluates a checkpoint."""
NEEDED = ("seed", "num_envs", "max_iterations")
"""Without these in its command a trainer would not do what the config says."""
GROUPS = {
    "distributed": ("ranks",),
    "agent_file": ("agent_file",),
    "agent_overrides": ("key", "value"),
    "task_overrides": ("key", "value"),
    "init_from": ("init_from",),
    "logger": ("logger",),
}
"""Placeholders that stand for no word or several, and the placeholders that their own templates may hold."""
EVALUATION_NEEDED = ("checkpoint", "episodes", "seed")
"""An evaluation's command must hold these, or it would not do what the config says."""
EVALUATION_GROUPS = ("agent_file", "agent_overrides", "task_overrides")
"""Those of `GROUPS` that an evaluation may have, too; `words` has their templates."""
COLUMNS = ("success", "return", "episodes", "successes", "success_rate")
"""What an evaluation's file may hold: the first two of each episode, or the others of all episodes together."""

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
        is_ours: whether its simulators are ours, which play, film and rehearse.
        evaluates: whether checkpoints are evaluated.
        scalars: what its scalars mean.
        first_iteration: the number of its first iteration in event files.
        steps_per_env: environment steps of an iteration where the agent does not say.
    """

    name: ClassVar[str] = OURS
    is_ours: ClassVar[bool] = True
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
    logger: Text | None = None


Variable = Annotated[str, Field(pattern="^[A-Za-z_][A-Za-z0-9_]*$"), Allowed("the name of an environment variable")]
FileName = Annotated[str, Field(pattern="^[A-Za-z0-9_.-]*[A-Za-z0-9_-]$"), Allowed("a file name")]


def _below(path: str) -> str:
    if path.startswith(("/", "~")) or ".." in path.split("/"):
        raise ValueError("leads out of the folder")
    return path


RelativePath = Annotated[Text, AfterValidator(_below), Allowed("a path below the folder, without ..")]


class Evaluation(Model):
    """Keys below a trainer's `evaluate:`; a plain text is the command."""

    shorthand = "command"

    command: Annotated[Text, Allowed("a command line with placeholders")] = Field(
        description="template of the command line that evaluates one checkpoint"
    )
    output: Annotated[RelativePath, Allowed("the name of a .csv or .json file below the folder in which it runs")] = (
        Field(
            "episodes.csv",
            pattern=r"[^/]\.(csv|json)$",
            description="the file that it leaves, relative to the folder in which it runs; may hold *",
        )
    )
    printed: str = Field(
        "", description="instead of a file, what stands before the JSON object or Python dict that it prints"
    )
    columns: dict[
        Annotated[Literal["success", "return", "episodes", "successes", "success_rate"], Allowed(" or ".join(COLUMNS))],
        str,
    ] = Field(default_factory=dict, description="what its file calls the columns; empty where it has none")
    meaning: Annotated[str, Field(pattern=r"^[^\x00-\x1f\x7f]*$"), Allowed("one line")] = Field(
        "", description="what success means, for notes and captions"
    )
    inputs: tuple[Text, ...] = Field(
        (), strict=False, description="files, folders and patterns of files that decide its results, such as its script"
    )

    def column(self, name: str) -> str:
        """Return what its file calls one of `COLUMNS`; "" where it has none."""
        return self.columns.get(name, name)  # type: ignore[call-overload]


class External(Model):
    """A trainer of someone else; docs/trainers.md explains the keys."""

    is_ours: ClassVar[bool] = False

    name: Name = Field(description="what tables, figures and messages call it")
    command: Annotated[Text, Allowed("a command line with placeholders")] = Field(
        description="template of its command line"
    )
    words: Annotated[Words, Allowed(f"a mapping of {', '.join(list(GROUPS)[:-1])} and {list(GROUPS)[-1]} to words")] = (
        Field(Words(), description="templates of the placeholders that stand for no word or several")
    )
    evaluate: Annotated[Evaluation | None, Allowed("a command line with placeholders, or a mapping with command")] = (
        Field(None, description="how one checkpoint is evaluated; without it the tables show training")
    )
    lists: Spelling = Field(
        "json", description="how lists are spelled: json [64,64], words 64 64, python (64, 64); python also has None"
    )
    values: dict[str, dict[str, str]] = Field(
        default_factory=dict, description="what to put for single values of placeholders, such as device: {cpu: none}"
    )
    folder: Text = Field(".", description="what {folder} stands for; by default the folder of the trainer's file")
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
    collect: tuple[RelativePath, ...] = Field(
        (), strict=False, description="patterns of other files in its log folder to keep, such as *.onnx"
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
        decides = {"name", "command", "words", "environment", "lists", "values"}
        return self.hidden().model_dump(include=decides, exclude_none=True)

    @property
    def evaluates(self) -> bool:
        """Whether checkpoints are evaluated."""
        return self.evaluate is not None

    def evaluation_settings(self) -> dict[str, Any]:
        """Return the fields that determine the result of an evaluation."""
        decides = {"words", "environment", "lists", "values", "evaluate"}
        fields = self.hidden().model_dump(include=decides, exclude_none=True)
        fields["evaluate"] = {k: v for k, v in fields["evaluate"].items() if k not in ("inputs", "meaning")}
        return fields

    @property
    def place(self) -> str:
        """The absolute path that {folder} stands for: from the working directory, or else in this repository."""
        folder = Path(self.folder).expanduser()
        return str((folder if folder.is_dir() else REPOSITORY / folder).absolute())

    def mapped(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Return the values of placeholders with those replaced that `values` names."""
        return {name: self.values.get(name, {}).get(fill("{x}", {"x": value}), value) for name, value in values.items()}

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
        """Return what tables and figures show: what its evaluation measures, or else what the trainer logs."""
        if self.evaluate is not None:
            meaning = self.evaluate.meaning or f"as the evaluation of {self.name} defines it"
            judged = Outcome("success", "Success", "share", meaning)
            return Description(outcomes=(judged,) if self.evaluate.column("success") else ())
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
        return any(placeholder in names(word) for word in split(self.command))


Trainer = Ours | External


def template_problems(definition: External) -> list[str]:
    """Return one sentence for everything wrong in the templates of a definition."""
    given, evaluation = definition.words.model_dump(exclude_none=True), definition.evaluate
    commands = {"command": (definition.command, (*VALUES, *GROUPS), NEEDED)}
    if evaluation is not None:
        known = (*EVALUATION_VALUES, *EVALUATION_GROUPS)
        commands["evaluate.command"] = (evaluation.command, known, EVALUATION_NEEDED)
    templates = {
        **{key: (text, known) for key, (text, known, _) in commands.items()},
        "versions": (definition.versions, VALUES),
        **{f"words.{name}": (text, GROUPS[name]) for name, text in given.items()},
        **{f"environment.{name}": (text, VALUES) for name, text in definition.environment.items()},
        "logs": (definition.logs, VALUES),
        "checkpoint": (definition.checkpoint, ("iteration",)),
    }
    split_first = (*commands, "versions", *(f"words.{name}" for name in given))
    found = [
        f"trainer.{key} is {text!r}; {problem}"
        for key, (text, known) in templates.items()
        for problem in problems(text, known, key in split_first)
    ]
    if found:
        return found
    for key, (text, _, needed) in commands.items():
        if key_problem := _first_word(key, split(text)):
            return [key_problem]
        found += _placeholder_problems(definition, key, split(text), needed)
    found += [
        f"trainer.words.{name} is given, but {_has_none(evaluation)} {{{name}}}"
        for name in given
        if not any(name in names(word) for text, _, _ in commands.values() for word in split(text))
    ]
    if names(definition.checkpoint) != ["iteration"]:
        found.append(f"trainer.checkpoint is {definition.checkpoint!r}; it must hold {{iteration}} once")
    if definition.logs.startswith("/") or ".." in definition.logs.split("/"):
        found.append(f"trainer.logs is {definition.logs!r}; it must lie in the folder in which the trainer runs")
    return found + _spelling_problems(definition) + (_evaluation_problems(evaluation) if evaluation else [])


def _first_word(key: str, words: list[str]) -> str:
    if not words:
        return f"trainer.{key} is empty; it must be a command line"
    if names(words[0]):
        return f"trainer.{key} begins with {words[0]!r}; its first word must be a program, without a placeholder"
    return ""


def _placeholder_problems(definition: External, key: str, words: list[str], needed: tuple[str, ...]) -> Iterator[str]:
    purpose = "train as the config says" if key == "command" else "evaluate as the config says"
    for name in needed:
        if not any(name in names(word) for word in words):
            yield f"trainer.{key} lacks {{{name}}}; without it the trainer would not {purpose}"
    for name in GROUPS:
        inside = [word for word in words if name in names(word)]
        if any(word != f"{{{name}}}" for word in inside):
            yield f"trainer.{key} has {inside[0]!r}; {{{name}}} must be a word of its own"
        if inside and getattr(definition.words, name) is None:
            yield f"trainer.words.{name} is missing; it says what stands for {{{name}}} in trainer.{key}"


def _has_none(evaluation: Evaluation | None) -> str:
    commands = "trainer.command" if evaluation is None else "neither trainer.command nor trainer.evaluate.command"
    return f"{commands} has" + (" no" if evaluation is None else "")


def _spelling_problems(definition: External) -> list[str]:
    known = dict.fromkeys((*VALUES, *EVALUATION_VALUES))
    found = [
        f"trainer.values has {name!r}, which is no placeholder of one value; known are {', '.join(known)}"
        for name in definition.values
        if name not in known
    ]
    if definition.lists == "words":
        for group in ("agent_overrides", "task_overrides"):
            words = split(getattr(definition.words, group) or "")
            if joined := [word for word in words if "value" in names(word) and word != "{value}"]:
                found.append(
                    f"trainer.words.{group} has {joined[0]!r}; with trainer.lists: words {{value}} must be a word of"
                    " its own, which several words can stand for"
                )
    return found


def _evaluation_problems(evaluation: Evaluation) -> list[str]:
    where, found = "trainer.evaluate", []
    if evaluation.printed and evaluation.output != Evaluation.model_fields["output"].default:
        found.append(f"{where} has both output and printed; its results are in one of them")
    if not evaluation.column("success") and not evaluation.column("return"):
        found.append(f"{where}.columns has neither success nor return, so that nothing would be left to compare")
    if "*" in evaluation.output and any("output" in names(word) for word in split(evaluation.command)):
        found.append(
            f"{where}.output is {evaluation.output!r}, which holds *, so that {{output}} in {where}.command would be no"
            " file"
        )
    return found


def render(
    definition: External,
    values: Mapping[str, Any],
    *,
    command: str | None = None,
    agent_file: str | None = None,
    agent_overrides: Mapping[str, Any] | None = None,
    task_overrides: Mapping[str, Any] | None = None,
    init_from: str | None = None,
    loggers: Sequence[str] = (),
) -> list[str]:
    """Return the words of a command line of a trainer.

    Args:
        definition: the trainer.
        values: all of `VALUES`, or for an evaluation of `EVALUATION_VALUES`.
        command: the template; the one that trains, unless given.
        agent_file: path of the hyper-parameters, if there are any.
        agent_overrides: hyper-parameters by dotted key, where there is no file.
        task_overrides: numbers of the task by dotted key.
        init_from: path of the checkpoint to start from, if there is one.
        loggers: names of the experiment trackers to log to.
    """
    ranks = values.get("ranks", 1)
    fillings: dict[str, list[dict[str, Any]]] = {
        "distributed": [{"ranks": ranks}] if ranks > 1 else [],
        "agent_file": [{"agent_file": agent_file}] if agent_file else [],
        "agent_overrides": [{"key": key, "value": value} for key, value in (agent_overrides or {}).items()],
        "task_overrides": [{"key": key, "value": value} for key, value in (task_overrides or {}).items()],
        "init_from": [{"init_from": init_from}] if init_from else [],
        "logger": [{"logger": name} for name in loggers],
    }
    mapped = definition.mapped(values)
    words: list[str] = []
    for word in split(definition.command if command is None else command):
        group = word[1:-1]
        if word == f"{{{group}}}" and group in GROUPS:
            template = getattr(definition.words, group)
            for filling in fillings[group]:
                words += fill_words(template, filling, definition.lists)
        else:
            words.append(fill(word, mapped))
    return words


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
        "logger": "train.logger is given",
    }
    for name, wanted in given.items():
        if name != "evaluate_overrides" and wanted and not definition.has(name):
            yield f"{what[name]}, but the command of trainer {definition.name} has no {{{name}}}"
    evaluation = split(definition.evaluate.command) if definition.evaluate else []
    if evaluation and given["evaluate_overrides"] and not any("task_overrides" in names(word) for word in evaluation):
        yield (
            f"evaluate.overrides are given, but trainer.evaluate.command of trainer {definition.name} has no"
            " {task_overrides}"
        )
