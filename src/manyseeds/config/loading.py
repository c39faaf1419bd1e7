"""From the text of config.yaml to a checked `Experiment`."""

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from manyseeds.config import external, hardware, variants
from manyseeds.config.conditions import conditions
from manyseeds.config.errors import problems
from manyseeds.config.experiment import AgentChoice, Config, Experiment, TaskChoice, Variant, VariantChoice
from manyseeds.config.external import External, Ours, Trainer
from manyseeds.config.settings import OURS, TrainSettings
from manyseeds.config.yaml_file import read_yaml
from manyseeds.core.errors import UserError
from manyseeds.core.files import read_object, sha256
from manyseeds.core.layout import CONFIG, FIGURES, FILE_ENDINGS, PACKAGE, REPOSITORY, RESULTS, SEED_FOLDER
from manyseeds.core.text import did_you_mean, flatten, shown
from manyseeds.tasks import registry

MOST_CHECKPOINTS = 100_000
"""Checkpoints of a run; each is a file and an evaluation, and the workflow lists them all."""
MOST_CONDITIONS = 50
"""Conditions of `evaluate.factors`; every run plays all episodes under each."""
MOST_VARIANTS = 1000
MOST_RUNS = 20_000
"""Snakemake plans three jobs for each; docs/scale.md says what that costs."""
LONGEST_NAME = 200
"""Characters of an experiment's or variant's name; file systems allow 255 for a folder, and logs add to it."""


def load(paths: Sequence[str | Path], changes: Mapping[str, Any] | None = None) -> Experiment:
    """Read, check and resolve an experiment.

    Args:
        paths: YAML files; values of a later one win over those of an earlier one.
        changes: values that win over those of the files, nested as in a file (`snakemake --config`).

    Raises:
        UserError: with one sentence per error, each on its own line.
    """
    return resolve(*read_files(paths, changes))


def read_files(paths: Sequence[str | Path], changes: Mapping[str, Any] | None = None) -> tuple[dict[str, Any], str]:
    """Return the values of YAML files and what messages call these; later values win, `changes` over all."""
    fields: dict[str, Any] = {}
    for path in paths:
        fields = over(fields, read_yaml(path))
    return over(fields, changes or {}), ", ".join(str(path) for path in paths)


def resolve(fields: Mapping[str, Any], source: str = "config") -> Experiment:
    """Check the values of an experiment file and spell out its variants.

    Args:
        fields: what the YAML file holds.
        source: the file's name, for the error messages.
    """
    if "experiments" in fields:
        raise UserError(
            f"{source} is a benchmark over tasks and no experiment; run it with"
            f" `snakemake --snakefile workflow/benchmark.smk --configfile {source}` or `make benchmark CONFIG={source}`"
        )
    complete = _with_longhands(fields)
    refuse(source, problems(Config, complete))
    config = Config.model_validate(complete)
    trainer = _trainer(source, config.trainer)
    task = _task(source, config.task, trainer)
    if isinstance(config.gpus, tuple) and config.gpus_per_run > len(config.gpus):
        raise UserError(
            f"{source}: gpus_per_run is {config.gpus_per_run}; it must be at most {len(config.gpus)},"
            " the number of GPUs that gpus lists"
        )
    # An external trainer has its own simulator.
    simulator = config.simulator if trainer.is_ours else "auto"
    recorded = Path(RESULTS) / config.experiment / CONFIG
    device, simulator = hardware.chosen(config.device, simulator, config.gpus, recorded)
    train = config.train.on(device)
    named = config.variants or {"default": VariantChoice()}
    _check_size(source, named, len(config.seeds))
    points = [
        (name, choice or VariantChoice(), overrides)
        for variant, choice in named.items()
        for name, overrides in _points(source, variant, choice or VariantChoice())
    ]
    resolved = tuple(_variant(source, config, train, trainer, task, *point) for point in points)
    names = [variant.name for variant in resolved]
    refuse(source, _unusable_names(names))
    refuse(source, _misnamed(config, names))
    for key, name in (("experiment", config.experiment), *(("a variant's name", name) for name in names)):
        if len(name) > LONGEST_NAME:
            raise UserError(f"{source}: {key} is {shown(name)}; it must have at most {LONGEST_NAME} characters")
    if trainer.is_ours:
        registry.check_file(task)
    shared = {key: getattr(config, key) for key in Experiment.model_fields.keys() & Config.model_fields.keys()}
    experiment = Experiment(
        **shared
        | {
            "task": task,
            "simulator": simulator,
            "device": device,
            "trainer": trainer,
            "variants": resolved,
        }
    )
    refuse(source, dict.fromkeys(_impossible(experiment)))
    return experiment.described(registry.describe(task) if trainer.is_ours and registry.is_built_in(task) else None)


def schema() -> dict[str, Any]:
    """Return the JSON schema of config.yaml, for editors."""
    made: dict[str, Any] = Config.model_json_schema()
    trainer = External.model_json_schema(ref_template="#/$defs/{model}")
    made["$defs"] |= trainer.pop("$defs")
    # Keys may come from the file that `file` names.
    del trainer["required"]
    trainer["properties"] = {"file": {"type": "string", "description": "a trainer's YAML file"}} | trainer["properties"]
    made["$defs"]["External"] = trainer
    made["properties"]["trainer"]["anyOf"] = [{"type": "string", "minLength": 1}, {"$ref": "#/$defs/External"}]
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **made, "title": "manyseeds experiment"}


def schema_text() -> str:
    """Return the text of workflow/schemas/config.schema.json."""
    return json.dumps(schema(), indent=2) + "\n"


def _trainer(source: str, value: str | Mapping[str, Any]) -> Trainer:
    """Put a trainer together: a file, the keys in the config, or the latter laid over the former."""
    if value == OURS:
        return Ours()
    fields = {"file": value} if isinstance(value, str) else dict(value)
    name = fields.pop("file", None)
    if name is not None:
        path = Path(str(name)) if Path(str(name)).exists() else REPOSITORY / str(name)
        if not path.is_file():
            problem = "is a folder" if path.is_dir() else "does not exist"
            raise UserError(
                f"{source}: trainer is {str(name)!r}, which {problem}; it must be {OURS}, the path of a trainer's YAML"
                " file (trainers/isaaclab.yaml), or a mapping with name and command"
            )
        fields = _merged({"folder": str(Path(str(name)).parent)} | read_yaml(path), fields)
    refuse(source, problems(External, fields, ("trainer",)))
    trainer = External.model_validate(fields)
    refuse(source, external.template_problems(trainer))
    return trainer


def _task(source: str, task: TaskChoice, trainer: Trainer) -> str:
    """Return the task's reference: the name of an installed one or the path of a file."""
    if (task.name is None) == (task.file is None):
        raise UserError(
            f"{source}: task.name is missing" if task.name is None else f"{source}: task has both name and file"
        )
    if task.file is not None:
        if not Path(task.file).is_file():
            problem = "is a folder" if Path(task.file).is_dir() else "does not exist"
            raise UserError(f"{source}: task.file is {task.file!r}, which {problem}; it must be a Python file")
        return task.file
    name = str(task.name)
    if trainer.is_ours and name not in (known := registry.names()):
        hint = did_you_mean(name, known)
        raise UserError(
            f"{source}: task.name is {name!r}{hint}; it must be {' or '.join(known)}, or task.file a Python file"
        )
    return name


def _misnamed(config: Config, names: Sequence[str]) -> Iterator[str]:
    """Yield what is wrong with the labels and the baseline of variants with these names."""
    for key, name in (*(("labels", name) for name in config.labels), ("baseline", config.baseline)):
        if name is not None and name not in names:
            hint = did_you_mean(name, names)
            yield f"{key} names the variant {name!r}{hint}; it must be {' or '.join(names)}"
    shown_as = [config.labels.get(name, name) for name in names]
    for label in sorted(set(shown_as)):
        if shown_as.count(label) > 1:
            yield f"labels makes tables and figures call two variants {label!r}; each needs its own"


def _impossible(experiment: Experiment) -> Iterator[str]:
    """Yield what the config asks for and the workflow or the trainer cannot do."""
    yield from _not_held_out(experiment)
    yield from _no_race(experiment)
    yield from _no_factors(experiment)
    evaluate = experiment.evaluate
    if evaluate.earlier_episodes is not None and experiment.race is not None:
        yield (
            "race and evaluate.earlier_episodes are both set, and in a race any rung can be a run's last checkpoint;"
            " set evaluate.earlier_episodes to null"
        )
    if experiment.trainer.is_ours and (problem := hardware.contradiction(experiment.device, experiment.simulator)):
        yield problem
    for variant in experiment.variants:
        count = -(-variant.train.max_iterations // variant.train.save_interval)
        if count > MOST_CHECKPOINTS:
            yield (
                f"train.max_iterations {variant.train.max_iterations} with train.save_interval"
                f" {variant.train.save_interval} leaves {count} checkpoints a run; at most"
                f" {MOST_CHECKPOINTS} are allowed"
            )
        if evaluate.checkpoints > count:
            yield (
                f"evaluate.estimate is {evaluate.estimate}; variant {variant.name} leaves {count} checkpoints, with"
                f" train.max_iterations {variant.train.max_iterations} and train.save_interval"
                f" {variant.train.save_interval}"
            )
        if isinstance(experiment.trainer, External):
            given = {
                "distributed": experiment.ranks > 1,
                "agent_file": bool(variant.agent_file),
                "agent_overrides": bool(variant.agent) and not variant.agent_file,
                "task_overrides": bool(variant.task_cfg),
                "init_from": variant.train.init_from is not None,
                "logger": bool(variant.train.logger),
                "evaluate_overrides": bool(evaluate.overrides),
            }
            yield from external.missing_placeholders(experiment.trainer, given)
        elif variant.train.num_envs % experiment.ranks:
            yield (
                f"train.num_envs of variant {variant.name} is {variant.train.num_envs}; it must be a multiple of"
                f" gpus_per_run, {experiment.ranks}"
            )


def _not_held_out(experiment: Experiment) -> Iterator[str]:
    """Yield seeds and episodes that would be reported although the settings were chosen with them."""
    development, evaluate = experiment.development, experiment.evaluate
    if both := sorted(set(experiment.seeds) & set(development.seeds)):
        yield (
            f"seeds has {', '.join(map(str, both))}, which development.seeds names; seeds that settings were chosen"
            " with cannot be reported"
        )
    if evaluate.seed in development.episodes:
        yield (
            f"evaluate.seed is {evaluate.seed}, which development.episodes names; it must be one that settings were not"
            " chosen with"
        )


def _no_race(experiment: Experiment) -> Iterator[str]:
    """Yield why the race of the config cannot be run."""
    race, evaluate, trainer = experiment.race, experiment.evaluate, experiment.trainer
    if race is None:
        return
    if isinstance(trainer, External):
        yield f"race is set, and {trainer.name} cannot continue a run from a rung; races are for the trainer {OURS}"
        return
    if len(experiment.variants) < 2:
        yield "race is set, and there is one variant; a race needs at least two"
    if race.stop == "test" and len(experiment.seeds) < 2:
        yield "race.stop is test, and there is one seed; the test compares seeds and needs at least two"
    if evaluate.looks:
        yield "race and evaluate.looks are both set; one of them says when a comparison stops"
    if race.seed == evaluate.seed:
        yield (
            f"race.seed is {race.seed}, which is evaluate.seed, too; what decides who goes on must be other episodes"
            " than those that are reported"
        )
    for variant in experiment.variants:
        train = variant.train
        for rung in race.rungs:
            if rung % train.save_interval or rung >= train.max_iterations:
                yield (
                    f"race.rungs has {rung}; for variant {variant.name} it must be a multiple of train.save_interval,"
                    f" {train.save_interval}, and less than train.max_iterations, {train.max_iterations}"
                )
        if evaluate.checkpoints > (least := race.rungs[0] // train.save_interval) > 0:
            yield (
                f"evaluate.estimate is {evaluate.estimate}; variant {variant.name} leaves {least} checkpoints if it is"
                f" stopped at the first rung, {race.rungs[0]}"
            )


def _no_factors(experiment: Experiment) -> Iterator[str]:
    """Yield why the last checkpoints cannot be played under the factors of the config."""
    factors, trainer = experiment.evaluate.factors, experiment.trainer
    if factors and isinstance(trainer, External):
        yield (
            f"evaluate.factors is set, and which numbers the task of {trainer.name} has is not known here; factors are"
            f" for the trainer {OURS}"
        )
    if (count := len(conditions(factors))) > MOST_CONDITIONS:
        yield f"evaluate.factors makes {count} conditions; at most {MOST_CONDITIONS} are allowed"


def _check_size(source: str, named: Mapping[str, VariantChoice | None], seeds: int) -> None:
    """Refuse more variants or runs than can be planned, before they are spelled out."""
    sizes = {name: variants.count(_grid(choice or VariantChoice())) for name, choice in named.items()}
    total = sum(sizes.values())
    if total > MOST_VARIANTS:
        largest = max(sizes, key=lambda name: sizes[name])
        raise UserError(
            f"{source}: variants has {total:,} variants, {sizes[largest]:,} of them in the grid of {largest}; at most"
            f" {MOST_VARIANTS:,} are allowed"
        )
    if total * seeds > MOST_RUNS:
        raise UserError(
            f"{source}: {total:,} variants x {seeds:,} seeds are {total * seeds:,} runs; at most {MOST_RUNS:,} are"
            " allowed"
        )


def one_folder(key: str, names: Iterable[str]) -> Iterator[str]:
    """Yield a sentence for each name that another one equals where case is ignored."""
    seen: dict[str, str] = {}
    for name in dict.fromkeys(names):
        other = seen.setdefault(name.casefold(), name)
        if other != name:
            yield f"{key} has {other} and {name}, which are one folder where case is ignored"


def _unusable_names(names: Sequence[str]) -> list[str]:
    """Return a sentence for each name of a variant that its folder cannot have."""
    problems = list(one_folder("variants", names))
    problems += [f"variants make the name {name} twice" for name, n in Counter(names).items() if n > 1]
    problems += [
        f"variants has {name}, which is the name of a file or folder of the results; choose another"
        for name in names
        if name.casefold() == FIGURES
        or name.casefold().endswith(FILE_ENDINGS)
        or SEED_FOLDER.fullmatch(name.casefold())
    ]
    return problems


def _points(source: str, variant: str, choice: VariantChoice) -> list[tuple[str, dict[str, Any]]]:
    """Return the points of a variant's grid: names and overrides by section."""
    grid = _grid(choice)
    empty = [f"{section}.{key}" for section in grid for key, value in flatten(grid[section]).items() if value == []]
    refuse(f"{source}: variants.{variant}", [f"{key} is []; a grid needs at least one value" for key in empty])
    return list(variants.expand(variant, grid))


def _grid(choice: VariantChoice) -> dict[str, dict[str, Any]]:
    return {"train": choice.train, "agent": choice.agent.overrides, "task": choice.task.overrides}


def _variant(
    source: str,
    config: Config,
    train: Mapping[str, Any],
    trainer: Trainer,
    task: str,
    name: str,
    choice: VariantChoice,
    overrides: Mapping[str, Any],
) -> Variant:
    """Lay one variant's overrides over the base and check what comes out."""
    where = f"{source}: variants.{name}" if config.variants else source
    values = variants.override(train, overrides["train"])
    refuse(where, problems(TrainSettings, values, ("train",)))
    # A variant with its own agent file starts from that file, without the overrides of the other file.
    agent = choice.agent if choice.agent.file else config.agent
    base_overrides = flatten(agent.overrides) if agent is config.agent else {}
    file, content = _agent(where, agent, trainer, task)
    lists = [key for key, old in flatten(content).items() if isinstance(old, list)]
    for key, value in overrides["agent"].items():
        if key in lists and not isinstance(value, list):
            raise UserError(
                f"{where}: agent.overrides.{key} is {value!r}; it must be a list, which stands"
                f" as a list in the list of a grid's values: [[{value!r}]]"
            )
    settings = TrainSettings.model_validate(values)
    return Variant(
        name=name,
        train=settings,
        agent_file=file,
        agent=variants.override(content, base_overrides | overrides["agent"]),
        task_cfg=variants.override(config.task.overrides, overrides["task"]),
        init_digest=_digest(where, settings.init_from),
    )


def _digest(where: str, checkpoint: str | None) -> str | None:
    """Return the SHA-256 of a checkpoint."""
    if checkpoint is None:
        return None
    try:
        return sha256(Path(checkpoint))
    except OSError as error:
        raise UserError(
            f"{where}: train.init_from is {checkpoint!r}, which cannot be read: {error.strerror}"
        ) from error


def _agent(where: str, agent: AgentChoice, trainer: Trainer, task: str) -> tuple[str, dict[str, Any]]:
    """Return the name of the agent file and its content; nothing where an external trainer gets none."""
    if agent.file:
        name, path = agent.file, _agent_path(agent.file, task if trainer.is_ours else None)
    elif trainer.is_ours:
        path = registry.agent_file(task)
        name = path.name
        if not path.is_file():
            raise UserError(
                f"{where}: agent is missing, and the task {task} has no {name} of its own; set agent, for example to"
                " generic_policy.json"
            )
    else:
        return "", {}
    return name, read_object(path, f"{where}: agent file {name}")


def _agent_path(name: str, task: str | None) -> Path:
    """Return the path of an agent file: in the working directory, next to the task, or in this package."""
    beside = [registry.agent_file(task).parent / name] if task else []
    places = [Path(name), *beside, PACKAGE / "learning" / name, REPOSITORY / name]
    return next((path for path in places if path.is_file()), Path(name))


def over(base: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """Lay the values of a file over those of another, both with every shorthand written out."""
    base, changes = _with_longhands(base), _with_longhands(changes)
    task, other = base.get("task"), changes.get("task")
    if isinstance(task, dict) and isinstance(other, dict) and {"name", "file"} & other.keys():
        base["task"] = {key: value for key, value in task.items() if key not in ("name", "file")}
    return _merged(base, changes)


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
    result = {str(key): value for key, value in fields.items()}
    if isinstance(task := result.get("task"), str):
        result["task"] = {"file" if registry.is_file(task) else "name": task}
    if isinstance(agent := result.get("agent"), str):
        result["agent"] = {"file": agent}
    if isinstance(named := result.get("variants"), Mapping):
        result["variants"] = {str(name): _variant_longhand(variant) for name, variant in named.items()}
    return result


def _variant_longhand(variant: Any) -> Any:
    if isinstance(variant, Mapping) and isinstance(variant.get("agent"), str):
        return {**variant, "agent": {"file": variant["agent"]}}
    return variant


def refuse(where: str, found: Iterable[str]) -> None:
    """Raise a UserError with what was found, a sentence a line; nothing happens where nothing was."""
    if sentences := [f"{where}: {problem}" for problem in found]:
        raise UserError("\n".join(sentences))
