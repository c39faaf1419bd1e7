"""Which logs are there, and which of them are one run: several folders of a run that was resumed become one."""

import glob
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from fnmatch import fnmatch
from functools import partial
from pathlib import Path, PurePath
from typing import Any

import pandas as pd
import yaml

from manyseeds.compare import names
from manyseeds.compare.formats import FORMATS, STABLE_BASELINES, Format, Log
from manyseeds.compare.names import Name
from manyseeds.core.errors import UserError
from manyseeds.core.layout import SUPERSEDED
from manyseeds.eventfiles.log import NothingLoggedError


@dataclass(frozen=True)
class Source:
    """Where a log is.

    Attributes:
        path: the folder of the log, or the file where each file is a run; where files hold several runs, their folder
            with the name of the run.
        name: its path below the folder that was given.
        root: the name of that folder.
        variant: what the user calls it.
        files: its files by format.
    """

    path: Path
    name: str
    root: str
    variant: str | None
    files: tuple[tuple[Format, tuple[Path, ...]], ...]

    @property
    def folder(self) -> Path:
        """The folder of the log."""
        return self.path if self.path.is_dir() else self.path.parent

    @property
    def kinds(self) -> str:
        """What kinds of logs it has, in words."""
        return ", ".join(kind.title for kind, _ in self.files)


@dataclass(frozen=True)
class Params:
    """What the files next to a log say of its run; None where they do not."""

    seed: int | None = None
    num_envs: int | None = None
    num_steps_per_env: int | None = None

    @property
    def samples_per_iteration(self) -> int | None:
        """Environment steps of an iteration."""
        return self.num_envs * self.num_steps_per_env if self.num_envs and self.num_steps_per_env else None


@dataclass(frozen=True)
class Part:
    """A log with what is known of its run."""

    source: Source
    log: Log
    params: Params


@dataclass(frozen=True)
class ForeignRun:
    """A run of another program.

    Attributes:
        variant: its variant.
        seed: its seed.
        parts: its logs in the order in which they began.
        table: its scalars by step; later parts replace earlier ones from their first step on.
    """

    variant: str
    seed: int
    parts: tuple[Part, ...]
    table: pd.DataFrame

    @property
    def log(self) -> Log:
        """The first of its logs."""
        return self.parts[0].log

    @property
    def samples_per_iteration(self) -> int | None:
        """Environment steps of an iteration, as its last part says."""
        known = [part.params.samples_per_iteration for part in self.parts if part.params.samples_per_iteration]
        return known[-1] if known else None

    @property
    def label(self) -> str:
        """What sentences call it."""
        return f"{self.variant} seed {self.seed}"


@dataclass
class Found:
    """What was found, and what was left out or noticed on the way, as sentences."""

    sources: list[Source] = field(default_factory=list)
    excluded: list[str] = field(default_factory=list)


def find_sources(arguments: Sequence[str], exclude: Sequence[str] = ()) -> Found:
    """Find all logs below folders.

    Args:
        arguments: each a folder or file, or VARIANT=FOLDER; `*` is expanded where the shell did not.
        exclude: shell patterns of names to leave out.

    Raises:
        UserError: when a folder is missing or holds no log.
    """
    found, seen = Found(), set()
    for argument in arguments:
        variant, places = _places(argument)
        any_log = False
        for place in places:
            for source in _sources(place, variant):
                any_log = True
                if source.path.resolve() in seen:
                    continue
                seen.add(source.path.resolve())
                if any(fnmatch(text, mask) for mask in exclude for text in (source.name, str(source.path))):
                    found.excluded.append(source.name)
                else:
                    found.sources.append(source)
        if not any_log:
            kinds = ", ".join(kind.title for kind in FORMATS)
            raise UserError(f"{argument}: no log found in it or below; what can be read are {kinds}")
    if not found.sources:
        raise UserError(f"--exclude leaves out every run: {', '.join(found.excluded)}")
    return found


def _places(argument: str) -> tuple[str | None, list[Path]]:
    """The variant that an argument names, and the folders or files."""
    variant, text = None, argument
    if not Path(argument).exists() and "=" in argument and not glob.glob(argument):
        variant, _, text = argument.partition("=")
        if not variant:
            raise UserError(f"{argument}: the name of the variant before '=' is missing")
    text = os.path.expanduser(text)
    places = [Path(text)] if Path(text).exists() else [Path(name) for name in sorted(glob.glob(text))]
    if not places:
        raise UserError(f"{text or argument}: no such file or folder")
    return variant, places


def _sources(root: Path, variant: str | None) -> Iterator[Source]:
    """The logs at or below a folder, by name."""
    if root.is_file():
        kinds = [kind for kind in FORMATS if fnmatch(root.name, kind.pattern) and kind.is_one(root)]
        if not kinds:
            raise UserError(f"{root}: not a log; what can be read are {', '.join(kind.title for kind in FORMATS)}")
        if kinds[0].runs:
            yield from _runs_within(kinds[0], [root], "", root.absolute().parent.name, variant)
        else:
            yield Source(root, root.stem, root.absolute().parent.name, variant, ((kinds[0], (root,)),))
        return
    seen: set[Path] = set()
    top = root.absolute().name or "runs"
    for place, folders, files in os.walk(root, followlinks=True, onerror=_raise):
        folder = Path(place)
        seen.add(folder.resolve())
        folders[:] = sorted(
            name
            for name in folders
            if not name.startswith((".", f"{SUPERSEDED}_")) and (folder / name).resolve() not in seen
        )
        below = folder.relative_to(root).as_posix()
        of_folder: list[tuple[Format, tuple[Path, ...]]] = []
        for kind in FORMATS:
            own = [folder / name for name in sorted(files) if fnmatch(name, kind.pattern)]
            own = [path for path in own if path.is_file() and kind.is_one(path)]
            if kind.runs:
                yield from _runs_within(kind, own, "" if below == "." else f"{below}/", top, variant)
            elif not kind.by_file and own:
                of_folder.append((kind, tuple(own)))
            for path in own if kind.by_file else ():
                name = path.stem if below == "." else f"{below}/{path.stem}"
                yield Source(path, name, top, variant, ((kind, (path,)),))
        if of_folder:
            yield Source(folder, top if below == "." else below, top, variant, tuple(of_folder))


def _runs_within(kind: Format, files: Sequence[Path], above: str, top: str, variant: str | None) -> Iterator[Source]:
    """The runs in files of a folder that hold several each, by name."""
    assert kind.runs is not None
    places: dict[str, list[Path]] = {}
    for path in files:
        for run in kind.runs(path):
            places.setdefault(run, []).append(path)
    for run, own in places.items():
        of_run = replace(kind, read=partial(kind.read, run=run))
        yield Source(own[0].parent / run, f"{above}{run}", top, variant, ((of_run, tuple(own)),))


def common_folder(sources: Sequence[Source]) -> str:
    """Return the name of the folder that all logs are in or below."""
    folders = {source.path.absolute().parent for source in sources}
    return os.path.basename(os.path.commonpath(folders)) or "runs"


def _raise(error: OSError) -> None:
    raise UserError(f"{error.filename} cannot be read: {error.strerror}") from error


def read_parts(sources: Iterable[Source], reward: str, allow_corrupt: bool) -> tuple[list[Part], list[str]]:
    """Read the logs.

    Returns:
        The logs, and the names of those in which nothing was logged.

    Raises:
        UserError: when a file cannot be read, or every log is empty.
    """
    parts, empty = [], []
    for source in sources:
        try:
            parts.append(Part(source, _read(source, reward, allow_corrupt), read_params(source)))
        except NothingLoggedError:
            empty.append(source.name)
        except OSError as error:
            raise UserError(f"{error.filename or source.path} cannot be read: {error.strerror}") from error
    if not parts:
        raise UserError(f"no run logged anything: {', '.join(empty)}")
    return parts, empty


def _read(source: Source, reward: str, allow_corrupt: bool) -> Log:
    """Read a log; a tag that several files of a folder have is read from the first of them."""
    first, *others = [kind.read(files, reward, allow_corrupt) for kind, files in source.files]
    for other in others:
        more = [tag for tag in other.table if tag not in first.table]
        if other.counts == first.counts and more:
            first = replace(first, table=first.table.join(other.table[more], how="outer"))
    return first


class _Loader(yaml.SafeLoader):
    """Reads what Isaac Lab and RL Zoo write: objects of Python become plain lists and mappings."""


def _plain(loader: yaml.Loader, suffix: str, node: yaml.Node) -> Any:
    if isinstance(node, yaml.MappingNode):
        return loader.construct_mapping(node, deep=True)
    if isinstance(node, yaml.SequenceNode):
        return loader.construct_sequence(node, deep=True)
    return loader.construct_scalar(node)  # type: ignore[arg-type]


_Loader.add_multi_constructor("tag:yaml.org,2002:python/", _plain)
_Loader.add_multi_constructor("!", _plain)


def read_params(source: Source) -> Params:
    """Read seed and size of a run from params/*.yaml (Isaac Lab, mjlab, manyseeds) or */args.yml (RL Zoo)."""
    folder = source.folder
    agent, env = _mapping(folder / "params" / "agent.yaml"), _mapping(folder / "params" / "env.yaml")
    zoo = next((_mapping(path) for path in sorted(folder.glob("*/args.yml"))), {})
    scene = env.get("scene")
    environments = (scene if isinstance(scene, dict) else env).get("num_envs")
    seeds = [_whole(place.get("seed")) for place in (agent, zoo, env)]
    return Params(
        next((seed for seed in seeds if seed is not None and seed >= 0), None),
        _whole(environments),
        _whole(agent.get("num_steps_per_env")),
    )


def _mapping(path: Path) -> dict[str, Any]:
    """The mapping of a YAML file; empty where there is none, because it only adds to what a log says."""
    try:
        content = yaml.load(path.read_text(encoding="utf-8"), Loader=_Loader)
    except (OSError, UnicodeDecodeError, yaml.YAMLError, ValueError, TypeError, RecursionError):
        return {}
    if isinstance(content, list) and len(content) == 1:  # the argument of RL Zoo's OrderedDict: pairs
        try:
            content = dict(content[0])
        except (TypeError, ValueError):
            return {}
    return content if isinstance(content, dict) else {}


def _whole(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def group(parts: Sequence[Part], template: str | None, *, number_seeds: bool) -> tuple[list[ForeignRun], list[str]]:
    """Say which run each log is of, and join those of one run.

    Args:
        parts: the logs.
        template: --name; None guesses.
        number_seeds: do not take seeds from names and files, but number the runs of each variant.

    Returns:
        The runs by variant, in the order of their names, and seed; and sentences that belong below tables.

    Raises:
        UserError: when a name does not fit, a seed is not known, or two runs have the same variant and seed.
    """
    named = _named(parts, template)
    said = [
        f"{part.source.name}: the name says seed {name.seed}, its params say {part.params.seed}; the name counts."
        for part, name in zip(parts, named, strict=True)
        if None not in (name.seed, part.params.seed) and name.seed != part.params.seed and not number_seeds
    ]
    grouped: dict[str, list[tuple[Part, int | None]]] = {}
    for part, name in zip(parts, named, strict=True):
        seed = None if number_seeds else part.params.seed if name.seed is None else name.seed
        grouped.setdefault(name.variant or "", []).append((part, seed))
    runs: list[ForeignRun] = []
    for variant, own in grouped.items():
        if all(seed is None for _, seed in own):
            in_order = sorted(own, key=lambda entry: entry[0].log.began)
            for part, _ in in_order:
                _check_beginning(part)
            own = [(part, place + 1) for place, (part, _) in enumerate(in_order)]
            said.append(_numbered(variant, [part for part, _ in own]))
        by_seed: dict[int, list[Part]] = {}
        for part, seed in own:
            if seed is None:
                raise UserError(
                    f"{part.source.path}: its seed is in neither its name nor its params; say where with --name, such "
                    "as --name '{variant}_seed{seed}'"
                )
            by_seed.setdefault(seed, []).append(part)
        runs += [_join(variant, seed, by_seed[seed], said) for seed in sorted(by_seed)]
    return runs, said


def _named(parts: Sequence[Part], template: str | None) -> list[Name]:
    """Variant and seed of each log, as far as names tell."""
    found = []
    pattern = names.pattern_of(template) if template else None
    for part in parts:
        source = part.source
        if pattern is not None:
            # A run that is a file has its name without the ending.
            path = PurePath(source.path.absolute())
            name = names.matched(pattern, path.with_suffix("") if source.path.is_file() else path, template or "")
        else:
            name = names.guessed(source.name)
            if name.number is not None and (part.params.seed is None or part.log.program == STABLE_BASELINES):
                seed = name.number if part.params.seed is None else None
                name = Name(names.without_number(name.variant or ""), seed)
        found.append(replace(name, variant=source.variant or name.variant or source.root))
    return found


def _numbered(variant: str, parts: Sequence[Part]) -> str:
    """Say that runs are numbered, and whether they were trained with equal seeds as far as is known."""
    seeds = [part.params.seed for part in parts if part.params.seed is not None]
    equal = len(seeds) - len(set(seeds))
    return f"{variant}: its runs are numbered in the order in which they began; " + (
        f"{equal + 1} of them or more were trained with an equal seed, so they may differ less than seeds do."
        if equal
        else "their seeds are not known."
    )


def _check_beginning(part: Part) -> None:
    """A log that begins late continues another run; without a seed nobody knows which."""
    first, last = part.log.table.index[[0, -1]]
    if part.log.counts == "iterations" and first > max(1, 0.05 * last):
        raise UserError(
            f"{part.source.path}: it begins at iteration {first}, so it continues another run, and neither its name "
            "nor its params say which; give both the same variant and seed with --name"
        )


def _join(variant: str, seed: int, parts: list[Part], said: list[str]) -> ForeignRun:
    """Join the logs of one run; each replaces what earlier ones logged from its first step on."""
    first, *others = parts = sorted(parts, key=lambda part: part.log.began)
    table = first.log.table
    for part in others:
        own = part.log.table
        if own.index[0] <= first.log.table.index[0]:
            raise UserError(
                f"{first.source.path} and {part.source.path} are both {variant} seed {seed} and both begin at step "
                f"{own.index[0]}, so they are two runs: tell them apart with --name or VARIANT=FOLDER, leave one out "
                "with --exclude, or, if their seeds are not what was read, add --number-seeds"
            )
        lost = own.index[0] - table.index[-1] - 1
        if part.log.counts == "iterations" and lost > 0:
            said.append(f"{part.source.name}: {lost} iterations before it are in no log of {variant} seed {seed}.")
        table = pd.concat([table[table.index < own.index[0]], own])
    return ForeignRun(variant, seed, tuple(parts), table)
