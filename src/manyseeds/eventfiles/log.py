"""One run's log folder to ordered scalars: sort the files, and drop what a resumed run wrote twice."""

from collections.abc import Callable
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path

import numpy as np
from google.protobuf.message import DecodeError
from numpy.typing import NDArray

from manyseeds.core.errors import UserError
from manyseeds.eventfiles.events import EventDecoder
from manyseeds.eventfiles.messages import Event
from manyseeds.eventfiles.records import Damage, RecordReader

# Their steps are clock times in whole seconds, not iterations, and many values share a step.
CLOCK_TAGS = "Train/*/time"

# Tags of older RSL-RL releases, and their names in release 5.
RENAMED_TAGS = {
    "Loss/value_function": "Loss/value",
    "Policy/mean_noise_std": "Policy/mean_std",
    "Perf/collection time": "Perf/collection_time",
}

REWARD = "Train/mean_reward"
"""RSL-RL's tag of the return, whose steps are iterations."""
# A tag counts iterations if at least this share of its steps fits between those of the reward's before and after it.
_FITTING = 0.9


class NothingLoggedError(UserError):
    """The event files of a run are whole and hold no scalar: it ended before its first iteration did."""


Progress = Callable[[str, int, int], None]  # file name, bytes read, total bytes


@dataclass
class FileAccount:
    """What one event file held, and what was done with it."""

    name: str
    size: int  # bytes
    first_wall_time: float | None = None  # s since 1970, of the first event
    records: int = 0
    scalars: int = 0  # per-iteration scalars read
    clock_scalars: int = 0  # scalars under CLOCK_TAGS or RunLog.left_out, left out
    undecodable: int = 0  # valid records that are not events
    rows_cut: int = 0  # iterations of this file that were written again after a resume or restart
    scalars_cut: int = 0
    damage: list[Damage] = field(default_factory=list)


@dataclass(frozen=True)
class RunLog:
    """A run's scalars; arrays of equal length, each tag's steps without repetition.

    `tag` indexes `tags`. `files` are in the order of their first wall time. `left_out` are tags whose steps are not
    iterations, such as curves over seconds or samples.
    """

    tags: list[str]
    tag: NDArray[np.int32]
    step: NDArray[np.int64]
    value: NDArray[np.float32]
    files: list[FileAccount]
    left_out: list[str] = field(default_factory=list)


@dataclass
class _Part:
    """One file's scalars, and its restarts as (number of scalars before it, step)."""

    account: FileAccount
    tag: NDArray[np.int32]
    step: NDArray[np.int64]
    value: NDArray[np.float32]
    restarts: list[tuple[int, int]]


def event_files(log: Path) -> list[Path]:
    """Return the event files of a folder (or the file itself), by name; subfolders are other runs.

    Raises:
        UserError: if there is no event file.
    """
    if log.is_file():
        return [log]
    if not log.is_dir():
        raise UserError(f"{log}: no such file or folder")
    files = sorted(path for path in log.iterdir() if "tfevents" in path.name and path.is_file())
    if not files:
        nested = sorted({str(path.parent) for path in log.glob("*/**/*tfevents*")})
        hint = f"; there are some in {', '.join(nested[:5])}" if nested else ""
        raise UserError(f"{log}: no event file (a name with 'tfevents') in this folder{hint}")
    return files


def read_log(
    log: Path, *, iterations_of: str = REWARD, allow_corrupt: bool = False, progress: Progress | None = None
) -> RunLog:
    """Read all per-iteration scalars of a run.

    The files are ordered by the wall time of their first event. If a later file starts at an iteration that earlier
    files have reached, and shares a tag with them, the run was resumed there: the earlier files are cut at that
    iteration. A SessionLog START (written by `purge_step`) cuts everything before it in the same way. Within a file, a
    tag that repeats one of its steps is cut back to that step.

    Args:
        log: a folder with event files of one run, or one event file.
        iterations_of: the tag whose steps are iterations; tags that count something else are left out. Without it in
            the log all tags are taken.
        allow_corrupt: continue if the middle of a file is corrupt; its account says where.
        progress: called now and then while reading.

    Raises:
        NothingLoggedError: if no file has a scalar.
        UserError: if a file is not an event file, or one is corrupt without `allow_corrupt`.
    """
    decoder = EventDecoder()
    parts = [_read_file(path, decoder, allow_corrupt, progress) for path in event_files(log)]
    parts.sort(key=lambda part: (part.account.first_wall_time or 0.0, part.account.name))
    if not sum(len(part.tag) for part in parts):
        what = "is empty" if not any(part.account.size for part in parts) else "holds no scalars"
        raise NothingLoggedError(f"{log}: the log {what} ({', '.join(part.account.name for part in parts)})")
    other_axes = _other_axes(parts, RENAMED_TAGS.get(iterations_of, iterations_of), decoder)
    parts = [_without(part, other_axes) for part in parts]
    tag, step, value, alive = _join(parts)
    start = 0
    for part in parts:
        here = slice(start, start + len(part.tag))
        cut = ~alive[here]
        part.account.scalars_cut = int(cut.sum())
        part.account.rows_cut = len(np.setdiff1d(part.step[cut], part.step[~cut]))
        start = here.stop
    left_out = sorted(decoder.tags[number] for number in other_axes)
    return RunLog(decoder.tags, tag[alive], step[alive], value[alive], [part.account for part in parts], left_out)


def _read_file(path: Path, decoder: EventDecoder, allow_corrupt: bool, progress: Progress | None) -> _Part:
    account = FileAccount(path.name, path.stat().st_size)
    reader = RecordReader(path)
    decoder.undecodable = 0
    columns: list[tuple[NDArray, NDArray, NDArray]] = []
    restarts: list[tuple[int, int]] = []
    for groups in reader.blocks():
        if account.first_wall_time is None:
            first = min(groups, key=lambda group: group.number[0])
            account.first_wall_time = _first_wall_time(first.data[:, 0].tobytes(), path)
        scalars, marks = decoder.decode(groups)
        numbers, keep = _per_iteration(decoder)
        kept = keep[scalars.tag]
        restarts += [(account.scalars + int(kept[scalars.record < row].sum()), step) for row, step in marks]
        columns.append((numbers[scalars.tag[kept]], scalars.step[kept], scalars.value[kept]))
        account.scalars += int(kept.sum())
        account.clock_scalars += int((~kept).sum())
        if progress:
            progress(path.name, reader.position, account.size)
    account.records, account.undecodable, account.damage = reader.records, decoder.undecodable, reader.damage
    if account.size and not account.records and all(damage.kind == "unreadable" for damage in account.damage):
        raise UserError(f"{path}: not an event file")
    if account.undecodable and not allow_corrupt:
        raise UserError(f"{path}: {account.undecodable} records are not events; --allow-corrupt skips them")
    corrupt = [damage for damage in account.damage if damage.kind != "truncated"]
    if corrupt and not allow_corrupt:
        raise UserError(
            f"{path}: {corrupt[0].kind} at byte {corrupt[0].offset} ({sum(d.size for d in corrupt)} bytes in "
            f"{len(corrupt)} places); --allow-corrupt reads the rest and reports what is lost"
        )
    if columns:
        tag, step, value = (np.concatenate(column) for column in zip(*columns, strict=True))
    else:
        tag, step, value = np.zeros(0, np.int32), np.zeros(0, np.int64), np.zeros(0, np.float32)
    return _Part(account, tag, step, value, restarts)


def _first_wall_time(payload: bytes, path: Path) -> float:
    event = Event()
    try:
        event.ParseFromString(payload)
    except DecodeError:
        raise UserError(f"{path}: not an event file: its first record is not an event") from None
    if not (event.wall_time or event.file_version.startswith("brain.Event")):
        raise UserError(f"{path}: not an event file: its first record has neither version nor wall time")
    return event.wall_time


def _per_iteration(decoder: EventDecoder) -> tuple[NDArray[np.int32], NDArray[np.bool_]]:
    """For each tag of the decoder, return the number of its present name, and whether it is per iteration."""
    names = list(decoder.tags)
    numbers = [decoder.number(RENAMED_TAGS.get(name, name)) for name in names]
    keep = [not fnmatchcase(name, CLOCK_TAGS) for name in names]
    return np.array(numbers, np.int32), np.array(keep, bool)


def _other_axes(parts: list[_Part], reward: str, decoder: EventDecoder) -> list[int]:
    """Return the tags whose steps do not count what those of the reward count.

    An iteration's scalars are written together, so the steps of a tag that counts iterations lie between those of the
    reward before and after it, however seldom either is logged.
    """
    if reward not in decoder.tags:
        return []
    number = decoder.number(reward)
    total, misfits = np.zeros(len(decoder.tags), np.int64), np.zeros(len(decoder.tags), np.int64)
    for part in parts:
        places = np.flatnonzero(part.tag == number)
        if not len(places):
            continue
        known = part.step[places]
        gap = int(np.abs(np.diff(known)).max(initial=1))
        after = np.searchsorted(places, np.arange(len(part.tag)), side="right")
        previous = np.concatenate([[np.iinfo(np.int64).min], known])[after]
        following = np.concatenate([known, [known[-1] + max(gap, 1)]])[after]
        low, high = np.minimum(previous, following), np.maximum(previous, following)
        outside = (part.step < low) | (part.step > high)
        total += np.bincount(part.tag, minlength=len(total))
        misfits += np.bincount(part.tag[outside], minlength=len(total))
    return [int(tag) for tag in np.flatnonzero(misfits > (1 - _FITTING) * total) if tag != number]


def _without(part: _Part, tags: list[int]) -> _Part:
    """Return a part without some tags."""
    kept = ~np.isin(part.tag, tags)
    if kept.all():
        return part
    part.account.scalars -= int((~kept).sum())
    part.account.clock_scalars += int((~kept).sum())
    restarts = [(int(kept[:before].sum()), step) for before, step in part.restarts]
    return _Part(part.account, part.tag[kept], part.step[kept], part.value[kept], restarts)


def _join(
    parts: list[_Part],
) -> tuple[NDArray[np.int32], NDArray[np.int64], NDArray[np.float32], NDArray[np.bool_]]:
    """Concatenate the files and mark which scalars survive resumes and restarts."""
    tag = np.concatenate([part.tag for part in parts])
    step = np.concatenate([part.step for part in parts])
    value = np.concatenate([part.value for part in parts])
    alive = np.ones(len(tag), bool)
    start = 0
    for part in parts:
        cuts = [(start + before, at) for before, at in part.restarts]
        if len(part.tag) and np.isin(np.unique(part.tag), tag[:start]).any():
            cuts.append((start, int(part.step[0])))
        for before, at in cuts:
            alive[:before] &= step[:before] < at
        start += len(part.tag)
    _cut_repeated_steps(tag, step, alive)
    return tag, step, value, alive


def _cut_repeated_steps(tag: NDArray, step: NDArray, alive: NDArray[np.bool_]) -> None:
    """If a tag repeats a step, drop its earlier values from that step on."""
    living = np.flatnonzero(alive)
    order = living[np.argsort(tag[living], kind="stable")]
    back = (step[order][1:] <= step[order][:-1]) & (tag[order][1:] == tag[order][:-1])
    for number in np.unique(tag[order[1:][back]]):
        rows = order[tag[order] == number]
        seen: dict[int, int] = {}
        for row in rows.tolist():
            at = int(step[row])
            if at in seen:
                while seen and next(reversed(seen)) >= at:
                    alive[seen.popitem()[1]] = False
                if at in seen:  # after a smaller step: steps were out of order, and only this one is repeated
                    alive[seen.pop(at)] = False
            seen[at] = row
