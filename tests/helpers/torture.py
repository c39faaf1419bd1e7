"""Disturb trainings and whole workflows in every way that a machine does; compare what they end with, byte by byte.

Processes of training, evaluation and aggregation, and Snakemake itself, are killed at random moments. Disks are full,
clocks jump, files are cut short or lose a bit, and a second workflow starts beside the first.
"""

import argparse
import contextlib
import importlib.util
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import yaml

sys.path.insert(0, str(Path(__file__).parents[1]))

from helpers import kills
from helpers.workflows import TINY
from manyseeds.core.layout import REPOSITORY, SUPERSEDED

BEGIN, END = "<!-- torture: begin -->", "<!-- torture: end -->"
SIMULATORS = ("mujoco", "mujoco_warp")
EXPERIMENT = TINY | {
    "seeds": [1],
    "train": {"num_envs": 8, "max_iterations": 12, "save_interval": 4, "state_interval": 1},
    "evaluate": {"episodes": 4},
}
RESULTS = Path("results") / "tiny"
# Other tables hold the checksum of scalars that measure time.
COMPARED = ("default/seed_1/model_*.pt", "default/seed_1/episodes.csv", "success_rates*.csv")
JOB = re.compile(rb"\0manyseeds\0(launch|train|evaluate|scalars|curves|tables)\0")
STARTS = 8
"""Starts of a workflow that are disturbed; the next ones must end."""
PATIENCE_S = 1800


class Round:
    """One workflow in a folder of its own, disturbed until it is left alone.

    Args:
        folder: where it runs.
        simulator: what its runs are trained in.
        chance: chooses the moments.
        duration: seconds that an undisturbed start takes.
        counts: what was done.
    """

    def __init__(self, folder: Path, simulator: str, chance: random.Random, duration: float, counts: Counter) -> None:
        self._folder, self._chance, self._duration, self._counts = folder, chance, duration, counts
        folder.mkdir()
        (folder / "config.yaml").write_text(yaml.safe_dump({**EXPERIMENT, "simulator": simulator}))

    def start(self) -> subprocess.Popen:
        """Start Snakemake in a session of its own."""
        command = [sys.executable, "-m", "snakemake", "--snakefile", str(REPOSITORY / "Snakefile"), "--cores", "1"]
        with (self._folder / "snakemake.log").open("a") as log:
            return subprocess.Popen(
                [*command, "tables"], cwd=self._folder, stdout=log, stderr=log, start_new_session=True
            )

    def disturb(self) -> None:
        """Start the workflow, disturb it once, and leave no process behind."""
        process = self.start()
        time.sleep(self._chance.uniform(0.1, 1.0) * self._duration)
        if self._chance.random() < 0.2:
            second = self.start()
            self._counts["second workflows"] += 1
            time.sleep(self._chance.uniform(0, 0.3) * self._duration)
            self._kill_all(second)
        jobs = self._jobs()
        if process.poll() is not None:
            return
        if jobs and self._chance.random() < 0.5:
            for job in jobs:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(job, signal.SIGKILL)
            self._counts["kills of jobs"] += 1
            time.sleep(self._chance.uniform(0, 0.2) * self._duration)
        else:
            process.kill()
            self._counts["kills of Snakemake"] += 1
            if self._chance.random() < 0.3:  # its jobs go on for a while, beside the next Snakemake
                return
        self._kill_all(process)

    def damage(self) -> None:
        """Cut a file short, flip a bit of it or remove it."""
        files = sorted(
            path
            for path in (self._folder / RESULTS).rglob("*")
            if path.is_file() and path.stat().st_size and SUPERSEDED not in str(path) and path.name != ".lock"
        )
        if not files:
            return
        path = self._chance.choice(files)
        kind = self._chance.choice(("files cut short", "bits flipped", "files removed"))
        content = bytearray(path.read_bytes())
        if kind == "files cut short":
            path.write_bytes(content[: self._chance.randrange(len(content))])
        elif kind == "bits flipped":
            content[self._chance.randrange(len(content))] ^= 1 << self._chance.randrange(8)
            path.write_bytes(content)
        else:
            path.unlink()
        self._counts[kind] += 1

    def jump(self) -> None:
        """Move the modification times of all files, as a clock that jumps does."""
        seconds = self._chance.choice((-1, 1)) * self._chance.uniform(60, 86400)
        for path in (self._folder / RESULTS).rglob("*"):
            if path.is_file():
                times = path.stat()
                os.utime(path, (times.st_atime + seconds, times.st_mtime + seconds))
        self._counts["clock jumps"] += 1

    def full_disk(self) -> None:
        """Start the workflow on a disk that is soon full, which it was not before and is not afterwards."""
        if os.geteuid():
            return
        disk = self._folder.with_name(f"{self._folder.name}_disk")
        disk.mkdir()
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=100m", "tmpfs", disk], check=True)
        try:
            for path in self._folder.iterdir():
                shutil.move(path, disk / path.name)
            self._folder.rmdir()
            self._folder.symlink_to(disk)
            used = sum(path.stat().st_blocks * 512 for path in disk.rglob("*") if path.is_file())
            size = used + self._chance.randrange(4096, 400_000)
            subprocess.run(["mount", "-o", f"remount,size={size}", "tmpfs", disk], check=True)
            process = self.start()
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(2 * self._duration + 10)
            self._kill_all(process)
            self._counts["full disks"] += 1
            self._folder.unlink()
            shutil.copytree(disk, self._folder, symlinks=True)
        finally:
            subprocess.run(["umount", "-l", disk], check=True)
            disk.rmdir()

    def end(self) -> bool:
        """Let the workflow end; return whether it did, without a traceback."""
        for _ in range(2):
            size = (self._folder / "snakemake.log").stat().st_size
            code = self.start().wait(PATIENCE_S)
            said = (self._folder / "snakemake.log").read_text(errors="replace")[size:]
            if code == 0:
                return "Traceback" not in said
        return False

    def left(self) -> dict[str, bytes]:
        """Return what must be the same in every round."""
        results = self._folder / RESULTS
        files = {
            path.relative_to(results).as_posix(): path.read_bytes()
            for pattern in COMPARED
            for path in sorted(results.glob(pattern))
        }
        print_of_run = kills.fingerprint(results / "default" / "seed_1")["scalars"]
        return files | {"scalars": repr(sorted(print_of_run.items())).encode()}

    def _jobs(self) -> list[int]:
        found = []
        for process in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                here = (process / "cwd").resolve() == self._folder.resolve()
                if here and JOB.search((process / "cmdline").read_bytes()):
                    found.append(int(process.name))
        return found

    def _kill_all(self, process: subprocess.Popen) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def workflows(folder: Path, simulator: str, until: float, chance: random.Random, counts: Counter) -> None:
    """Disturb workflows until a time; add to `counts`."""
    begin = time.monotonic()
    reference = Round(folder / "reference", simulator, chance, 0.0, Counter())
    if reference.start().wait(PATIENCE_S):
        raise RuntimeError(f"undisturbed: {(folder / 'reference' / 'snakemake.log').read_text()[-2000:]}")
    wanted, duration = reference.left(), time.monotonic() - begin
    while time.monotonic() + duration < until:
        place = folder / f"round_{counts['workflows']}"
        trial = Round(place, simulator, chance, duration, counts)
        for _ in range(chance.randint(1, STARTS)):
            trial.disturb()
            chance.choice((trial.damage, trial.jump, trial.full_disk, lambda: None))()
            if time.monotonic() > until:
                break
        counts["workflows"] += 1
        whole = trial.end()
        same = whole and trial.left() == wanted
        counts["workflows identical" if same else "workflows different"] += 1
        print(json.dumps(counts), flush=True)
        if same:
            shutil.rmtree(place)


def trainings(folder: Path, simulator: str, seconds: float, chance: random.Random, counts: Counter) -> None:
    """Kill trainings for some seconds, quicker than a workflow starts; add to `counts`."""
    found = kills.torture(folder, 10_000, chance.randrange(2**31), simulator=simulator, seconds=seconds)
    counts["kills of trainings"] += found.kills
    counts["of these in the writing of a file"] += found.kills_in_writing
    counts["trainings identical"] += found.identical
    counts["trainings different"] += found.different


def main(argv: Sequence[str] | None = None) -> int:
    """Torture; return 0 when everything ended identical, else 1."""
    parser = argparse.ArgumentParser(prog="python tests/helpers/torture.py", description=__doc__)
    parser.add_argument("--minutes", type=float, default=60, help="how long (60)")
    parser.add_argument("--seed", type=int, default=int(time.time()), help="seed of the moments (the time)")
    parser.add_argument("--write", type=Path, help="file whose block is renewed with the result: docs/trust.md")
    args = parser.parse_args(argv)
    simulators = [name for name in SIMULATORS if importlib.util.find_spec(name)]
    chance, counts, seconds = random.Random(args.seed), Counter[str](), 60 * args.minutes / len(simulators)
    folder = Path(tempfile.mkdtemp(prefix="torture_"))
    print(f"seed {args.seed}, in {folder}", flush=True)
    for simulator in simulators:
        begin = time.monotonic()
        for name in ("trainings", "workflows"):
            (folder / f"{name}_{simulator}").mkdir()
        trainings(folder / f"trainings_{simulator}", simulator, 0.4 * seconds, chance, counts)
        workflows(folder / f"workflows_{simulator}", simulator, begin + seconds, chance, counts)
    different = counts["trainings different"] + counts["workflows different"]
    killed = sum(number for name, number in counts.items() if name.startswith("kills of"))
    counts.setdefault("trainings different", 0)
    counts.setdefault("workflows different", 0)
    lines = [f"| {name} | {counts[name]} |" for name in sorted(counts)]
    day = datetime.now(UTC).date().isoformat()
    said = (
        f"{day}, {args.minutes:g} minutes on {', '.join(simulators)}: {killed} kills, {different} different.\n\n"
        + "\n".join(["| what | how often |", "|---|---:|", *lines])
    )
    print(said)
    if args.write:
        text = args.write.read_text(encoding="utf-8")
        before, _, rest = text.partition(BEGIN)
        args.write.write_text(f"{before}{BEGIN}\n\n{said}\n\n{END}{rest.partition(END)[2]}", encoding="utf-8")
    if different:
        print(f"what ended different is kept in {folder}")
        return 1
    shutil.rmtree(folder, ignore_errors=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
