"""A benchmark: the experiments of several tasks, with the same seeds and variants."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, Field

from manyseeds.config.errors import problems
from manyseeds.config.experiment import Experiment, not_published
from manyseeds.config.external import External
from manyseeds.config.fields import Allowed, Model, Name, Text
from manyseeds.config.loading import one_folder, over, read_files, refuse, resolve
from manyseeds.config.yaml_file import read_yaml
from manyseeds.core.errors import UserError
from manyseeds.core.layout import REPOSITORY, RESULTS
from manyseeds.core.text import shown

OF_A_TASK = ("experiment", "task", "trainer", "agent", "race")
"""Keys that each experiment has for itself, so that they are none of a benchmark."""
OF_ALL = ("variants", "labels", "baseline")
"""Keys that only the benchmark's file sets: every task has the same variants."""
ONE_MACHINE = ("device", "gpus", "jobs_per_gpu", "gpus_per_run")
"""Keys with which one Snakemake shares out the GPUs of all experiments."""

TaskName = Annotated[
    str,
    Field(pattern=r"^[A-Za-z][A-Za-z0-9_]*$"),
    Allowed("a name of letters, digits and '_' that begins with a letter"),
]


def _several(experiments: dict[str, str]) -> dict[str, str]:
    if len(experiments) < 2:
        raise ValueError("too few")
    return experiments


class BenchmarkKeys(Model):
    """Keys that only the file of a benchmark has; all others are those of its experiments."""

    benchmark: Annotated[Name, AfterValidator(not_published)] = Field(
        description="results go to results/<benchmark>/<name>/"
    )
    experiments: Annotated[
        dict[TaskName, Annotated[Text, Allowed("the path of an experiment's YAML file")]],
        AfterValidator(_several),
        Allowed("a mapping of at least two names to experiments' YAML files: {reach: experiments/reach.yaml}"),
    ] = Field(description="the experiment of each task, by the name that tables and figures show")


@dataclass(frozen=True)
class Benchmark:
    """The experiments of a benchmark.

    Attributes:
        name: of the benchmark.
        source: its file, for messages.
        fields: what each experiment's file would hold if it were run by itself, by the name of the task.
        sources: what messages call each experiment.
        experiments: the resolved experiments.
    """

    name: str
    source: str
    fields: Mapping[str, Mapping[str, Any]]
    sources: Mapping[str, str]
    experiments: Mapping[str, Experiment]

    @property
    def results(self) -> str:
        """The folder of the benchmark."""
        return f"{RESULTS}/{self.name}"


def load_benchmark(paths: Sequence[str | Path], changes: Mapping[str, Any] | None = None) -> Benchmark:
    """Read and check a benchmark and all its experiments.

    Args:
        paths: YAML files; values of a later one win over those of an earlier one.
        changes: values that win over those of the files (`snakemake --config`).

    Raises:
        UserError: with a sentence that names file, key, value and what is allowed.
    """
    given, source = read_files(paths, changes)
    own = {key: given.pop(key) for key in BenchmarkKeys.model_fields if key in given}
    refuse(source, problems(BenchmarkKeys, own))
    keys = BenchmarkKeys.model_validate(own)
    refuse(source, _wrong(given, keys.experiments))
    fields, sources, experiments = {}, {}, {}
    for name, file in keys.experiments.items():
        sources[name] = f"{source}: {name} ({file})"
        fields[name] = _merged(source, name, file, given) | {"experiment": f"{keys.benchmark}/{name}"}
        experiments[name] = resolve(fields[name], sources[name])
    refuse(source, _apart(experiments))
    return Benchmark(keys.benchmark, source, fields, sources, experiments)


def _wrong(shared: Mapping[str, Any], names: Iterable[str]) -> Iterator[str]:
    for key in OF_A_TASK:
        if key in shared:
            hint = "; to change it in every task, make a variant" if key == "agent" else ""
            yield f"{key} is set; it must be in the files that experiments names, each of which has its own{hint}"
    if "seeds" not in shared:
        yield "seeds is missing"
    yield from one_folder("experiments", names)


def _merged(source: str, name: str, file: str, shared: Mapping[str, Any]) -> dict[str, Any]:
    """Lay what is the same for all over what an experiment's file holds."""
    path = next((path for path in (Path(file), REPOSITORY / file) if path.exists()), Path(file))
    if not path.is_file():
        problem = "is a folder" if path.is_dir() else "does not exist"
        raise UserError(
            f"{source}: experiments.{name} is {shown(file)}, which {problem}; it must be the path of an experiment's"
            " YAML file"
        )
    found = read_yaml(path)
    if "experiments" in found:
        raise UserError(f"{source}: experiments.{name} is {shown(file)}, which is a benchmark and no experiment")
    for key in OF_ALL:
        if found.get(key):
            raise UserError(
                f"{path}: {key} is {shown(found[key])}, and {source} makes this experiment part of a benchmark, in"
                " which every task has the same variants; only the benchmark's file may set it"
            )
    if found.get("race"):
        raise UserError(
            f"{path}: race is set, and {source} makes this experiment part of a benchmark, which compares all variants"
            " at the end of their training; it must be null"
        )
    return over({key: value for key, value in found.items() if key not in OF_ALL}, shared)


def _apart(experiments: Mapping[str, Experiment]) -> Iterator[str]:
    """Yield in what the experiments differ and one Snakemake cannot."""
    first, *others = experiments
    for other in others:
        a, b = experiments[first], experiments[other]
        for key in ONE_MACHINE:
            if getattr(a, key) != getattr(b, key):
                yield (
                    f"{key} is {shown(getattr(a, key))} for {first} and {shown(getattr(b, key))} for {other}; it must"
                    " be the same for all, so set it in the benchmark's file"
                )
        if _surroundings(a) != _surroundings(b):
            yield (
                f"trainer.container or trainer.environment differs between {first} and {other}; they must be the same"
                " for all"
            )


def _surroundings(experiment: Experiment) -> tuple[Any, ...]:
    trainer = experiment.trainer
    return (trainer.container, trainer.environment) if isinstance(trainer, External) else ("", {})
