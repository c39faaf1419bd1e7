"""A program that leaves what an RSL-RL trainer leaves, in a moment; its end and its curves as the options say."""

import argparse
import importlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from helpers.event_files import scalar, write_events

parser = argparse.ArgumentParser()
parser.add_argument("--seed", type=int)
parser.add_argument("--num_envs", type=int)
parser.add_argument("--max_iterations", type=int)
parser.add_argument("--logs", type=Path, default=Path("logs/now"), help="the folder to leave")
parser.add_argument("--first", type=int, default=0, help="number of the first iteration in the event file")
parser.add_argument("--last", type=int, help="number of the last checkpoint")
parser.add_argument("--every", type=int, default=1, help="iterations between logged ones")
parser.add_argument("--axes", action="store_true", help="log the return over seconds and samples, too")
parser.add_argument("--save_interval", type=int, help="save checkpoints in between, too")
parser.add_argument("--extra", action="store_true", help="leave an ONNX file, a film and a diff, too")
parser.add_argument("--fail-with-seed", type=int, help="fail at once with this seed")
parser.add_argument("--needs", help="a module to import")
parser.add_argument("--end", choices=("segv", "hang", "background", "fail"))
args = parser.parse_args()

if args.needs:
    importlib.import_module(args.needs)
if args.seed == args.fail_with_seed:
    sys.exit("out of memory")
n, logs = args.max_iterations, args.logs
events = []
for i in range(0, n, args.every):
    step = args.first + i
    events += [scalar("Train/mean_reward", step, i + args.seed), scalar("Loss/value", step, 1 / (i + 1))]
    if args.axes:
        events += [
            scalar("Time/mean_reward", int(1.7 * (i + 1)), i),
            scalar("Timesteps/mean_reward", 98304 * (i + 1), i),
        ]
write_events(logs / "events.out.tfevents.1.host", events)
for i in range(0, n - 1, args.save_interval or n):
    (logs / f"model_{i}.pt").write_bytes(b"checkpoint of %d" % args.seed)
if args.extra:
    for name in ("policy.onnx", "videos/train/rl-video-0.mp4", "git/mine.diff"):
        (logs / name).parent.mkdir(parents=True, exist_ok=True)
        (logs / name).write_text(name)
if args.end != "fail":
    (logs / f"model_{n - 1 if args.last is None else args.last}.pt").write_bytes(b"checkpoint of %d" % args.seed)
print(f"Learning iteration {n}/{n}", flush=True)
if args.end == "segv":
    os.kill(os.getpid(), signal.SIGSEGV)
if args.end == "fail":
    sys.exit(3)
if args.end == "hang":
    time.sleep(3600)
if args.end == "background":
    left = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(3600)"], close_fds=False)
    Path("background.pid").write_text(str(left.pid))
