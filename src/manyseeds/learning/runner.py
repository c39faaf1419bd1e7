"""One iteration of training: collect a rollout, update, summarize. `Runner.iterate` is the place to start reading."""

import copy
import math
import time
from contextlib import redirect_stdout
from dataclasses import dataclass
from functools import partial
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from manyseeds.learning import warm_start
from manyseeds.learning.distributed import ALONE, Ranks
from manyseeds.learning.episodes import EpisodeStatistics
from manyseeds.learning.parallel import parallelize, thread_map
from manyseeds.learning.rsl_rl import PPO
from manyseeds.simulators import NonFiniteError
from manyseeds.tasks.base import mirrored

if TYPE_CHECKING:
    from manyseeds.simulators.base import TaskEnv


class DivergedError(RuntimeError):
    """NaN or infinity appeared in training.

    Attributes:
        iteration: the iteration it happened in, counted from 1.
        term: the value that is not finite.
        env_index: the first environment with this value; None if the value does not belong to an environment.
    """

    def __init__(self, iteration: int, term: str, env_index: int | None) -> None:
        place = "" if env_index is None else f" in environment {env_index}"
        super().__init__(f"{term} is not finite{place} in iteration {iteration}")
        self.iteration = iteration
        self.term = term
        self.env_index = env_index


@dataclass(frozen=True)
class Iteration:
    """Results of one iteration: number from 1, scalars by event tag, seconds of collection and learning."""

    number: int
    scalars: dict[str, float]
    collection_time: float
    learning_time: float


class Runner:
    """RSL-RL's algorithm, models and storage with an environment; `iterate` does one iteration of PPO.

    Two runners with the same configuration and seed agree bit for bit on a CPU, for any number of threads. A runner
    that loads another's `state_dict` continues exactly as the other would have.

    Args:
        env: the environments, from `manyseeds.simulators`.
        agent: the configuration from `agent.load_agent`.
        seed: for the initial weights, exploration and mini-batches.
        device: torch device of networks and storage; the same as the environment's.
        threads: threads for the networks on a CPU.
        ranks: the processes that train together, each with its own environments.
    """

    def __init__(
        self, env: "TaskEnv", agent: dict[str, Any], *, seed: int, device: str, threads: int, ranks: Ranks = ALONE
    ) -> None:
        torch.manual_seed(seed + ranks.rank)
        self.ranks = ranks
        run = thread_map(threads)
        self.env = env
        self.device = device
        self.num_steps: int = agent["num_steps_per_env"]
        self.iteration = 0
        with redirect_stdout(StringIO()):  # RSL-RL prints its models
            self.alg: PPO = PPO.construct_algorithm(
                env.get_observations(), env, copy.deepcopy(agent) | {"multi_gpu": ranks.rsl_rl_config()}, device
            )
        if ranks != ALONE:
            self.alg.broadcast_parameters()
        self.alg.map = run
        if env.task.mirror is not None:
            self.alg.mirror = (
                partial(mirrored, env.task, env.task_cfg),
                partial(env.task.mirror, env.task_cfg),
            )
        if device == "cpu":
            for model in (self.alg.actor, self.alg.critic):
                parallelize(model.mlp, run)
        self.alg.train_mode()
        self._episodes = EpisodeStatistics(env.num_envs, self.num_steps, device)
        # As in Isaac Lab's script, so that the episodes do not all end in the same step.
        env.episode_length_buf = torch.randint_like(env.episode_length_buf, high=int(env.max_episode_length))
        self._obs = env.get_observations()

    def iterate(self) -> Iteration:
        """Collect `num_steps` steps of every environment and learn from them.

        Raises:
            DivergedError: if a value of the environment, a loss or a parameter is not finite.
        """
        start = time.perf_counter()
        self.alg.iteration = self.iteration
        try:
            with torch.inference_mode():
                for step in range(self.num_steps):
                    actions = self.alg.act(self._obs)
                    self._obs, rewards, dones, extras = self.env.step(actions)
                    self.alg.process_env_step(self._obs, rewards, dones, extras)
                    self._episodes.record(step, rewards, dones, extras)
                self.env.check_physics()
                collected = time.perf_counter()
                self.alg.compute_returns(self._obs)
        except NonFiniteError as error:
            raise DivergedError(self.iteration + 1, error.term, error.env_index) from error
        try:
            losses = self.alg.update()
        except RuntimeError as error:
            self._check_finite({})  # torch raises when it samples from NaN
            if "without overflow" in str(error):  # or when a step does not fit into float32
                raise DivergedError(self.iteration + 1, "step of the optimizer", None) from error
            raise
        self._check_finite(losses)
        self.iteration += 1
        learned = time.perf_counter()
        scalars = self._episodes.summarize()
        train = {tag: scalars.pop(tag) for tag in list(scalars) if tag.startswith("Train/")}
        train["Train/episodes"] *= self.ranks.size  # a sum, where the ranks take means
        scalars |= {f"Loss/{name}": float(loss) for name, loss in losses.items()}
        scalars["Loss/learning_rate"] = self.alg.learning_rate
        scalars["Policy/mean_std"] = self.alg.get_policy().output_std.mean().item()
        samples = self.num_steps * self.env.num_envs * self.ranks.size
        scalars["Perf/total_fps"] = float(int(samples / (learned - start)))
        scalars["Perf/collection_time"] = collected - start
        scalars["Perf/learning_time"] = learned - collected
        scalars = self.ranks.mean(scalars | train)
        return Iteration(self.iteration, scalars, collected - start, learned - collected)

    def start_from(self, checkpoint: str | Path) -> None:
        """Take the networks of a checkpoint; optimizer, learning rate and iterations begin anew.

        Raises:
            UserError: when it cannot be read or does not fit.
        """
        networks = warm_start.read_networks(checkpoint)
        warm_start.take_over({"actor": self.alg.actor, "critic": self.alg.critic}, networks, str(checkpoint))

    def state_dict(self) -> dict[str, Any]:
        """Return everything that determines how training continues: only tensors, numbers and text.

        All ranks must call it together; the result holds the state of every rank.
        """
        own = {
            "env": self.env.state_dict(),
            "episodes": self._episodes.state_dict(),
            "torch_rng": torch.get_rng_state(),
        }
        if self.device != "cpu":
            own["cuda_rng"] = torch.cuda.get_rng_state(self.device)
        shared = {
            "iteration": self.iteration,
            "algorithm": self.alg.save(),
            "learning_rate": self.alg.learning_rate,
        }
        return shared | (own if self.ranks == ALONE else {"ranks": self.ranks.gather(own)})

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue exactly from a `state_dict`."""
        self.iteration = state["iteration"]
        self.alg.load(state["algorithm"], None, True)
        self.alg.learning_rate = state["learning_rate"]
        own = state if self.ranks == ALONE else state["ranks"][self.ranks.rank]
        self.env.load_state_dict(own["env"])
        self._episodes.load_state_dict(own["episodes"])
        self._obs = self.env.get_observations()
        torch.set_rng_state(own["torch_rng"].cpu())
        if self.device != "cpu":
            torch.cuda.set_rng_state(own["cuda_rng"].cpu(), self.device)

    def _check_finite(self, losses: dict[str, float]) -> None:
        for name, loss in losses.items():
            if not math.isfinite(loss):
                raise DivergedError(self.iteration + 1, f"Loss/{name}", None)
        for role, model in (("actor", self.alg.actor), ("critic", self.alg.critic)):
            for name, parameter in model.named_parameters():
                if not torch.isfinite(parameter).all():
                    raise DivergedError(self.iteration + 1, f"parameter {role}.{name}", None)
