"""Speed of the simulator mujoco_warp: environment steps, training samples and time to success, next to mujoco.

    python benchmarks/warp_simulator.py [--device cuda] [--num_envs 512,4096,16384] [--success] [--peers [FOLDER]]

Without --device it uses the GPU. On a machine without a GPU it uses tiny sizes, which only checks the script. --success
trains three seeds until 95 % of the episodes that end in training succeed, for at most --max_iterations. --peers also
measures mjlab's task of lifting a cube in MuJoCo Warp, which has a smaller robot and its own rewards; mjlab is
installed once into its own environment in FOLDER. Throughput is in wall-clock time: a GPU's work is not CPU time.
"""

import argparse
import json
import statistics
import subprocess
import sys
import time
import venv
from pathlib import Path
from typing import Any

import torch
from _timing import Table, cores, integers, machine, task_overrides

from manyseeds.learning.agent import load_agent
from manyseeds.learning.runner import Runner
from manyseeds.simulators import make_env

HERE = Path(__file__).resolve().parent
AGENT = HERE.parent / "src/manyseeds/tasks/lift_object/agent.json"
TASK = task_overrides()
THRESHOLDS = (0.90, 0.95)
SEEDS = (1, 2, 3)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", help="cuda, or cpu with tiny sizes (default: cuda if there is a GPU)")
    parser.add_argument("--num_envs", type=integers, help="environments (512,4096,16384; 2,4 on a CPU)")
    parser.add_argument("--steps", type=int, help="environment steps timed (240; 10 on a CPU)")
    parser.add_argument("--iterations", type=int, help="training iterations timed (10; 1 on a CPU)")
    parser.add_argument("--success", action="store_true", help="also measure the time to success")
    parser.add_argument("--max_iterations", type=int, default=400, help="most iterations for success")
    beside = Path(sys.prefix) / "peers" / "warp"
    parser.add_argument("--peers", type=Path, nargs="?", const=beside, metavar="FOLDER", help="also measure mjlab")
    args = parser.parse_args()
    device = args.device or ("cuda" if torch.cuda.is_available() else "cpu")
    on_gpu = device != "cpu"
    sizes = args.num_envs or ([512, 4096, 16384] if on_gpu else [2, 4])
    steps, iterations = args.steps or (240 if on_gpu else 10), args.iterations or (10 if on_gpu else 1)
    print(f"{machine()}; {torch.cuda.get_device_name(device) if on_gpu else 'NO GPU: only a check of the script'}\n")
    table = Table("simulator", "device", "envs", "env steps/s", "training samples/s", "collection", "GPU memory, MiB")
    for num_envs in sizes:
        for simulator, place in (("mujoco_warp", device), ("mujoco", "cpu")):
            throughput(table, simulator, place, num_envs, steps, iterations)
        if args.peers:
            mjlab(table, peers_python(args.peers), device, num_envs, steps, iterations)
    if args.success:
        print()
        table = Table("simulator", "envs", "seed", *(f"{100 * limit:.0f} %, s (samples)" for limit in THRESHOLDS))
        for num_envs in sizes:
            for seed in SEEDS:
                time_to_success(table, device, num_envs, seed, args.max_iterations)
    return 0


def new_runner(simulator: str, device: str, num_envs: int, seed: int = 1) -> Runner:
    env = make_env(simulator, "lift_object", num_envs=num_envs, seed=seed, device=device, task_cfg=TASK)
    return Runner(env, load_agent(AGENT), seed=seed, device=device, threads=cores())


def throughput(table: Table, simulator: str, device: str, num_envs: int, steps: int, iterations: int) -> None:
    if device != "cpu":
        torch.cuda.reset_peak_memory_stats(device)
        free = torch.cuda.mem_get_info(device)[0]
    runner = new_runner(simulator, device, num_envs)
    env, actions = runner.env, torch.randn(steps + 10, num_envs, 8, device=device)
    with torch.inference_mode():
        for action in actions[:10]:
            env.step(action)
        env.check_physics()  # waits for the device
        start = time.perf_counter()
        for action in actions[10:]:
            env.step(action)
        env.check_physics()
        seconds = time.perf_counter() - start
    runner.iterate()
    done = [runner.iterate() for _ in range(iterations)]
    total = statistics.median(i.collection_time + i.learning_time for i in done)
    share = statistics.median(i.collection_time for i in done) / total
    # Memory of Warp and torch together; torch alone counts only its own.
    memory = f"{(free - torch.cuda.mem_get_info(device)[0]) / 2**20:,.0f}" if device != "cpu" else ""
    rate, samples = steps * num_envs / seconds, runner.num_steps * num_envs / total
    table.row(simulator, device, f"{num_envs:,}", f"{rate:,.0f}", f"{samples:,.0f}", f"{100 * share:.0f} %", memory)
    env.close()


def mjlab(table: Table, python: Path, device: str, num_envs: int, steps: int, iterations: int) -> None:
    command = [python, HERE / "_mjlab_lift.py", device, num_envs, steps, iterations]
    done = subprocess.run(list(map(str, command)), stdout=subprocess.PIPE, text=True, check=True)
    found = json.loads(done.stdout.splitlines()[-1])
    memory = f"{found['memory']:,.0f}" if found["memory"] is not None else ""
    table.row("mjlab", device, f"{num_envs:,}", f"{found['steps']:,.0f}", f"{found['samples']:,.0f}", "", memory)


def peers_python(folder: Path) -> Path:
    """Return the interpreter of the peers' environment; create the environment if it is missing."""
    python = folder / "bin" / "python"
    if not (folder / "installed").exists():
        print(f"installing the peers into {folder}", file=sys.stderr)
        venv.create(folder, with_pip=True, clear=True)
        requirements = str(HERE / "requirements-warp-peers.txt")
        subprocess.run([python, "-I", "-m", "pip", "install", "-q", "-r", requirements], check=True)
        (folder / "installed").touch()
    return python


def time_to_success(table: Table, device: str, num_envs: int, seed: int, max_iterations: int) -> None:
    runner = new_runner("mujoco_warp", device, num_envs, seed)
    reached: dict[float, tuple[float, int]] = {}
    seconds = 0.0
    while runner.iteration < max_iterations and len(reached) < len(THRESHOLDS):
        done: Any = runner.iterate()
        seconds += done.collection_time + done.learning_time
        rate = done.scalars.get("Metrics/success_rate", 0.0)
        for limit in THRESHOLDS:
            if rate >= limit:
                reached.setdefault(limit, (seconds, runner.iteration * runner.num_steps * num_envs))
    cells = [
        f"{reached[limit][0]:.0f} ({reached[limit][1]:,})" if limit in reached else "never" for limit in THRESHOLDS
    ]
    table.row("mujoco_warp", f"{num_envs:,}", seed, *cells)
    runner.env.close()


if __name__ == "__main__":
    raise SystemExit(main())
