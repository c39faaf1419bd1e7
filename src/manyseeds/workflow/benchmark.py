"""What workflow/benchmark.smk needs to know: the experiments of a benchmark, and what it says at its end."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from manyseeds.config.benchmark import Benchmark, load_benchmark
from manyseeds.core.errors import UserError
from manyseeds.core.files import write_json
from manyseeds.core.layout import BENCHMARK, OVER_TASKS, REPORT
from manyseeds.workflow.failed import call_verb
from manyseeds.workflow.plan import relative, typed

DEFAULT = "experiments/benchmark.yaml"
"""The benchmark without `--configfile`."""
FINAL = "success_rates_final.csv"
"""In the folder of a task that has tables."""


def make_benchmark(configfiles: Sequence[str | Path], changes: Mapping[str, Any]) -> Benchmark:
    """Read and check what Snakemake was called with.

    Args:
        configfiles: the files of `--configfile`; `DEFAULT` when there are none.
        changes: the values of `--config`.

    Raises:
        UserError: with a sentence for each thing that is wrong.
    """
    benchmark = load_benchmark([str(relative(path)) for path in configfiles] or [DEFAULT], typed(changes))
    folder = Path(benchmark.results)
    if folder.exists() and not folder.is_dir():
        raise UserError(f"{folder} is a file; it must be a folder, or not be there")
    return benchmark


def module_config(benchmark: Benchmark, name: str) -> dict[str, Any]:
    """Return the config of the module that trains one task."""
    return {**benchmark.fields[name], "source": benchmark.sources[name]}


def begin(benchmark: Benchmark) -> None:
    """Write which tasks the benchmark has, so that tables show them in this order and name those without results."""
    write_json(Path(benchmark.results) / BENCHMARK, {"experiments": list(benchmark.fields)})


def settings(benchmark: Benchmark) -> list[Any]:
    """Return what the table and the figure over tasks show besides numbers."""
    first = next(iter(benchmark.experiments.values()))
    return [list(benchmark.fields), first.labels, first.baseline, first.evaluate.smallest_difference]


def lines(benchmark: Benchmark) -> Iterator[str]:
    """Yield what is printed at the end: the table, and where things are."""
    stem = f"{benchmark.results}/{OVER_TASKS}"
    tables = Path(f"{stem}.md").read_text(encoding="utf-8").split("\n\n")
    yield from (line for part in tables if part.startswith("|") for line in (*part.splitlines(), ""))
    yield "Where things are:"
    yield f"  {stem}.html  the table and its notes; also as .md, .tex and .csv"
    yield f"  {stem}.png   the figure; also as .svg and .pdf"
    yield from (f"  {benchmark.results}/{name}/{REPORT}  everything on {name}" for name in benchmark.fields)


def report_the_others(benchmark: Benchmark) -> None:
    """Write the table and the figure of the tasks that have results, when runs have failed; they name the others."""
    made = [name for name in benchmark.fields if Path(benchmark.results, name, FINAL).is_file()]
    if len(made) > 1:
        call_verb(("benchmark", benchmark.results))
