"""Evaluate a checkpoint of Isaac Lab 3.0: success and return of each episode, for trainers/isaaclab.yaml.

Run by Isaac Lab's Python. It takes the Hydra overrides of `isaaclab train`, so that the environment and the networks
are those of training; observations have no noise and the policy does not explore. Each environment plays one episode.
It is a success if the task's `Metrics/success_rate` of that episode alone is 1; where the task logs none, if the
episode lasted its full time.
"""

import argparse
import csv
import importlib.metadata
import sys

from isaaclab.app import add_launcher_args, launch_simulation
from isaaclab_tasks.utils import resolve_task_config, setup_preset_cli

parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
parser.add_argument("--task", required=True)
parser.add_argument("--checkpoint", required=True)
parser.add_argument("--episodes", type=int, required=True)
parser.add_argument("--seed", type=int, required=True)
parser.add_argument("--output", required=True)
add_launcher_args(parser)
args, overrides = setup_preset_cli(parser, sys.argv[1:])
sys.argv[1:] = overrides

config, agent = resolve_task_config(args.task, "rsl_rl_cfg_entry_point")
with launch_simulation(config, args):
    import gymnasium
    import torch
    from isaaclab_rl.rsl_rl import RslRlVecEnvWrapper, create_rsl_rl_runner, handle_deprecated_rsl_rl_cfg

    agent = handle_deprecated_rsl_rl_cfg(agent, importlib.metadata.version("rsl-rl-lib"))
    config.scene.num_envs, config.seed, agent.seed = args.episodes, args.seed, args.seed
    config.sim.device = agent.device
    for group in vars(config.observations).values() if hasattr(config, "observations") else ():
        if hasattr(group, "enable_corruption"):
            group.enable_corruption = False
    env = RslRlVecEnvWrapper(gymnasium.make(args.task, cfg=config), clip_actions=agent.clip_actions)
    runner = create_rsl_rl_runner(env, agent)
    runner.load(args.checkpoint)
    policy = runner.get_inference_policy(device=env.unwrapped.device)

    logged: dict[int, float] = {}
    reset = env.unwrapped._reset_idx

    def reset_one_by_one(indices):
        """Reset one environment at a time, so that the rate that a task then logs is of one episode."""
        for index in torch.as_tensor(indices).flatten():
            reset(index[None])
            rate = env.unwrapped.extras.get("log", {}).get("Metrics/success_rate")
            if rate is not None:
                logged.setdefault(int(index), float(rate))

    observations = env.get_observations()
    env.unwrapped._reset_idx = reset_one_by_one
    total = torch.zeros(args.episodes, device=env.unwrapped.device)
    playing, lasted = torch.ones_like(total, dtype=torch.bool), torch.zeros_like(total, dtype=torch.bool)
    with torch.inference_mode():
        while playing.any():
            observations, rewards, dones, extras = env.step(policy(observations))
            total += rewards * playing
            over = extras.get("time_outs", env.unwrapped.reset_time_outs)
            lasted |= playing & over.bool()
            playing &= dones == 0
    success = [round(logged[index]) for index in range(args.episodes)] if logged else lasted.int().tolist()
    with open(args.output, "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("success", "return"))
        writer.writerows(zip(success, total.tolist(), strict=True))
    env.close()
