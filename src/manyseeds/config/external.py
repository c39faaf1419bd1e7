"""What another trainer is: its command line with placeholders, where it logs, and what its scalars mean.

A template is split into words first and its placeholders are filled afterwards, word by word. No shell reads it, so
a value is never more than (part of) one word, whatever characters it has.
"""

import json
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from string import Formatter
from typing import Any

OURS = "manyseeds"
"""The name of the trainer of this package."""

VALUES = (
    "seed",
    "num_envs",
    "max_iterations",
    "save_interval",
    "env_spacing",
    "device",
    "log_dir",
    "task",
    "threads",
    "ranks",
    "variant",
)
NEEDED = ("seed", "num_envs", "max_iterations")
"""Without these in its command a trainer would not do what the config says."""
GROUPS = {
    "distributed": ("ranks",),
    "agent_file": ("agent_file",),
    "agent_overrides": ("key", "value"),
    "task_overrides": ("key", "value"),
}
"""Placeholders that stand for no word or several, and the placeholders that their own templates may hold."""


@dataclass(frozen=True)
class Scalars:
    """Which tags of the event files mean what.

    Attributes:
        reward: the return per episode.
        reward_terms: what the tags of single reward terms begin with.
        success: a success rate from 0 to 1; "" where the trainer logs none.
    """

    reward: str = "Train/mean_reward"
    reward_terms: str = "Episode_Reward/"
    success: str = ""


OUR_SCALARS = Scalars(success="Metrics/success_rate")
"""What the trainer of this package logs."""


@dataclass(frozen=True)
class Definition:
    """A trainer of someone else.

    Attributes:
        name: what tables, figures and messages call it.
        command: template of its command line, with `VALUES` and `GROUPS` as placeholders.
        words: templates of the `GROUPS` that the command has.
        logs: the folder that it logs to, relative to the folder in which it runs; may hold `*` and `VALUES`.
        checkpoint: how it names its checkpoints, with `{iteration}`.
        first_iteration: the number of its first iteration in checkpoints and event files. Stock RSL-RL counts from 0,
            so that the last checkpoint of N iterations is model_<N-1>.pt.
        steps_per_env: environment steps of an iteration in each environment; None when unknown.
        environment: environment variables that it gets besides those of the workflow.
        path: a folder to look for its programs in first; not used in a container.
        links: names in the folder in which it runs, and what they lead to; for programs that are called by a relative
            path.
        container: its image, for `--use-singularity`.
        versions: a command that prints its packages, a line `name==version` each; "" records none.
        runtime: minutes to ask a cluster for.
        mem_mb: memory to ask a cluster for.
        scalars: what its scalars mean.
    """

    name: str
    command: str
    words: dict[str, str] = field(default_factory=dict)
    logs: str = "."
    checkpoint: str = "model_{iteration}.pt"
    first_iteration: int = 0
    steps_per_env: int | None = None
    environment: dict[str, str] = field(default_factory=dict)
    path: str = ""
    links: dict[str, str] = field(default_factory=dict)
    container: str = ""
    versions: str = ""
    runtime: int = 1440
    mem_mb: int = 16000
    scalars: Scalars = Scalars()

    @property
    def identity(self) -> dict[str, Any]:
        """What of it determines the result of a run: not where it is, where it logs, nor what its scalars mean."""
        kept = ("name", "command", "words", "environment")
        return {name: value for name, value in asdict(self).items() if name in kept}

    def has(self, placeholder: str) -> bool:
        """Whether the command holds a placeholder."""
        return any(placeholder in _names(word) for word in split(self.command))

    def checkpoint_name(self, iteration: int) -> str:
        """Return the name of the checkpoint after so many completed iterations."""
        return fill(self.checkpoint, {"iteration": iteration - 1 + self.first_iteration})


def from_fields(fields: Mapping[str, Any]) -> Definition:
    """Make a definition from what the schema allows, or from `dataclasses.asdict` of one."""
    return Definition(**{**fields, "scalars": Scalars(**fields.get("scalars", {}))})


def breaches(definition: Definition) -> list[str]:
    """Return one sentence for everything wrong in the templates of a definition."""
    templates = {
        "command": (definition.command, (*VALUES, *GROUPS)),
        "versions": (definition.versions, VALUES),
        **{f"words.{name}": (text, GROUPS.get(name, ())) for name, text in definition.words.items()},
        **{f"environment.{name}": (text, VALUES) for name, text in definition.environment.items()},
        "logs": (definition.logs, VALUES),
        "checkpoint": (definition.checkpoint, ("iteration",)),
    }
    split_first = ("command", "versions", *(f"words.{name}" for name in definition.words))
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
        if inside and name not in definition.words:
            problems.append(f"trainer.words.{name} is missing; it says what stands for {{{name}}} in trainer.command")
        if name in definition.words and not inside:
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
    definition: Definition,
    values: Mapping[str, Any],
    *,
    agent_file: str | None = None,
    agent_overrides: Mapping[str, Any] | None = None,
    task_overrides: Mapping[str, Any] | None = None,
) -> list[str]:
    """Return the words of a trainer's command line.

    Args:
        definition: the trainer.
        values: all of `VALUES`.
        agent_file: path of the hyper-parameters, if there are any.
        agent_overrides: hyper-parameters by dotted key, where there is no file.
        task_overrides: numbers of the task by dotted key.
    """
    fillings: dict[str, list[dict[str, Any]]] = {
        "distributed": [{"ranks": values["ranks"]}] if values["ranks"] > 1 else [],
        "agent_file": [{"agent_file": agent_file}] if agent_file else [],
        "agent_overrides": [{"key": key, "value": value} for key, value in (agent_overrides or {}).items()],
        "task_overrides": [{"key": key, "value": value} for key, value in (task_overrides or {}).items()],
    }
    command: list[str] = []
    for word in split(definition.command):
        group = word[1:-1]
        if word == f"{{{group}}}" and group in GROUPS:
            template = split(definition.words[group])
            command += [fill(part, filling) for filling in fillings[group] for part in template]
        else:
            command.append(fill(word, values))
    return command


def lacking(definition: Definition, given: Mapping[str, bool]) -> Iterator[str]:
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
