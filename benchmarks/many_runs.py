"""What a thousand runs cost besides training: planning, the steps and files of each run, the curves over all runs.

A stand-in for training copies a real event file and a real checkpoint; everything else is the workflow itself.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import yaml
from _timing import machine

from manyseeds.core.layout import REPOSITORY

CHECKPOINT = REPOSITORY / "results/published/lift_object/default/seed_132/model_350.pt"
ITERATIONS, TAGS = 500, 25
# sitecustomize: Python runs this at start-up, and it replaces the trainer by the stand-in.
STAND_IN = """
import os, sys
if "manyseeds" in sys.orig_argv and "train" in sys.argv[1:2]:
    import json, shutil
    from pathlib import Path
    from manyseeds.core.record import write_run_record
    run = json.loads(Path(sys.argv[sys.argv.index("--run") + 1]).read_text())
    folder, last, every = Path(run["log_dir"]), run["train"]["max_iterations"], run["train"]["save_interval"]
    (folder / "params").mkdir(exist_ok=True)
    names = [f"params/{name}.yaml" for name in ("agent", "env")]
    for name in names:
        (folder / name).write_text("stand: in\\n")
    shutil.copy(os.environ["STAND_IN_EVENTS"], folder / "events.out.tfevents.manyseeds")
    policies = [f"model_{iteration}.pt" for iteration in range(every, last + 1, every)]
    for name in (*policies, "state.pt"):
        shutil.copy(os.environ["STAND_IN_CHECKPOINT"], folder / name)
    outputs = [*policies, "events.out.tfevents.manyseeds", *names]
    write_run_record(folder, outputs, seed=run["seed"], **run["launched"])
    os._exit(0)
"""


@dataclass(frozen=True)
class Cost:
    """Wall-clock and CPU seconds, and the peak resident size of one process in MB."""

    wall: float
    cpu: float
    peak_mb: float

    def __str__(self) -> str:
        return f"{self.wall:.1f} s by the clock, {self.cpu:.1f} s of CPU, {self.peak_mb:.0f} MB"


def run(*command: str, folder: Path, **environment: str) -> Cost:
    """Run a command; measure it with its children."""
    with (folder / "out.log").open("w") as out:
        begin = time.perf_counter()
        process = subprocess.Popen(
            command, cwd=folder, env=os.environ | environment, stdout=out, stderr=subprocess.STDOUT
        )
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        sys.exit((folder / "out.log").read_text())
    return Cost(time.perf_counter() - begin, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024)


def snakemake(folder: Path, *arguments: str, **environment: str) -> Cost:
    """Run the workflow in a folder; measure it with its children."""
    command = [sys.executable, "-m", "snakemake", "--snakefile", str(REPOSITORY / "Snakefile"), *arguments]
    return run(*command, folder=folder, **environment)


def experiment(folder: Path, variants: int, seeds: int) -> None:
    """Write the config.yaml of an experiment."""
    folder.mkdir()
    gammas = [round(0.9 + 0.0019 * number, 4) for number in range(variants)]
    config = {
        "experiment": "many",
        "seeds": list(range(1, seeds + 1)),
        "train": {"num_envs": 512, "max_iterations": ITERATIONS, "save_interval": ITERATIONS, "threads": 1},
        "agent": "agent.json",
        "variants": {"v": {"agent": {"overrides": {"algorithm.gamma": gammas}}}},
        "keep_state": False,
    }
    (folder / "config.yaml").write_text(yaml.safe_dump(config))


def resolve(folder: Path) -> Path:
    """Write the config.json of the experiment in a folder, as the workflow does at its start."""
    command = [sys.executable, "-m", "manyseeds", "config"]
    path = folder / "results" / "many" / "config.json"
    path.parent.mkdir(parents=True)
    path.write_bytes(subprocess.run(command, cwd=folder, check=True, capture_output=True).stdout)
    return path


def event_file(path: Path) -> None:
    """Write an event file as training does."""
    from manyseeds.runs.events import EventWriter

    writer = EventWriter(path)
    for step in range(1, ITERATIONS + 1):
        writer.write(step, {f"Group/tag_{tag}": (step * 7919 + tag) % 1000 / 1000 for tag in range(TAGS)})
    writer.close()


def files(folder: Path) -> tuple[int, float]:
    """Return the number of files below a folder, counting hard links once, and their MB."""
    found = {
        (stat.st_dev, stat.st_ino): stat.st_size
        for path in folder.rglob("*")
        if (stat := path.lstat()) and path.is_file()
    }
    return len(found), sum(found.values()) / 1e6


def main() -> None:
    """Run all measurements."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--variants", type=int, default=50, help="variants to plan and aggregate (50)")
    parser.add_argument("--seeds", type=int, default=20, help="seeds of each (20)")
    parser.add_argument("--run", type=int, default=20, help="runs of the workflow with the stand-in (20)")
    arguments = parser.parse_args()
    print(machine())
    with tempfile.TemporaryDirectory() as name:
        top = Path(name)
        runs = arguments.variants * arguments.seeds
        experiment(top / "plan", arguments.variants, arguments.seeds)
        dry_run = ["--workflow-profile", "none", "--dry-run", "--quiet", "all"]
        print(f"planning {runs} runs, agents and task checked: {snakemake(top / 'plan', *dry_run)}", flush=True)
        resolve(top / "plan")
        print(f"planning them again: {snakemake(top / 'plan', *dry_run)}", flush=True)
        event_file(top / "events")
        (top / "start").mkdir()
        (top / "start" / "sitecustomize.py").write_text(STAND_IN)
        (top / "bin").mkdir()
        python = top / "bin" / "python"
        python.write_text(f'#!/bin/sh\nPYTHONPATH={top / "start"}:$PYTHONPATH exec {sys.executable} "$@"\n')
        python.chmod(0o755)
        environment = {
            "PATH": f"{top / 'bin'}:{os.environ['PATH']}",
            "STAND_IN_EVENTS": str(top / "events"),
            "STAND_IN_CHECKPOINT": str(CHECKPOINT),
        }
        small = top / "run"
        experiment(small, max(1, arguments.run // 5), 5)
        cost = snakemake(small, "--cores", "2", "results/many/learning_curves.csv", **environment)
        finished = [str(path.parent) for path in small.rglob("run.json")]
        done = len(finished)
        # The evaluation of each run, which is skipped here, would do this at its end.
        run(sys.executable, "-m", "manyseeds", "tidy", *finished, folder=small)
        print(
            f"{done} runs, training a stand-in, with export and curves: {cost} ({cost.cpu / done:.2f} s of CPU a run)"
        )
        for part in ("results", "logs", ".snakemake"):
            number, size = files(small / part)
            print(f"  {part}: {number / done:.1f} files and {size / done:.2f} MB a run")

        table = next(small.rglob("scalars.csv"))
        for variants in (max(1, arguments.variants // 10), arguments.variants):
            many = top / f"many{variants}"
            experiment(many, variants, arguments.seeds)
            resolved = resolve(many)
            results = resolved.parent
            for variant in json.loads(resolved.read_text())["variants"]:
                for seed in range(1, arguments.seeds + 1):
                    (results / variant / f"seed_{seed}").mkdir(parents=True)
                    shutil.copy(table, results / variant / f"seed_{seed}" / "scalars.csv")
            command = [sys.executable, "-m", "manyseeds", "curves", "--config", str(resolved)]
            cost = run(*command, "--output", str(many / "curves.csv"), folder=many)
            print(
                f"curves over {variants} x {arguments.seeds} runs, {ITERATIONS} iterations x {TAGS} tags: {cost}",
                flush=True,
            )


if __name__ == "__main__":
    main()
