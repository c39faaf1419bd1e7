"""Speed of manyseeds' lift_object and of other simulators of a robot that grasps a cube, on this CPU.

    python benchmarks/peers.py [--repeats 3] [--seconds 3] [--peers FOLDER] [--isaaclab PYTHON]

Random actions, episodes that end and restart, no policy. EnvPool and gymnasium-robotics are installed once into their
own environment in FOLDER, from requirements-peers.txt. With --isaaclab, an interpreter that `envs/isaaclab_cpu.sh`
made, the same task in Isaac Lab with Newton is measured too. Every measurement is its own process; they take turns, and
the best of the repeats counts. CPU seconds are those of all processes and threads that step.

The tasks are similar, not equal: the last columns show how their physics differ. Contacts are counted one second after
the start of the model.
"""

import argparse
import json
import multiprocessing
import os
import subprocess
import sys
import time
import venv
from collections.abc import Callable
from pathlib import Path
from typing import Any

from _timing import Table, cores, machine, thread_counts

HERE = Path(__file__).resolve().parent
Step = Callable[[], object]


def manyseeds(num_envs: int, threads: int) -> tuple[Step, dict[str, Any]]:
    import torch

    from manyseeds.simulators import make_env
    from manyseeds.simulators.model import load_model

    torch.set_num_threads(1)
    torch.inference_mode().__enter__()
    env = make_env("mujoco", "lift_object", num_envs=num_envs, seed=0, threads=threads)
    env.episode_length_buf = torch.randint_like(env.episode_length_buf, env.max_episode_length)
    cfg = env.task_cfg
    facts = {"observations": env.get_observations()["policy"].shape[1], "actions": env.num_actions}
    facts |= physics(load_model(env.task, cfg), cfg.decimation)
    return lambda: env.step(torch.randn(num_envs, env.num_actions)), facts


def isaaclab_newton(num_envs: int, threads: int) -> tuple[Step, dict[str, Any]]:
    import torch

    from manyseeds.simulators import make_env
    from manyseeds.simulators.model import load_model

    torch.set_num_threads(1)
    torch.inference_mode().__enter__()
    env = make_env("isaaclab", "lift_object", num_envs=num_envs, seed=0, threads=threads)
    facts = {"observations": env.get_observations()["policy"].shape[1], "actions": env.num_actions}
    facts |= physics(load_model(env.task, env.task_cfg), env.task_cfg.decimation)
    return lambda: env.step(torch.randn(num_envs, env.num_actions)), facts


def envpool_panda_pick_cube(num_envs: int, threads: int) -> tuple[Step, dict[str, Any]]:
    import envpool
    import envpool_assets_mujoco_large as assets
    import mujoco
    import numpy as np

    name = "PandaPickCube-v1"
    spec = envpool.make_spec(name).config
    env = envpool.make_gymnasium(name, num_envs=num_envs, num_threads=threads, seed=0)
    env.reset()
    noise = np.random.default_rng(0)
    path = next(
        Path(assets.__path__[0]).resolve().glob("**/mujoco_playground/**/franka_emika_panda/**/mjx_single_cube.xml")
    )
    model = mujoco.MjModel.from_xml_path(str(path))
    model.opt.timestep = spec.sim_dt
    facts = {"observations": env.observation_space.shape[0], "actions": env.action_space.shape[0]}
    facts |= physics(model, round(spec.ctrl_dt / spec.sim_dt))
    return lambda: env.step(noise.uniform(-1, 1, (num_envs, facts["actions"]))), facts


def gymnasium_fetch_pick_and_place(num_envs: int, threads: int) -> tuple[Step, dict[str, Any]]:
    import gymnasium
    import gymnasium_robotics

    def make() -> gymnasium.Env:
        gymnasium.register_envs(gymnasium_robotics)
        return gymnasium.make("FetchPickAndPlace-v4")

    one = make()
    facts = {
        "observations": sum(space.shape[0] for space in one.observation_space.values()),
        "actions": one.action_space.shape[0],
    }
    facts |= physics(one.unwrapped.model, one.unwrapped.n_substeps)
    env = gymnasium.vector.AsyncVectorEnv([make] * num_envs)
    env.reset(seed=0)
    return lambda: env.step(env.action_space.sample()), facts


def physics(model: Any, substeps: int) -> dict[str, Any]:
    """Describe a MuJoCo model."""
    import mujoco

    data = mujoco.MjData(model)
    if model.nkey:
        mujoco.mj_resetDataKeyframe(model, data, 0)
    while data.time < 1:
        mujoco.mj_step(model, data)
    collide = (model.geom_contype != 0) | (model.geom_conaffinity != 0)
    return {
        "substeps": substeps,
        "timestep_ms": 1e3 * model.opt.timestep,
        "dofs": model.nv,
        "colliding": int(collide.sum()),
        "contacts": int(data.ncon),
        "cone": mujoco.mjtCone(model.opt.cone).name.removeprefix("mjCONE_").lower(),
        "iterations": int(model.opt.iterations),
    }


# Environments of each contestant. EnvPool loads its meshes for each environment, a minute for 512; Gymnasium has one
# process per environment; Newton steps them one after the other on a CPU.
SIZES = {
    "manyseeds": 512,
    "envpool_panda_pick_cube": 128,
    "gymnasium_fetch_pick_and_place": 4 * cores(),
    "isaaclab_newton": 16,
}


def cpu_seconds() -> float:
    """Return the CPU seconds of this process and its living children."""
    total = time.process_time()
    for child in multiprocessing.active_children():
        fields = Path(f"/proc/{child.pid}/stat").read_text().rpartition(")")[2].split()
        total += (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    return total


def measure(name: str, threads: int, seconds: float) -> None:
    """Step one contestant for some seconds and print its numbers as JSON."""
    step, facts = globals()[name](SIZES[name], threads)
    for _ in range(3):
        step()
    count, wall, cpu = 0, time.perf_counter(), cpu_seconds()
    while time.perf_counter() - wall < seconds:
        step()
        count += 1
    samples = count * SIZES[name]
    cpu = cpu_seconds() - cpu
    numbers = {"wall": samples / (time.perf_counter() - wall), "cpu": samples / cpu, "facts": facts}
    print("\n" + json.dumps(numbers), flush=True)
    for child in multiprocessing.active_children():
        child.terminate()
    os._exit(0)  # skips destructors


def peers_python(folder: Path) -> Path:
    """Return the interpreter of the peers' environment; create the environment if it is missing."""
    python = folder / "bin" / "python"
    if not (folder / "installed").exists():
        print(f"installing the peers into {folder}", file=sys.stderr)
        venv.create(folder, with_pip=True, clear=True)
        requirements = str(HERE / "requirements-peers.txt")
        subprocess.run([python, "-I", "-m", "pip", "install", "-q", "-r", requirements], check=True)
        (folder / "installed").touch()
    return python


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=3, help="seconds of stepping in each measurement")
    parser.add_argument("--peers", type=Path, default=Path(sys.prefix) / "peers" / "physics", help="their environment")
    parser.add_argument("--isaaclab", type=Path, metavar="PYTHON", help="interpreter that has Isaac Lab")
    parser.add_argument("--measure", nargs=3, metavar=("NAME", "THREADS", "SECONDS"), help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.measure:
        measure(args.measure[0], int(args.measure[1]), float(args.measure[2]))
    theirs = peers_python(args.peers)
    pythons = dict.fromkeys(SIZES, theirs) | {"manyseeds": Path(sys.executable), "isaaclab_newton": args.isaaclab}
    print(machine(), "\n")
    # Gymnasium has as many processes as environments; Newton has one thread on a CPU.
    counts = {"gymnasium_fetch_pick_and_place": thread_counts()[-1:], "isaaclab_newton": [1]}
    rows = [(name, n) for name in SIZES if pythons[name] for n in counts.get(name, thread_counts())]
    runs: dict[tuple[str, int], list[dict[str, Any]]] = {row: [] for row in rows}
    for _ in range(args.repeats):
        for name, threads in rows:
            command = [pythons[name], __file__, "--measure", name, str(threads), str(args.seconds)]
            path = {"PYTHONPATH": str(HERE.parent / "src")} if name == "isaaclab_newton" else {}
            done = subprocess.run(command, capture_output=True, text=True, env=os.environ | path)
            if done.returncode:
                print(done.stderr, file=sys.stderr)
                return 1
            runs[name, threads].append(json.loads(done.stdout.splitlines()[-1]))
    table = Table(
        "who", "envs", "threads", "env steps/s", "physics steps/s", "env steps per CPU s", "physics steps per CPU s",
        "manyseeds' env steps per CPU s against it", "substeps x timestep", "degrees of freedom", "colliding geoms",
        "contacts at rest", "friction cone, iterations", "observations, actions",
    )  # fmt: skip
    for name, threads in rows:
        facts = runs[name, threads][0]["facts"]
        wall, cpu = (max(run[key] for run in runs[name, threads]) for key in ("wall", "cpu"))
        ours = max(run["cpu"] for run in runs["manyseeds", threads])
        n = facts["substeps"]
        table.row(
            name.replace("_", " "),
            SIZES[name],
            "processes" if name.startswith("gymnasium") else threads,
            *(f"{x:,.0f}" for x in (wall, wall * n, cpu, cpu * n)),
            f"{ours / cpu:.1f} x",
            f"{n} x {facts['timestep_ms']:g} ms",
            facts["dofs"],
            facts["colliding"],
            facts["contacts"],
            f"{facts['cone']}, {facts['iterations']}",
            f"{facts['observations']}, {facts['actions']}",
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
