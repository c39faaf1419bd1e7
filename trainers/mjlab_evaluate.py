"""Evaluate a checkpoint of mjlab: success and return of each episode, for trainers/mjlab.yaml.

Run by mjlab's Python. Every option of mjlab's `train` is known here, too, so that the environment and the networks are
those of training; observations have no noise and the policy does not explore. Each environment plays one episode. It
is a success if the task's command says so (`episode_success`); where the task has no such command, if it was not
terminated before its time.
"""

import argparse
import csv
from dataclasses import asdict
from pathlib import Path

import mjlab
import mjlab.tasks
import torch
import tyro
from mjlab.envs import ManagerBasedRlEnv
from mjlab.rl import MjlabOnPolicyRunner, RslRlVecEnvWrapper
from mjlab.scripts.train import TrainConfig
from mjlab.tasks.registry import load_runner_cls
from tensordict import TensorDict

parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
parser.add_argument("task")
parser.add_argument("--checkpoint", type=Path, required=True)
parser.add_argument("--episodes", type=int, required=True)
parser.add_argument("--seed", type=int, required=True)
parser.add_argument("--output", type=Path, required=True)
args, options = parser.parse_known_args()

config = tyro.cli(TrainConfig, args=options, default=TrainConfig.from_task(args.task), config=mjlab.TYRO_FLAGS)
device = "cpu" if config.gpu_ids is None else "cuda:0"
config.env.scene.num_envs, config.env.seed, config.env.auto_reset = args.episodes, args.seed, False
for group in config.env.observations.values():
    group.enable_corruption = False
env = ManagerBasedRlEnv(config.env, device)
wrapped = RslRlVecEnvWrapper(env, clip_actions=config.agent.clip_actions)
runner = (load_runner_cls(args.task) or MjlabOnPolicyRunner)(wrapped, asdict(config.agent), device=device)
runner.load(str(args.checkpoint), load_cfg={"actor": True}, strict=True, map_location=device)
policy = runner.get_inference_policy(device=device)

commands = [env.command_manager.get_term(name) for name in env.command_manager.active_terms]
judges = [command.metrics for command in commands if "episode_success" in command.metrics]
total = torch.zeros(args.episodes, device=device)
success = torch.zeros(args.episodes, dtype=torch.bool, device=device)
playing = torch.ones_like(success)
observations, _ = wrapped.reset()
with torch.inference_mode():
    while playing.any():
        observations, rewards, dones, _ = wrapped.step(policy(observations))
        total += rewards * playing
        judged = [metrics["episode_success"] > 0 for metrics in judges] or [env.termination_manager.time_outs]
        success |= playing & torch.stack(judged).any(dim=0)
        playing &= dones == 0
        if dones.any():
            observations, _ = env.reset(env_ids=dones.nonzero().squeeze(-1))
            observations = TensorDict(observations, batch_size=[args.episodes])
env.close()
with args.output.open("w", newline="") as file:
    writer = csv.writer(file)
    writer.writerow(("success", "return"))
    writer.writerows(zip(success.int().tolist(), total.tolist(), strict=True))
