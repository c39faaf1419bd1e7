"""Event file to CSV: our reader, common others, and a plain read of the bytes; CPU seconds and peak memory.

    python benchmarks/event_reader.py [--iterations 12000] [--repeats 3] [--peers FOLDER]

The peers run in their own environment, created once in FOLDER from requirements-event-reader.txt. Every measurement is
its own process; the log (25 tags) is written first and is in the page cache. "work" is the process time of reading and
writing the CSV, without imports; "process" includes imports. The numbers are medians over the repeats.
"""

import argparse
import json
import math
import random
import resource
import statistics
import subprocess
import sys
import tempfile
import time
import venv
from collections.abc import Callable
from pathlib import Path

HERE = Path(__file__).resolve().parent
TAGS = [
    *(f"Loss/{name}" for name in ("value", "surrogate", "entropy", "learning_rate")),
    "Policy/mean_std",
    *(f"Perf/{name}" for name in ("total_fps", "collection_time", "learning_time")),
    *(f"Train/{name}" for name in ("mean_reward", "mean_episode_length")),
    *(f"Episode_Reward/{name}" for name in ("reaching_object", "lifting_object", "object_goal_tracking")),
    *(f"Episode_Reward/{name}" for name in ("object_goal_tracking_fine_grained", "action_rate", "joint_vel")),
    *(f"Episode_Termination/{name}" for name in ("time_out", "object_dropped", "success")),
    *(f"Metrics/object_pose/{name}" for name in ("position_error", "orientation_error")),
    *(f"Metrics/{name}" for name in ("success_rate", "reached", "held", "dropped")),
]


def plain_read(log: Path, output: Path) -> Callable[[], None]:
    def run() -> None:
        for path in log.iterdir():
            with path.open("rb") as stream:
                while stream.read(4 << 20):
                    pass

    return run


def manyseeds(log: Path, output: Path) -> Callable[[], None]:
    from manyseeds.eventfiles.export import export

    return lambda: export(log, output) and None


def manyseeds_ten_runs(log: Path, output: Path) -> Callable[[], None]:
    from manyseeds.eventfiles.export import export

    def run() -> None:
        for number in range(10):
            export(log, output.with_stem(f"{output.stem}{number}"))

    return run


def manyseeds_ten_runs_and_curves(log: Path, output: Path) -> Callable[[], None]:
    """Ten runs to CSV, then to learning curves: mean, t interval, interquartile mean, 2,000 resamples."""
    from manyseeds.analysis.curves import aggregate, named_runs

    export_all = manyseeds_ten_runs(log, output)

    def run() -> None:
        export_all()
        tables = [f"seeds={output.with_stem(f'{output.stem}{number}')}" for number in range(10)]
        aggregate(named_runs(tables, samples_per_iteration=12288), output)

    return run


def event_accumulator(log: Path, output: Path) -> Callable[[], None]:
    import pandas as pd
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    def run() -> None:
        events = EventAccumulator(str(log), size_guidance={"scalars": 0})
        events.Reload()
        columns = {}
        for tag in events.Tags()["scalars"]:
            scalars = events.Scalars(tag)
            columns[tag] = pd.Series([s.value for s in scalars], [s.step for s in scalars], "float32")
        pd.DataFrame(columns).to_csv(output)

    return run


def tbparse(log: Path, output: Path, pivot: bool = False) -> Callable[[], None]:
    from tbparse import SummaryReader

    return lambda: SummaryReader(str(log), pivot=pivot).scalars.to_csv(output)


def tbparse_pivot(log: Path, output: Path) -> Callable[[], None]:
    return tbparse(log, output, pivot=True)


def tensorboard_reducer(log: Path, output: Path) -> Callable[[], None]:
    import tensorboard_reducer as reducer

    def run() -> None:
        reduced = reducer.reduce_events(reducer.load_tb_events([str(log)]), ["mean"])
        reducer.write_data_file(reduced, str(output), overwrite=True)

    return run


OURS = [manyseeds, manyseeds_ten_runs, manyseeds_ten_runs_and_curves, plain_read]
TEN_RUNS = [manyseeds_ten_runs, manyseeds_ten_runs_and_curves]
PEERS = [event_accumulator, tbparse, tbparse_pivot, tensorboard_reducer]


def write_log(folder: Path, iterations: int) -> int:
    """Write a log as RSL-RL does; return the number of its records."""
    from manyseeds.eventfiles.checksum import masked_crc
    from manyseeds.eventfiles.messages import Event

    numbers = random.Random(0)
    folder.mkdir(parents=True)
    with (folder / "events.out.tfevents.1700000000.benchmark").open("wb") as stream:

        def write(event: object) -> None:
            data = event.SerializeToString()
            size = len(data).to_bytes(8, "little")
            stream.write(size + masked_crc(size).to_bytes(4, "little"))
            stream.write(data + masked_crc(data).to_bytes(4, "little"))

        write(Event(wall_time=1.7e9, file_version="brain.Event:2"))
        for iteration in range(1, iterations + 1):
            for tag in TAGS:
                value = {"tag": tag, "simple_value": numbers.gauss(0, 1)}
                write(Event(wall_time=1.7e9 + 2.0 * iteration, step=iteration, summary={"value": [value]}))
    return 1 + iterations * len(TAGS)


def peers_python(folder: Path) -> Path:
    """Return the interpreter of the peers' environment; create the environment if it is missing."""
    python = folder / "bin" / "python"
    if not (folder / "installed").exists():
        print(f"installing the peers into {folder}", file=sys.stderr)
        venv.create(folder, with_pip=True, clear=True)
        requirements = str(HERE / "requirements-event-reader.txt")
        subprocess.run([python, "-I", "-m", "pip", "install", "-q", "-r", requirements], check=True)
        (folder / "installed").touch()
    return python


def measure(name: str, log: Path, output: Path) -> None:
    """Run one reader in this process and print its numbers as JSON."""
    run = next(reader for reader in OURS + PEERS if reader.__name__ == name)(log, output)
    start = time.process_time()
    run()
    work = time.process_time() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print("\n" + json.dumps({"work": work, "process": time.process_time(), "rss": peak}))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--iterations", type=int, default=12_000)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument(
        "--peers", type=Path, default=Path(sys.prefix) / "peers" / "event-reader", help="their environment"
    )
    parser.add_argument("--measure", nargs=3, metavar=("READER", "LOG", "OUTPUT"), help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.measure:
        measure(args.measure[0], Path(args.measure[1]), Path(args.measure[2]))
        return 0
    theirs = peers_python(args.peers)
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "log"
        records = write_log(log, args.iterations)
        size = sum(path.stat().st_size for path in log.iterdir())
        print(f"{records:,} records, {size / 1e6:.1f} MB\n")
        print("| reader | work, s | process, s | events/s | peak RSS, MiB | CPU per run against manyseeds |")
        print("|---|---|---|---|---|---|")
        ours = math.nan
        for reader in OURS + PEERS:
            python = sys.executable if reader in OURS else theirs
            command = [python, __file__, "--measure", reader.__name__, log, Path(folder) / "out.csv"]
            runs = []
            for _ in range(args.repeats):
                done = subprocess.run(command, capture_output=True, text=True)
                if done.returncode:
                    print(done.stderr, file=sys.stderr)
                    return 1
                runs.append(json.loads(done.stdout.splitlines()[-1]))
            work, process, rss = (statistics.median(run[key] for run in runs) for key in ("work", "process", "rss"))
            ours = work if reader is manyseeds else ours
            runs_read = 10 if reader in TEN_RUNS else 1
            cells = [
                f"{work:.3f}",
                f"{process:.2f}",
                f"{records * runs_read / work:,.0f}",
                f"{rss:.0f}",
                f"{work / runs_read / ours:.2f} x",
            ]
            print("|", " | ".join([reader.__name__.replace("_", " "), *cells]), "|", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
