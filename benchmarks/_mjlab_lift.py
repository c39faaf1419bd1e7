"""Speed of mjlab's task of lifting a cube in MuJoCo Warp; prints JSON for warp_simulator.py.

python benchmarks/_mjlab_lift.py DEVICE NUM_ENVS STEPS ITERATIONS
"""

import contextlib
import itertools
import json
import statistics
import sys
import tempfile
import time
from dataclasses import asdict
from typing import Any

import torch

TASK = "Mjlab-Lift-Cube-Yam"


def main() -> None:
    device = sys.argv[1]
    num_envs, steps, iterations = map(int, sys.argv[2:])
    free = torch.cuda.mem_get_info(device)[0] if device != "cpu" else 0
    with contextlib.redirect_stdout(sys.stderr), tempfile.TemporaryDirectory() as folder:
        runner = make_runner(device, num_envs, iterations + 1, folder)
        env = runner.env
        seconds = time_steps(env, torch.randn(steps + 10, num_envs, env.num_actions, device=device))
        rates = time_training(runner, iterations)
    memory = (free - torch.cuda.mem_get_info(device)[0]) / 2**20 if device != "cpu" else None
    print(json.dumps({"steps": steps * num_envs / seconds, "samples": rates, "memory": memory}))


def make_runner(device: str, num_envs: int, iterations: int, folder: str) -> Any:
    import mjlab.tasks  # noqa: F401  registers them
    from mjlab.envs import ManagerBasedRlEnv
    from mjlab.rl import MjlabOnPolicyRunner, RslRlVecEnvWrapper
    from mjlab.tasks.registry import load_env_cfg, load_rl_cfg, load_runner_cls

    cfg, agent = load_env_cfg(TASK), load_rl_cfg(TASK)
    cfg.scene.num_envs = num_envs
    agent.max_iterations, agent.logger, agent.save_interval = iterations, "tensorboard", 10**9
    env = RslRlVecEnvWrapper(ManagerBasedRlEnv(cfg=cfg, device=device), clip_actions=agent.clip_actions)
    runner_class = load_runner_cls(TASK) or MjlabOnPolicyRunner
    return runner_class(env, asdict(agent), folder, device)


def time_steps(env: Any, actions: torch.Tensor) -> float:
    with torch.inference_mode():
        for action in actions[:10]:
            env.step(action)
        wait(actions.device)
        start = time.perf_counter()
        for action in actions[10:]:
            env.step(action)
        wait(actions.device)
    return time.perf_counter() - start


def time_training(runner: Any, iterations: int) -> float:
    """Samples per second of rsl_rl's own loop: the median iteration after the first."""
    ends: list[float] = []
    update = runner.alg.update

    def timed_update() -> Any:
        losses = update()
        wait(torch.device(runner.device))
        ends.append(time.perf_counter())
        return losses

    runner.alg.update = timed_update
    runner.learn(iterations + 1, init_at_random_ep_len=True)
    seconds = statistics.median(after - before for before, after in itertools.pairwise(ends))
    return runner.cfg["num_steps_per_env"] * runner.env.num_envs / seconds


def wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


if __name__ == "__main__":
    main()
