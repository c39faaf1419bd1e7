"""Leases of GPUs between the processes of a user on one machine.

Every job that needs GPUs writes a claim file into a folder of the user and holds a lock on it as long as the job or a
child lives; the kernel releases the lock however they end. Claims are read and changed under one more lock, that of the
folder. A claim whose lock is free belongs to a dead job and is removed.
"""

import fcntl
import json
import os
import stat
import sys
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, replace
from fractions import Fraction
from pathlib import Path

from manyseeds.core.errors import UserError
from manyseeds.core.files import parse_json
from manyseeds.core.locks import released
from manyseeds.gpus.devices import Device, filled, read

FOLDER_VARIABLE = "MANYSEEDS_LOCKS"
POLL_S = 0.2
# Jobs that start together wait for each other for a moment; report only longer waits.
REPORT_AFTER_S = 2.0
# A reading of nvidia-smi is reused for this long.
READING_LASTS_S = 5.0


@dataclass(frozen=True)
class Claim:
    """The GPUs that one job wants or has.

    Attributes:
        serial: number of the request; later requests have larger ones.
        who: the job's name.
        pid: its process.
        count: how many GPUs it wants.
        jobs_per_gpu: how many such jobs may share a GPU.
        candidates: keys of the GPUs it can use.
        granted: keys of the GPUs it has; empty while it waits.
    """

    serial: int
    who: str
    pid: int
    count: int
    jobs_per_gpu: int
    candidates: tuple[str, ...]
    granted: tuple[str, ...] = ()


@dataclass(frozen=True)
class Lease:
    """GPUs that belong to this process while the descriptor is open here or in a child.

    Attributes:
        devices: the GPUs; empty for a job that needs none.
        descriptors: file descriptors that a child must inherit.
        serial: the number of its claim.
    """

    devices: tuple[Device, ...] = ()
    descriptors: tuple[int, ...] = ()
    serial: int = 0

    @property
    def environment(self) -> dict[str, str]:
        """Environment variables that show a child only these GPUs."""
        return {"CUDA_VISIBLE_DEVICES": ",".join(device.name for device in self.devices)} if self.devices else {}


@dataclass(frozen=True)
class Registry:
    """The folder of claims.

    Attributes:
        folder: its path; created if missing.
        namespace: prefix of the GPU keys in a scheduler's job, whose GPU 0 need not be the GPU 0 of other jobs.
    """

    folder: Path
    namespace: str = ""

    def __post_init__(self) -> None:
        make_private(self.folder)

    def ask(self, who: str, count: int, jobs_per_gpu: int, candidates: Sequence[str]) -> tuple[Claim, int]:
        """Join the queue; return the claim and the descriptor that holds its lock."""
        with self._locked():
            serial = max((claim.serial for claim in self._living()), default=0) + 1
            claim = Claim(serial, who, os.getpid(), count, jobs_per_gpu, tuple(map(self._local, candidates)))
            descriptor = os.open(self.folder / f"{serial}.claim", os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            _write(descriptor, claim)
        return claim, descriptor

    def take(self, claim: Claim, descriptor: int, skipped: Collection[str] = ()) -> tuple[str, ...]:
        """Return the keys of the GPUs that the claim holds from now on; nothing while it must wait.

        No job overtakes an earlier one that waits for one of the same GPUs.

        Args:
            claim: from `ask`.
            descriptor: from `ask`.
            skipped: keys of GPUs that other programs fill; they are skipped unless one of our jobs already shares them.
        """
        with self._locked():
            others = [other for other in self._living() if other.serial != claim.serial]
            load = {key: _load(others, key) for key in claim.candidates}
            free = [
                key
                for key in claim.candidates
                if load[key] + Fraction(1, claim.jobs_per_gpu) <= 1 and (load[key] or key not in skipped)
            ]
            if earlier_waiting(claim, others) or len(free) < claim.count:
                return ()
            granted = tuple(sorted(free, key=lambda key: load[key])[: claim.count])
            _write(descriptor, replace(claim, granted=granted))
        return tuple(key.removeprefix(self._local("")) for key in granted)

    def claims(self) -> list[Claim]:
        """Return the claims of living jobs, earliest first."""
        with self._locked():
            return self._living()

    def _local(self, key: str) -> str:
        return f"{self.namespace}{key}"

    def _living(self) -> list[Claim]:
        """Read the claims whose lock is held; remove the others. The caller must hold the folder's lock."""
        claims = []
        for path in self.folder.glob("*.claim"):
            descriptor = os.open(path, os.O_RDWR | os.O_NOFOLLOW)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
                path.unlink()
            except BlockingIOError:
                claims.append(_read(descriptor))
            finally:
                os.close(descriptor)
        return sorted(claims, key=lambda claim: claim.serial)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        descriptor = os.open(self.folder / "lock", os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)


def registry() -> Registry:
    """Return the folder of claims of this user on this machine.

    The folder is in /tmp, not in XDG_RUNTIME_DIR or TMPDIR: a container sees only /tmp, and a scheduler gives each job
    another TMPDIR. In a Slurm job, GPU numbers are local to the job, and so are the leases.
    """
    folder = Path(os.environ.get(FOLDER_VARIABLE) or f"/tmp/manyseeds-{os.getuid()}")
    job = os.environ.get("SLURM_JOB_ID")
    return Registry(folder / "gpus", f"slurm {job} " if job else "")


@contextmanager
def lease(
    devices: Sequence[Device],
    count: int,
    jobs_per_gpu: int,
    who: str,
    say: Callable[[str], None] = lambda line: print(line, file=sys.stderr, flush=True),
) -> Iterator[Lease]:
    """Hold `count` of these GPUs; wait until they are free, first come first served.

    Args:
        devices: the GPUs to choose from.
        count: how many GPUs.
        jobs_per_gpu: how many jobs like this one may share a GPU.
        who: the job's name, shown to jobs that wait for it.
        say: receives a line after REPORT_AFTER_S of waiting, and another when the wait is over.

    Raises:
        UserError: if there are not that many GPUs, or other users can write to the folder of claims.
    """
    if len(devices) < count:
        raise UserError(f"{who}: {count} GPUs are needed at once, but only {len(devices)} can be chosen from")
    place = registry()
    claim, descriptor = place.ask(who, count, jobs_per_gpu, [device.key for device in devices])
    by_key = {device.key: device for device in devices}
    with ExitStack() as stack:
        stack.callback(place.claims)  # removes this claim's file
        stack.callback(os.close, descriptor)
        stack.enter_context(released(descriptor))
        skipped, looked, said = dict[str, float](), -READING_LASTS_S, False
        asked = time.monotonic()
        while True:
            others = place.claims()
            first = earlier_waiting(claim, others)
            # GPUs from a scheduler belong to this job, whoever uses their memory.
            if not first and not place.namespace and time.monotonic() - looked >= READING_LASTS_S:
                skipped, looked = filled(read()), time.monotonic()
            if granted := place.take(claim, descriptor, skipped):
                break
            if not said and time.monotonic() - asked >= REPORT_AFTER_S:
                say(f"{who}: {_why(by_key, claim, others, skipped)}")
                said = True
            # Jobs far back in the queue check less often.
            time.sleep(POLL_S * min(10, 1 + len(first)))
        chosen = tuple(by_key[key] for key in granted)
        if said:
            say(f"{who}: has GPU {', '.join(device.number for device in chosen)} now")
        yield Lease(chosen, (descriptor,), claim.serial)


def earlier_waiting(claim: Claim, others: Sequence[Claim]) -> list[Claim]:
    """Return the earlier claims that wait for one of this claim's GPUs."""
    return [
        other
        for other in others
        if other.serial < claim.serial and not other.granted and set(other.candidates) & set(claim.candidates)
    ]


def make_private(folder: Path) -> None:
    """Create a folder that only this user can write to, or check that an existing one is.

    Raises:
        UserError: if it is a link, belongs to someone else, or others can write to it.
    """
    for path in (folder.parent, folder):
        try:
            path.mkdir(mode=0o700, parents=True)
        except FileExistsError:
            pass
        except OSError as error:
            raise UserError(
                f"{path} cannot be created: {error.strerror}; set {FOLDER_VARIABLE} to another folder"
            ) from error
        found = path.lstat()
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or found.st_mode & 0o022:
            raise UserError(
                f"{path} must be a folder that only this user can write to; remove it or set {FOLDER_VARIABLE}"
            )


def _load(claims: Sequence[Claim], key: str) -> Fraction:
    """Return the share of a GPU that is leased."""
    return sum((Fraction(1, claim.jobs_per_gpu) for claim in claims if key in claim.granted), start=Fraction(0))


def _why(devices: dict[str, Device], claim: Claim, others: Sequence[Claim], skipped: dict[str, float]) -> str:
    """Return the sentence that says what a job waits for."""
    holders = [other.who for other in others if set(other.granted) & set(claim.candidates)]
    reasons = [f"in use by {', '.join(holders)}"] if holders else []
    for key, used in skipped.items():
        if key in devices:
            reasons.append(f"GPU {devices[key].number} is skipped: other programs use {used:.0%} of its memory")
    if first := earlier_waiting(claim, others):
        reasons.append(f"{', '.join(other.who for other in first)} asked earlier")
    choice = ", ".join(device.number for device in devices.values())
    which = f"GPU {choice}" if len(devices) == 1 else f"{claim.count} of the GPUs {choice}"
    return f"waits for {which} ({'; '.join(reasons) or 'just freed'})"


def _write(descriptor: int, claim: Claim) -> None:
    data = json.dumps(asdict(claim)).encode()
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, data, 0)


def _read(descriptor: int) -> Claim:
    fields = parse_json(os.pread(descriptor, os.fstat(descriptor).st_size, 0))
    return Claim(**fields | {key: tuple(fields[key]) for key in ("candidates", "granted")})
