"""Copy what is worth publishing of an experiment: small, and enough for every table and figure.

Of each run: run.json, params/, the scalars, the episodes of the last checkpoint, sums of the earlier ones
(checkpoints.csv), and how the last one does under factors (factors.csv). Of some seeds: the last checkpoint's policy.
published.json has the checksums of the files that were cut and of what they were cut from; not_shipped.txt names what
run.json lists and the copy lacks.
"""

import json
import shutil
from collections.abc import Sequence
from pathlib import Path

from manyseeds.analysis.rates import summaries
from manyseeds.analysis.results import ResultsFolder, Run, find_results, read_checkpoints, read_episodes
from manyseeds.audit.verify import declare_not_shipped
from manyseeds.core.arguments import verb_parser
from manyseeds.core.errors import UserError
from manyseeds.core.files import make_whole, sha256, write_atomic
from manyseeds.core.layout import (
    FILM,
    LEDGER,
    MANIFEST,
    PARAMS,
    PUBLISHED,
    RUN_RECORD,
    SCALARS,
    SCALARS_ACCOUNT,
    decision_name,
)
from manyseeds.core.manifest import manifest_path

WHOLE = (RUN_RECORD, SCALARS, SCALARS_ACCOUNT, *PARAMS)


def publish(folder: ResultsFolder, output: Path, policies: Sequence[int], every: int = 1) -> None:
    """Copy an experiment's folder.

    Args:
        folder: the experiment.
        output: the folder to make; it appears when it is whole.
        policies: seeds whose last checkpoint is copied.
        every: the scalars of every so many iterations are copied, and those of the last one.

    Raises:
        UserError: when the folder is there already, or a file is malformed.
    """
    if output.exists():
        raise UserError(f"--output is {output}, which exists; remove it first")
    with make_whole(output) as whole:
        _copy(folder, whole, policies, every)


def _copy(folder: ResultsFolder, output: Path, policies: Sequence[int], every: int) -> None:
    complete: dict[str, str] = {}
    cut: dict[str, str] = {}
    for run in folder.runs:
        copy = Run(run.variant, run.seed, output / run.variant / f"seed_{run.seed}")
        for name in WHOLE:
            if (run.folder / name).is_file():
                (copy.folder / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(run.folder / name, copy.folder / name)
        if every > 1 and run.scalars.is_file():
            _thin(run.scalars, copy.scalars, every)
            complete[run.scalars.relative_to(folder.folder).as_posix()] = sha256(run.scalars)
            cut[copy.scalars.relative_to(output).as_posix()] = sha256(copy.scalars)
        vouched = (run.factors, manifest_path(run.folder, run.factors.stem))
        for path in (path for path in vouched if folder.played_under_factors and path.is_file()):
            shutil.copyfile(path, copy.folder / path.name)
        if run.episodes.is_file():
            last = _cut(folder, run, copy)
            name = f"model_{last}.pt"
            if run.seed in policies and (run.folder / name).is_file():
                shutil.copyfile(run.folder / name, copy.folder / name)
            complete[run.episodes.relative_to(folder.folder).as_posix()] = sha256(run.episodes)
            cut |= {path.relative_to(output).as_posix(): sha256(path) for path in (copy.episodes, copy.checkpoints)}
    films = (path for name in (FILM, f"film.{MANIFEST}") for path in folder.folder.glob(f"*/{name}"))
    race = folder.folder.glob(f"{Path(decision_name('*')).stem}.*json")
    for path in (folder.folder / "config.json", folder.folder / LEDGER, *films, *race):
        if path.is_file():
            shutil.copyfile(path, output / path.relative_to(folder.folder))
    with write_atomic(output / PUBLISHED) as partial:
        partial.write_text(json.dumps({"cut_from": complete, "files": cut}, indent=2) + "\n", encoding="utf-8")
    declare_not_shipped(output)


def _cut(folder: ResultsFolder, run: Run, copy: Run) -> int:
    """Write the last checkpoint's episodes, byte by byte as they are, and the sums of the others; return the last.

    Args:
        folder: the experiment.
        run: one of its runs.
        copy: the run in the copy.
    """
    episodes = read_episodes(run, folder.description)
    if episodes.empty:  # there are sums only
        for path, target in ((run.episodes, copy.episodes), (run.checkpoints, copy.checkpoints)):
            shutil.copyfile(path, target)
        return int(read_checkpoints(run)["iteration"].max())
    last = int(episodes["iteration"].max())
    header, *lines = run.episodes.read_text(encoding="utf-8").splitlines(keepends=True)
    place = header.strip().split(",").index("iteration")
    with write_atomic(copy.episodes) as partial:
        kept = [line for line in lines if int(line.split(",")[place]) == last]
        partial.write_text(header + "".join(kept), encoding="utf-8")
    earlier = summaries(folder.outcomes, episodes[episodes["iteration"] < last])
    with write_atomic(copy.checkpoints) as partial:
        earlier.to_csv(partial, index=False, lineterminator="\n", float_format="%.17g")
    return last


def _thin(scalars: Path, target: Path, every: int) -> None:
    """Write every so many rows of a scalars.csv and the last one, byte by byte as they are."""
    header, *rows = scalars.read_text(encoding="utf-8").splitlines(keepends=True)
    kept = rows[every - 1 :: every]
    kept += [] if len(rows) % every == 0 else rows[-1:]
    with write_atomic(target) as partial:
        partial.write_text(header + "".join(kept), encoding="utf-8")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; return 0."""
    parser = verb_parser(
        "publish", __doc__, "results/lift_object --output results/published/lift_object --policies 92 93"
    )
    parser.add_argument("results", type=Path, help="an experiment's folder")
    parser.add_argument("--output", type=Path, required=True, help="the folder to make")
    parser.add_argument("--policies", type=int, nargs="*", default=[], help="seeds whose last checkpoint is copied")
    parser.add_argument(
        "--every",
        type=int,
        default=1,
        metavar="N",
        help="copy the scalars of every N-th iteration and of the last one (1: all), to save space",
    )
    arguments = parser.parse_args(argv)
    if arguments.every < 1:
        raise UserError(f"--every is {arguments.every}; it must be at least 1")
    found = find_results(arguments.results)
    if len(found) != 1:
        raise UserError(f"{arguments.results} holds {len(found)} experiments; give the folder of one")
    publish(found[0], arguments.output, arguments.policies, arguments.every)
    return 0
