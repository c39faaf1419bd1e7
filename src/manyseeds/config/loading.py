"""From the text of config.yaml to a checked `Experiment`."""

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from manyseeds.config import external as definition
from manyseeds.config import hardware, schema, variants
from manyseeds.config.experiment import CurvesSettings, EvaluateSettings, Experiment, TrainSettings, Variant
from manyseeds.config.external import OURS, Definition
from manyseeds.core.errors import UserError
from manyseeds.core.files import read_object
from manyseeds.core.layout import PACKAGE, REPOSITORY


def load(paths: Sequence[str | Path], changes: Mapping[str, Any] | None = None) -> Experiment:
    """Read, check and resolve an experiment.

    Args:
        paths: YAML files; values of a later one win over those of an earlier one.
        changes: values that win over those of the files, nested as in a file (`snakemake --config`).

    Raises:
        UserError: with one sentence, on a line of its own, for each thing that is wrong.
    """
    fields: dict[str, Any] = {}
    for path in paths:
        fields = _merged(fields, read_yaml(path))
    return resolve(_merged(fields, changes or {}), source=", ".join(str(path) for path in paths))


def resolve(fields: Mapping[str, Any], source: str = "config") -> Experiment:
    """Check the values of an experiment file and spell out its variants.

    Args:
        fields: what the YAML file holds.
        source: the file's name, for the error messages.
    """
    complete = _with_longhands(fields)
    _raise(source, schema.breaches(complete))
    complete = schema.fill_defaults(complete)
    trainer = _trainer(source, complete["trainer"])
    if isinstance(complete["gpus"], list) and complete["gpus_per_run"] > len(complete["gpus"]):
        raise UserError(
            f"{source}: gpus_per_run is {complete['gpus_per_run']}; it must be at most {len(complete['gpus'])},"
            " the number of GPUs that gpus lists"
        )
    named = complete["variants"] or {"default": {}}
    points = [
        (name, point, overrides)
        for variant, sections in named.items()
        for name, point, overrides in _points(source, variant, sections or {})
    ]
    foreign = isinstance(trainer, Definition)
    resolved = tuple(_variant(source, complete, *point, needs_agent=not foreign) for point in points)
    names = [variant.name for variant in resolved]
    _raise(
        source,
        [f"variants make the name {name} twice" for name in sorted(set(names)) if names.count(name) > 1],
    )
    recorded = Path("results") / complete["experiment"] / "config.json"
    # Another trainer has its own simulator.
    simulator = "auto" if foreign else complete["simulator"]
    device, simulator = hardware.chosen(complete["device"], simulator, complete["gpus"], recorded)
    experiment = Experiment(
        experiment=complete["experiment"],
        task=complete["task"]["name"],
        simulator=simulator,
        device=device,
        trainer=trainer,
        seeds=tuple(int(seed) for seed in complete["seeds"]),
        variants=resolved,
        evaluate=EvaluateSettings(**complete["evaluate"]),
        curves=CurvesSettings(**complete["curves"]),
        gpus=complete["gpus"] if isinstance(complete["gpus"], str) else tuple(map(int, complete["gpus"])),
        jobs_per_gpu=int(complete["jobs_per_gpu"]),
        gpus_per_run=int(complete["gpus_per_run"]),
        container=dict(complete["container"]),
        python=dict(complete["python"]),
        keep_state=complete["keep_state"],
    )
    if isinstance(trainer, Definition):
        _raise(source, list(dict.fromkeys(_lacking(trainer, experiment))))
        return experiment
    uneven = [
        f"train.num_envs of variant {variant.name} is {variant.train.num_envs}; it must be a multiple of gpus_per_run,"
        f" {experiment.ranks}"
        for variant in resolved
        if variant.train.num_envs % experiment.ranks
    ]
    _raise(source, uneven)
    return experiment


def _trainer(source: str, value: str | Mapping[str, Any]) -> str | Definition:
    """Put a trainer's definition together: a file, the keys in the config, or the latter laid over the former."""
    if value == OURS:
        return OURS
    fields = {"file": value} if isinstance(value, str) else dict(value)
    name = fields.pop("file", None)
    if name is not None:
        path = _here_or_in_repository(str(name))
        if not path.is_file():
            raise UserError(
                f"{source}: trainer is {str(name)!r}; it must be {OURS}, the path of a trainer's YAML file"
                " (trainers/isaaclab.yaml), or a mapping with name and command"
            )
        fields = _merged(read_yaml(path), fields)
    _raise(source, schema.section_breaches("trainer", fields))
    trainer = definition.from_fields(fields)
    _raise(source, definition.breaches(trainer))
    return trainer


def _lacking(trainer: Definition, experiment: Experiment) -> Iterator[str]:
    """Yield what the config asks for and the command of another trainer has no placeholder for."""
    for variant in experiment.variants:
        given = {
            "distributed": experiment.ranks > 1,
            "agent_file": bool(variant.agent_file),
            "agent_overrides": bool(variant.agent) and not variant.agent_file,
            "task_overrides": bool(variant.task_cfg),
        }
        yield from definition.lacking(trainer, given)


def read_yaml(path: str | Path) -> dict[str, Any]:
    """Read a YAML file that holds a mapping; a key that stands twice is an error."""
    try:
        fields = yaml.load(Path(path).read_text(encoding="utf-8"), Loader=_Loader)
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise UserError(f"{path} is not UTF-8 text: byte {error.start} cannot be decoded") from error
    except RecursionError as error:
        raise UserError(f"{path} is nested too deeply to be read") from error
    except (yaml.YAMLError, ValueError) as error:
        raise UserError(f"{path} is not valid YAML: {_yaml_problem(error)}") from error
    if not isinstance(fields, dict):
        raise UserError(f"{path} must hold keys and values, such as 'experiment: lift_object'")
    return fields


def parse_scalar(text: str) -> Any:
    """Return the number, truth value or text that `text` is in a YAML file."""
    try:
        value = yaml.load(text, Loader=_Loader)
    except yaml.YAMLError:
        return text
    return value if isinstance(value, int | float) else text


def _merged(base: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """Return `base` with `changes` laid over it, mapping by mapping."""
    result = dict(base)
    for key, value in changes.items():
        old = result.get(key)
        both = isinstance(old, Mapping) and isinstance(value, Mapping)
        result[key] = _merged(old, value) if both else value  # type: ignore[arg-type]
    return result


def _with_longhands(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Write `agent: FILE` and `task: NAME` out as mappings, in the base and in the variants."""

    def longhand(section: Any, keys: Mapping[str, str]) -> Any:
        if not isinstance(section, Mapping):
            return section
        return {
            str(key): {keys[key]: value} if key in keys and isinstance(value, str) else value
            for key, value in section.items()
        }

    result: dict[str, Any] = longhand(fields, schema.SHORTHANDS)
    if isinstance(result.get("variants"), Mapping):
        result["variants"] = {
            str(name): longhand(variant, {"agent": "file"}) for name, variant in result["variants"].items()
        }
    return result


def _points(source: str, variant: str, sections: Mapping[str, Any]) -> list[tuple[str, dict[str, Any], dict[str, Any]]]:
    agent, task = sections.get("agent", {}), sections.get("task", {})
    grid = {
        "train": sections.get("train", {}),
        "agent": agent.get("overrides", {}),
        "task": task.get("overrides", {}),
    }
    empty = [
        f"{section}.{key}" for section in grid for key, value in variants.flatten(grid[section]).items() if value == []
    ]
    _raise(f"{source}: variants.{variant}", [f"{key} is []; a grid needs at least one value" for key in empty])
    return [(name, dict(agent), overrides) for name, overrides in variants.expand(variant, grid)]


def _variant(
    source: str,
    base: Mapping[str, Any],
    name: str,
    agent: Mapping[str, Any],
    overrides: Mapping[str, Any],
    *,
    needs_agent: bool,
) -> Variant:
    """Lay one variant's overrides over the base and check what comes out."""
    where = f"{source}: variants.{name}" if base["variants"] else source
    train = variants.override(base["train"], overrides["train"])
    _raise(where, schema.section_breaches("train", train))
    # A variant with an agent file of its own starts from that file, without the overrides meant for another.
    base_agent = base.get("agent", {})
    chosen = agent if "file" in agent else base_agent
    base_overrides = variants.flatten(chosen.get("overrides", {}) if chosen is base_agent else {})
    if "file" not in chosen and needs_agent:
        raise UserError(f"{where}: agent.file is missing")
    content = _agent_content(where, chosen["file"], base["task"]["name"]) if "file" in chosen else {}
    lists = [key for key, old in variants.flatten(content).items() if isinstance(old, list)]
    for key, value in overrides["agent"].items():
        if key in lists and not isinstance(value, list):
            raise UserError(
                f"{where}: agent.overrides.{key} is {value!r}; it must be a list, which stands"
                f" as a list in the list of a grid's values: [[{value!r}]]"
            )
    return Variant(
        name=name,
        train=TrainSettings(
            **train
            | {key: int(train[key]) for key in ("num_envs", "max_iterations", "save_interval", "state_interval")}
            | {"env_spacing": float(train["env_spacing"])}
        ),
        agent_file=chosen.get("file", ""),
        agent=variants.override(content, base_overrides | overrides["agent"]),
        task_cfg=variants.override(base["task"].get("overrides", {}), overrides["task"]),
    )


def _agent_content(where: str, name: str, task: str) -> dict[str, Any]:
    """Read an agent file."""
    return read_object(_agent_path(name, task), f"{where}: agent file {name}")


def _here_or_in_repository(name: str) -> Path:
    return Path(name) if Path(name).exists() else REPOSITORY / name


def _agent_path(name: str, task: str) -> Path:
    """Return the path of an agent file: in the working directory, beside the task, or one of this package."""
    places = [Path(name), PACKAGE / "tasks" / task / name, PACKAGE / "learning" / name, REPOSITORY / name]
    return next((path for path in places if path.is_file()), Path(name))


def _raise(where: str, problems: list[str]) -> None:
    if problems:
        raise UserError("\n".join(f"{where}: {problem}" for problem in problems))


def _yaml_problem(error: Exception) -> str:
    mark = getattr(error, "problem_mark", None)
    problem = getattr(error, "problem", None) or str(error).splitlines()[0]
    return f"{problem} (line {mark.line + 1}, column {mark.column + 1})" if mark else problem


class _Loader(yaml.SafeLoader):
    """YAML in which 1e-3 is a number, as in YAML 1.2, and no key stands twice."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[str] = set()
        for key_node, _ in node.value:
            if isinstance(key_node, yaml.ScalarNode):
                if key_node.value in seen and key_node.tag != "tag:yaml.org,2002:merge":
                    raise yaml.constructor.ConstructorError(
                        problem=f"the key {key_node.value!r} stands twice", problem_mark=key_node.start_mark
                    )
                seen.add(key_node.value)
        return super().construct_mapping(node, deep)


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"[-+]?[0-9][0-9_]*[eE][-+]?[0-9]+\Z"), list("-+0123456789")
)
