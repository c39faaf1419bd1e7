"""How long people wait for what is no training: CPU seconds of whole processes, the least of several.

    python benchmarks/waiting.py [--repeats 5]

Every verb that the workflow starts, on one small run and on the published results.
"""

import argparse
import os
import resource
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from _timing import Table, machine

REPOSITORY = Path(__file__).resolve().parents[1]
PUBLISHED = REPOSITORY / "results" / "published" / "lift_object"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=3)
    args = parser.parse_args()
    print(machine())
    with tempfile.TemporaryDirectory() as name:
        table = Table("what", "CPU, s")
        for what, command in commands(Path(name)).items():
            table.row(what, f"{min(cpu_seconds(command, Path(name)) for _ in range(args.repeats)):.2f}")
    return 0


def commands(folder: Path) -> dict[str, list[str]]:
    """Return the command of every row. Later ones read what earlier ones leave in `folder`."""
    run = folder / "results" / "default" / "seed_1"
    shutil.copytree(PUBLISHED, folder / "published")

    def verb(*arguments: object) -> list[str]:
        return [sys.executable, "-m", "manyseeds", *map(str, arguments)]

    train = verb("train", "--num_envs", 16, "--max_iterations", 1, "--seed", 1, "--threads", 1, "--log_dir")
    dry_run = [sys.executable, "-m", "snakemake", "--dry-run", "--quiet", "--cores", "2"]
    dry_run += ["--snakefile", str(REPOSITORY / "Snakefile"), "--configfile", str(REPOSITORY / "config.yaml")]
    # A run that is finished is not trained again, so every repetition gets a folder of its own.
    anew = ["sh", "-c", f'rm -rf {run} && exec "$@" {run} lift_object', "sh", *train]
    episodes = run / "episodes.csv"
    return {
        "`manyseeds --help`": verb("--help"),
        "dry run of `config.yaml`": dry_run,
        "`train`, one iteration of 16 environments": anew,
        "`evaluate`, one episode": verb("evaluate", "--run_dir", run, "--episodes", 1, "--output", episodes),
        "`film`, half a second": verb("film", run, "--seconds", 0.5, "--output", folder / "policy.gif"),
        "`scalars`": verb("scalars", run, "--output", run / "scalars.csv", "--account", run / "scalars.json"),
        "`tables` of the published results": verb("tables", folder / "published"),
        "`figures`, all": verb("figures", folder / "published"),
        "`figures --only learning_curves`": verb("figures", folder / "published", "--only", "learning_curves"),
        "`pages`": verb("pages", folder / "published"),
        "`report`": verb("report", folder / "published"),
    }


def cpu_seconds(command: list[str], folder: Path) -> float:
    """Run a command; return its CPU seconds, user and system, with those of its children."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, env=os.environ)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)}:\n{done.stdout}{done.stderr}")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime


if __name__ == "__main__":
    raise SystemExit(main())
