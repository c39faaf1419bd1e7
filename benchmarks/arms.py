"""The arm of lift_object and Isaac Lab's Franka: step responses, and how far the noise of a policy moves the hand.

Both arms have the same bodies. Isaac Lab's has the gains of its FRANKA_PANDA_LEGACY_CFG, which Isaac Lab Arena's
`lift_object` uses: kp 80, kd 4, armature 0.001, gravity on. With `--isaaclab PYTHON`, both are stepped in Isaac Lab
with Newton, too.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import mujoco
import torch

from manyseeds.simulators import make_env
from manyseeds.tasks import registry

STEP = 0.3
"""rad; small enough for no torque to reach its limit for long."""
SECONDS = 1.5
NOISE = (0.3, 1.0)
"""Standard deviations of the actions: at the end of training, and at its start."""


def isaaclab_model(cfg: object) -> mujoco.MjSpec:
    """Return the scene of lift_object with Isaac Lab's gains."""
    spec = registry.load("lift_object").model(cfg)
    for body in spec.bodies:
        body.gravcomp = 0
    for i in range(1, 8):
        joint, servo = spec.joint(f"panda_joint{i}"), spec.actuator(f"panda_joint{i}")
        joint.armature, joint.damping[0] = 1e-3, 0
        servo.gainprm[0], servo.biasprm[1], servo.biasprm[2] = 80, -80, -4
    return spec


# This file is a task file, too.
TASK = replace(registry.load("lift_object"), name="lift_isaaclab_arm", model=isaaclab_model, kernels=None)


def measure(simulator: str, task: str) -> dict[str, list[float]]:
    """Return, for every joint, the time to 63 % of a step (s) and its overshoot, then what noise does."""
    env = make_env(simulator, task, num_envs=7, seed=0, auto_reset=False)
    settle, steps = round(2 / env.step_dt), round(SECONDS / env.step_dt)
    for _ in range(settle):
        env.step(torch.zeros(7, 8))
    start = env.state().qpos[:, :7].diagonal().clone()
    actions = torch.cat((torch.eye(7) * STEP / env.task_cfg.action_scale, torch.zeros(7, 1)), dim=1)
    path = []
    for _ in range(steps):
        env.step(actions)
        path.append((env.state().qpos[:, :7].diagonal() - start) / STEP)
    gone = torch.stack(path)
    reached = (gone > 0.632).float()
    rise = torch.where(reached.any(0), (reached.argmax(0) + 1) * env.step_dt, torch.nan)
    answer = {"rise_s": rise.tolist(), "overshoot": (gone.amax(0) - 1).tolist()}
    env.close()
    if simulator == "isaaclab":  # holds one simulation in a process
        return answer
    generator = torch.Generator().manual_seed(0)
    for std in NOISE:
        env = make_env(simulator, task, num_envs=64, seed=0, auto_reset=False)
        hand, speed = [], []
        for _ in range(env.max_episode_length):
            env.step(std * torch.randn(64, 8, generator=generator))
            hand.append(env.state().sites["end_effector"].clone())
            speed.append(env.state().qvel[:, :7].abs())
        spread = torch.stack(hand).flatten(0, 1).std(0).norm()
        speeds = torch.stack(speed)
        answer[f"noise_{std}"] = [spread.item(), speeds.square().sum(2).mean().item(), speeds.amax(2).median().item()]
        env.close()
    return answer


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--isaaclab", metavar="PYTHON", help="the Python that has Isaac Lab (envs/isaaclab_cpu.sh)")
    parser.add_argument("--measure", nargs=3, metavar=("SIMULATOR", "TASK", "FILE"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.measure:
        simulator, task, file = arguments.measure
        Path(file).write_text(json.dumps(measure(simulator, task)))
        return
    pythons = {"mujoco": sys.executable} | ({"isaaclab": arguments.isaaclab} if arguments.isaaclab else {})
    rows = {}
    with tempfile.TemporaryDirectory() as folder:
        for simulator, python in pythons.items():
            for arm, task in (("ours", "lift_object"), ("Isaac Lab's", str(Path(__file__).resolve()))):
                file = Path(folder, "answer.json")
                subprocess.run(
                    [python, __file__, "--measure", simulator, task, str(file)], stdout=subprocess.DEVNULL, check=True
                )
                rows[arm, simulator] = json.loads(file.read_text())
    print("| arm | simulator | " + " | ".join(f"joint {i}" for i in range(1, 8)) + " |")
    print("|---" * 9 + "|")
    for (arm, simulator), row in rows.items():
        cells = [
            f"{1000 * rise:.0f} ms, {over:+.0%}" for rise, over in zip(row["rise_s"], row["overshoot"], strict=True)
        ]
        print(f"| {arm} | {simulator} | " + " | ".join(cells) + " |")
    print("\n| arm | noise | hand's spread, cm | sum of squared joint speeds | fastest joint, median, rad/s |")
    print("|---" * 5 + "|")
    for (arm, simulator), row in rows.items():
        for std in NOISE if simulator == "mujoco" else ():
            spread, squares, fastest = row[f"noise_{std}"]
            print(f"| {arm} | {std} | {100 * spread:.1f} | {squares:.1f} | {fastest:.2f} |")


if __name__ == "__main__":
    main()
