"""Train and evaluate Gymnasium's Reacher-v5, a MuJoCo arm with two links, with RSL-RL on a CPU."""

import argparse
import csv

import gymnasium
import torch
from rsl_rl.env import VecEnv
from rsl_rl.runners import OnPolicyRunner
from tensordict import TensorDict

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--seed", type=int, required=True)
parser.add_argument("--num_envs", type=int, default=64)
parser.add_argument("--max_iterations", type=int, default=100)
parser.add_argument("--save_interval", type=int, default=20)
parser.add_argument("--learning_rate", type=float, default=1e-3)
parser.add_argument("--evaluate", metavar="CHECKPOINT", help="evaluate this instead of training")
parser.add_argument("--episodes", type=int, default=100)
parser.add_argument("--output", help="the CSV file to write: success and return of each episode")
args = parser.parse_args()


class Reacher(VecEnv):
    cfg, device, num_actions, max_episode_length = {}, "cpu", 2, 50

    def __init__(self, num_envs):
        self.num_envs, self.episode_length_buf = num_envs, torch.zeros(num_envs, dtype=torch.long)
        self.envs = gymnasium.make_vec("Reacher-v5", num_envs, vector_kwargs={"autoreset_mode": "SameStep"})
        self.observation, _ = self.envs.reset(seed=args.seed)

    def get_observations(self):
        return TensorDict({"policy": torch.tensor(self.observation, dtype=torch.float32)}, [self.num_envs])

    def step(self, actions):
        self.observation, rewards, _, ended, infos = self.envs.step(actions.clamp(-1, 1).numpy())
        rewards, ended, log = torch.tensor(rewards, dtype=torch.float32), torch.tensor(ended), {}
        if ended.all():  # every episode lasts 50 steps; entries 8 and 9 lead from the target to the fingertip
            last = torch.tensor([list(observation[8:10]) for observation in infos["final_obs"]])
            self.reached = last.norm(dim=1) < 0.02
            log = {"Metrics/success_rate": self.reached.float().mean()}
        return self.get_observations(), rewards, ended.long(), {"time_outs": ended, "log": log}


torch.manual_seed(args.seed)
torch.set_num_threads(1)
networks = {"class_name": "MLPModel", "hidden_dims": [64, 64], "obs_normalization": True}
settings = {
    "num_steps_per_env": 50,
    "save_interval": args.save_interval,
    "logger": "tensorboard",
    "obs_groups": {"actor": ["policy"], "critic": ["policy"]},
    "actor": networks | {"distribution_cfg": {"class_name": "GaussianDistribution", "init_std": 0.5}},
    "critic": networks,
    "algorithm": {"class_name": "PPO", "learning_rate": args.learning_rate, "gamma": 0.95, "entropy_coef": 0.0},
}
env = Reacher(args.episodes if args.evaluate else args.num_envs)
runner = OnPolicyRunner(env, settings, None if args.evaluate else "logs", "cpu")
if args.evaluate:
    runner.load(args.evaluate)
    policy, total = runner.get_inference_policy(), torch.zeros(args.episodes)
    with torch.inference_mode():
        for _ in range(env.max_episode_length):
            _, rewards, _, _ = env.step(policy(env.get_observations()))
            total += rewards
    with open(args.output, "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("success", "return"))
        writer.writerows(zip(env.reached.int().tolist(), total.tolist(), strict=True))
else:
    runner.learn(args.max_iterations)
