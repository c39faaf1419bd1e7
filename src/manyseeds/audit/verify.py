"""Verify results: are the files of every run still what the run left?"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from manyseeds.core.arguments import at_least, verb_parser
from manyseeds.core.code import some
from manyseeds.core.errors import UserError
from manyseeds.core.files import read_object, sha256, write_atomic
from manyseeds.core.layout import (
    JOURNAL,
    MANIFEST,
    NOT_SHIPPED,
    PUBLISHED,
    RUN_RECORD,
    folders_below,
)
from manyseeds.core.manifest import other_inputs
from manyseeds.core.manifest import problems as manifest_problems
from manyseeds.core.record import other_seed, read_record
from manyseeds.learning import foreign

DERIVED = ("success_rates.*", "success_under_factors.*", "figures/*.*", "*.html")
"""What carries in its metadata the checksum of the CSV files that it was made from (`results.describe`)."""


SAY_THEMSELVES = ("tables", "figures", "pages")
"""Steps whose files DERIVED names anyway where they were made from other data."""


@dataclass(frozen=True)
class Account:
    """What `verify` found.

    Attributes:
        problems: a sentence for each file that is missing or is not what its run left, and for each run that did
            not end.
        not_shipped: files that are missing and declared so in NOT_SHIPPED.
        unknown_code: how many runs have no digest of their code in their record.
    """

    problems: tuple[str, ...]
    not_shipped: tuple[Path, ...]
    unknown_code: int = 0


def verify(results: Path) -> Account:
    """Hash the outputs of every run and of every step after it below a folder again, and what they were made from.

    A missing file is a problem, unless the experiment's folder has a file NOT_SHIPPED that names it; a file that
    is there is hashed, named or not. So is a table, figure or page that says it was made from other CSV files.

    Raises:
        UserError: when there is no run, or a record cannot be read.
    """
    found = _find(results)
    problems = [f"{journal.parent}: this run has not ended" for journal in found.unfinished]
    not_shipped, unknown = [], 0
    declared = {experiment: _declared(experiment) for experiment in found.experiments}
    for record in found.records:
        absent = declared[_experiment_of(record)]
        content = read_record(record)
        unknown += not content.get("made_by")
        problems += [sentence] if (sentence := other_seed(record)) else []
        for name, expected in content["outputs"].items():
            path = record.parent / name
            if path.is_file():
                if sha256(path) != expected:
                    problems.append(f"{path} is not the file that the run left")
            elif path.resolve() in absent:
                not_shipped.append(path)
            else:
                problems.append(f"{path} is missing")
    for manifest in found.manifests:
        problems += manifest_problems(manifest)
        if manifest.name.split(".")[0] not in SAY_THEMSELVES:
            problems += other_inputs(manifest)
    for experiment in declared:
        if experiment.is_relative_to(results.resolve()):
            problems += _changed_since_publishing(experiment) + _of_other_data(experiment)
    return Account(tuple(problems), tuple(not_shipped), unknown)


def _changed_since_publishing(experiment: Path) -> list[str]:
    path = experiment / PUBLISHED
    if not path.is_file():
        return []
    files = read_object(path, str(path))["files"]
    return [
        f"{experiment / name} is not the file that was published"
        for name, expected in files.items()
        if not (experiment / name).is_file() or sha256(experiment / name) != expected
    ]


def _of_other_data(experiment: Path) -> list[str]:
    """Say which tables, figures and pages of an experiment were not made from the CSV files that are there."""
    from manyseeds.analysis.results import find_results, inputs_digest

    made = {
        path: said[1].decode()
        for pattern in DERIVED
        for path in sorted(experiment.glob(pattern))
        if (said := re.search(rb"inputs sha256 ([0-9a-f]{64})", path.read_bytes()))
    }
    if not made:
        return []
    [now] = [inputs_digest(found) for found in find_results(experiment, check=False) if found.folder == experiment] or [
        ""
    ]
    return [f"{path} was made from other CSV files than those here" for path, was in made.items() if was != now]


def declare_not_shipped(results: Path) -> list[Path]:
    """Name the outputs that are missing in a file NOT_SHIPPED in each experiment's folder, for `verify` to accept.

    Returns:
        The files named.
    """
    named, found = [], _find(results)
    for experiment in found.experiments:
        missing = [
            path
            for record in found.records
            if _experiment_of(record) == experiment
            for name in read_record(record)["outputs"]
            if not (path := record.resolve().parent / name).is_file()
        ]
        lines = ["# Outputs of the runs that are not shipped here; run.json has their checksums."]
        lines += [path.relative_to(experiment).as_posix() for path in missing]
        with write_atomic(experiment / NOT_SHIPPED) as partial:
            partial.write_text("\n".join(lines) + "\n", encoding="utf-8")
        named += missing
    return named


@dataclass(frozen=True)
class _Found:
    """What there is to verify: the records of runs, journals of runs without a record, and the steps' manifests."""

    records: list[Path]
    unfinished: list[Path]
    manifests: list[Path]

    @property
    def experiments(self) -> list[Path]:
        """The folders of the experiments of the records."""
        return sorted({_experiment_of(record) for record in self.records})


def _find(results: Path) -> _Found:
    """Find what there is to verify, but nothing below a run's folder: superseded files and logs of other trainers.

    Links to folders are followed, as the analysis follows them; each file is named once.

    Raises:
        UserError: when there is no run.
    """
    found = {
        path.resolve(): path
        for folder in ((results, *folders_below(results)) if results.is_dir() else ())
        for path in folder.iterdir()
        if path.name in (RUN_RECORD, JOURNAL) or path.name.endswith(f".{MANIFEST}")
    }
    paths = sorted(found.values())
    records = [path for path in paths if path.name == RUN_RECORD]
    unfinished = [path for path in paths if path.name == JOURNAL and not path.with_name(RUN_RECORD).is_file()]
    if not records and not unfinished:
        raise UserError(f"{results} holds no {RUN_RECORD}; give a results folder such as results/lift_object")
    return _Found(records, unfinished, [path for path in paths if path.name.endswith(f".{MANIFEST}")])


def _experiment_of(record: Path) -> Path:
    """Return the folder of the experiment of <experiment>/<variant>/seed_<seed>/run.json."""
    above = record.resolve().parents
    return above[min(2, len(above) - 1)]


def _declared(experiment: Path) -> set[Path]:
    """Return the paths that the experiment's NOT_SHIPPED names."""
    path = experiment / NOT_SHIPPED
    if not path.is_file():
        return set()
    lines = [line.strip() for line in path.read_text(encoding="utf-8").splitlines()]
    return {experiment / line for line in lines if line and not line.startswith("#")}


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; return 0 when all is as recorded, 1 when something is not."""
    parser = verb_parser(
        "verify", __doc__, "results/lift_object\nresults/lift_object/default/seed_1 --repeat 20 --accept"
    )
    parser.add_argument("results", type=Path, help="a results folder, such as results/lift_object, or a run's folder")
    parser.add_argument("--repeat", type=int, metavar="N", help="train a run's first N iterations again and compare")
    parser.add_argument("--threads", type=at_least(0), default=0, help="CPU threads for --repeat (0: all)")
    parser.add_argument(
        "--declare-not-shipped",
        action="store_true",
        help=f"list the outputs that are missing in {NOT_SHIPPED}, so that verify accepts a published folder",
    )
    parser.add_argument(
        "--accept",
        action="store_true",
        help="accept today's code for runs that other code made, if all is as recorded; with --repeat, if the"
        " repeated iterations are, too",
    )
    foreign.add_flag(parser)
    arguments = parser.parse_args(argv)
    foreign.allow(arguments.allow_code)
    if arguments.declare_not_shipped:
        for path in declare_not_shipped(arguments.results):
            print(f"{path} is declared as not shipped")
        return 0
    whole = _print_account(arguments.results)
    same = arguments.repeat is None or _print_repetition(arguments.results, arguments.repeat, arguments.threads)
    if not (whole and same):
        return 1
    if arguments.accept:
        _accept(arguments.results, arguments.repeat)
    return 0


def _accept(results: Path, repeated: int | None) -> None:
    """Accept today's code for the runs that other code made, and print what has changed."""
    from manyseeds.audit.accept import accept

    runs = [record.parent for record in _find(results).records]
    changed = {run: changes for run in runs if (changes := accept(run, repeated))}
    for run, changes in changed.items():
        print(f"{run}: today's code is accepted; changed: {some(changes)}")
    if not changed:
        print(f"{results}: every run was made by today's code, or the change was accepted before")
    else:
        print(f"{results}: tables and captions say so once they are made again (manyseeds tables, manyseeds figures)")


def _print_account(results: Path) -> bool:
    """Verify and print what was found; return whether every file is whole."""
    account = verify(results)
    for problem in account.problems:
        print(problem)
    for path in account.not_shipped:
        print(f"{path} is not shipped")
    if account.unknown_code:
        print(f"note: {account.unknown_code} of the runs have an unknown code digest: their records hold none")
    if account.problems:
        print(f"{results}: snakemake makes again what is missing or not what was left; a copy must be copied again")
    else:
        there = "every file that is shipped" if account.not_shipped else "every file"
        print(f"{results}: {there} is what its run left")
    return not account.problems


def _print_repetition(results: Path, iterations: int, threads: int) -> bool:
    """Train a run's first iterations again and print how they compare; return whether they are the same."""
    from manyseeds.audit.repeat import repeat

    records = _find(results).records
    if len(records) != 1:
        raise UserError(f"{results} holds {len(records)} runs; with --repeat give one run's folder")
    folder = records[0].parent
    found = repeat(folder, iterations, threads)
    for note in found.notes:
        print(f"note: {note}")
    if found.difference:
        print(f"{folder}: the first difference: {found.difference}")
        return False
    checkpoints = f" and the parameters in {', '.join(found.checkpoints)}" if found.checkpoints else ""
    print(f"{folder}: the first {iterations} iterations are identical: {found.scalars} scalars{checkpoints}")
    return True
