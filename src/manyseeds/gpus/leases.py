"""Leases of GPUs between the processes of a user on one machine.

Every job that wants GPUs has one file, a claim, in a folder of the user's, and holds a lock on it for as long as it
or a child lives; the kernel drops the lock however they die. What a claim holds is changed under one more lock, and a
claim whose lock is free counts for nothing.
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
from manyseeds.gpus.devices import Device, filled, read

FOLDER_VARIABLE = "MANYSEEDS_LOCKS"
POLL_S = 0.2
# Jobs that start together queue up for a moment, one behind the other; that is not worth a line.
UNSAID_S = 2.0
READING_LASTS_S = 5.0


@dataclass(frozen=True)
class Claim:
    """What one job wants or has.

    Attributes:
        serial: rises in the order of asking.
        who: the job's name.
        pid: its process.
        count: how many GPUs it wants.
        jobs_per_gpu: how many such jobs may share a GPU.
        candidates: keys of the GPUs it can use.
        granted: keys of those it has; empty while it waits.
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
    """GPUs that belong to this process while its descriptor is open here or in a child.

    Attributes:
        devices: the GPUs; none for a job that needs none.
        descriptors: what a child must inherit.
        serial: the job's place in the order of asking.
    """

    devices: tuple[Device, ...] = ()
    descriptors: tuple[int, ...] = ()
    serial: int = 0

    @property
    def environment(self) -> dict[str, str]:
        """Environment variables that show a child these GPUs and no other."""
        return {"CUDA_VISIBLE_DEVICES": ",".join(device.name for device in self.devices)} if self.devices else {}


@dataclass(frozen=True)
class Registry:
    """The folder of claims.

    Attributes:
        folder: where it is; made where it is missing.
        namespace: what GPU keys are local to, such as a scheduler's job, whose GPU 0 is not everybody's.
    """

    folder: Path
    namespace: str = ""

    def __post_init__(self) -> None:
        make_private(self.folder)

    def ask(self, who: str, count: int, jobs_per_gpu: int, candidates: Sequence[str]) -> tuple[Claim, int]:
        """Queue up; return the claim and the descriptor that keeps it."""
        with self._alone():
            serial = max((claim.serial for claim in self._living()), default=0) + 1
            claim = Claim(serial, who, os.getpid(), count, jobs_per_gpu, tuple(map(self._local, candidates)))
            descriptor = os.open(self.folder / f"{serial}.claim", os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            _write(descriptor, claim)
        return claim, descriptor

    def take(self, claim: Claim, descriptor: int, passed_over: Collection[str] = ()) -> tuple[str, ...]:
        """Return the keys of the GPUs that are the claim's from now on; nothing while it must wait.

        No job overtakes another that waits for one of its GPUs.

        Args:
            claim: from `ask`.
            descriptor: from `ask`.
            passed_over: keys of GPUs that other programs fill; they count only where no job has a share.
        """
        with self._alone():
            others = [other for other in self._living() if other.serial != claim.serial]
            load = {key: _load(others, key) for key in claim.candidates}
            free = [
                key
                for key in claim.candidates
                if load[key] + Fraction(1, claim.jobs_per_gpu) <= 1 and (load[key] or key not in passed_over)
            ]
            if ahead(claim, others) or len(free) < claim.count:
                return ()
            granted = tuple(sorted(free, key=lambda key: load[key])[: claim.count])
            _write(descriptor, replace(claim, granted=granted))
        return tuple(key.removeprefix(self._local("")) for key in granted)

    def claims(self) -> list[Claim]:
        """Return the claims of living jobs in the order of asking."""
        with self._alone():
            return self._living()

    def _local(self, key: str) -> str:
        return f"{self.namespace}{key}"

    def _living(self) -> list[Claim]:
        """Read the claims whose lock is held; remove the others. The caller holds the folder's lock."""
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
    def _alone(self) -> Iterator[None]:
        descriptor = os.open(self.folder / "lock", os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)


def registry() -> Registry:
    """Return the folder of claims of this user on this machine.

    It is below /tmp, not below XDG_RUNTIME_DIR or TMPDIR, because a container sees /tmp alone and a scheduler gives
    each job a TMPDIR of its own. Within a job of Slurm the GPUs' names are the job's own, and so are the leases.
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
    """Hold `count` of these GPUs; wait in the order of asking until they are free.

    Args:
        devices: the GPUs to choose from.
        count: how many.
        jobs_per_gpu: how many jobs like this one may share a GPU.
        who: the job's name, for those who wait for it.
        say: gets a line when the job has waited for UNSAID_S, and one when it waits no longer.

    Raises:
        UserError: when there are not that many GPUs, or the folder of claims is not safe.
    """
    if len(devices) < count:
        raise UserError(f"{who}: {count} GPUs are needed at once, but there {_are(len(devices))} to choose from")
    place = registry()
    claim, descriptor = place.ask(who, count, jobs_per_gpu, [device.key for device in devices])
    by_key = {device.key: device for device in devices}
    with ExitStack() as stack:
        stack.callback(place.claims)  # removes this one's file, unless a child lives on
        stack.callback(os.close, descriptor)
        passed_over, looked, said = dict[str, float](), -READING_LASTS_S, False
        asked = time.monotonic()
        while True:
            others = place.claims()
            first = ahead(claim, others)
            # A scheduler's GPUs are this job's, whoever fills them.
            if not first and not place.namespace and time.monotonic() - looked >= READING_LASTS_S:
                passed_over, looked = filled(read()), time.monotonic()
            if granted := place.take(claim, descriptor, passed_over):
                break
            if not said and time.monotonic() - asked >= UNSAID_S:
                say(f"{who}: {_why(by_key, claim, others, passed_over)}")
                said = True
            # Those far behind need not look as often.
            time.sleep(POLL_S * min(10, 1 + len(first)))
        chosen = tuple(by_key[key] for key in granted)
        if said:
            say(f"{who}: has GPU {', '.join(device.number for device in chosen)} now")
        yield Lease(chosen, (descriptor,), claim.serial)


def ahead(claim: Claim, others: Sequence[Claim]) -> list[Claim]:
    """Return the claims that asked before this one and wait for one of its GPUs."""
    return [
        other
        for other in others
        if other.serial < claim.serial and not other.granted and set(other.candidates) & set(claim.candidates)
    ]


def make_private(folder: Path) -> None:
    """Make a folder that this user alone can write to, or check that it is one.

    Raises:
        UserError: when it is a link, someone else's, or open to others.
    """
    for path in (folder.parent, folder):
        try:
            path.mkdir(mode=0o700, parents=True)
        except FileExistsError:
            pass
        except OSError as error:
            raise UserError(
                f"{path} cannot be made: {error.strerror}; {FOLDER_VARIABLE} names another folder"
            ) from error
        found = path.lstat()
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or found.st_mode & 0o022:
            raise UserError(
                f"{path} must be a folder that only this user can write to; remove it or set {FOLDER_VARIABLE}"
            )


def _load(claims: Sequence[Claim], key: str) -> Fraction:
    """Return the share of a GPU that is taken."""
    return sum((Fraction(1, claim.jobs_per_gpu) for claim in claims if key in claim.granted), start=Fraction(0))


def _why(devices: dict[str, Device], claim: Claim, others: Sequence[Claim], passed_over: dict[str, float]) -> str:
    """Say what a job waits for."""
    holders = [other.who for other in others if set(other.granted) & set(claim.candidates)]
    reasons = [f"in use by {', '.join(holders)}"] if holders else []
    for key, used in passed_over.items():
        if key in devices:
            reasons.append(f"GPU {devices[key].number} is passed over: other programs use {used:.0%} of its memory")
    if first := ahead(claim, others):
        reasons.append(f"{', '.join(other.who for other in first)} asked before")
    choice = ", ".join(device.number for device in devices.values())
    which = f"GPU {choice}" if len(devices) == 1 else f"{claim.count} of the GPUs {choice}"
    return f"waits for {which} ({'; '.join(reasons) or 'just freed'})"


def _are(number: int) -> str:
    return "is none" if number == 0 else f"is only {number}" if number == 1 else f"are only {number}"


def _write(descriptor: int, claim: Claim) -> None:
    data = json.dumps(asdict(claim)).encode()
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, data, 0)


def _read(descriptor: int) -> Claim:
    fields = json.loads(os.pread(descriptor, os.fstat(descriptor).st_size, 0))
    return Claim(**fields | {key: tuple(fields[key]) for key in ("candidates", "granted")})
