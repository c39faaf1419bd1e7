"""A task in Isaac Lab as manyseeds trains and evaluates it."""

from contextlib import redirect_stdout
from io import StringIO
from typing import Any

import numpy as np
import torch
import warp as wp
from isaaclab.envs import ManagerBasedRLEnv
from isaaclab_newton.physics import NewtonManager
from tensordict import TensorDict
from torch import Tensor

from manyseeds.core.errors import UserError
from manyseeds.simulators import NonFiniteError
from manyseeds.simulators.base import Options, TaskEnv
from manyseeds.simulators.isaaclab.env_cfg import env_cfg
from manyseeds.simulators.isaaclab.mdp import COMMAND
from manyseeds.tasks.base import Starts, State, Task, check_memory, check_terms


class IsaacLabEnv(TaskEnv):
    """`num_envs` environments of Isaac Lab's manager-based environment with Newton, as rsl_rl's VecEnv describes them.

    Isaac Lab holds one simulation per process: another can be made when this one is closed. On a CPU, results depend on
    the configuration, the seed and the actions alone.

    Raises:
        UserError: when this process has a simulation already, or Isaac Lab cannot hold the task's model.
    """

    simulator = "isaaclab"

    def __init__(self, task: Task, cfg: Any, options: Options) -> None:
        from isaaclab.sim import SimulationContext

        if SimulationContext.instance() is not None:
            raise UserError("the simulator 'isaaclab' holds one simulation per process; close the other one first.")
        super().__init__(task, cfg, options)
        wp.config.log_level = wp.LOG_ERROR
        configuration = env_cfg(task, cfg)
        configuration.scene.num_envs = options.num_envs
        configuration.scene.env_spacing = options.env_spacing
        configuration.sim.device = options.device
        configuration.sim.save_logs_to_file = False
        configuration.seed = options.seed
        if not options.auto_reset:
            for name in task.termination_names:
                setattr(configuration.terminations, name, None)
        with redirect_stdout(StringIO()):  # it prints its managers
            self._env = ManagerBasedRLEnv(configuration)
            self._env.reset()
        self._command = self._env.command_manager.get_term(COMMAND)
        self._starts = self._env.event_manager.get_term_cfg("start_episodes").func
        self._generator: torch.Generator = self._starts.generator.manual_seed(options.seed)
        self._broken = torch.zeros(self.num_envs, 1 + len(task.rewards), dtype=torch.bool, device=self.device)
        self.reset_to(task.start(cfg, self.num_envs, self._generator))
        check_memory(task, cfg, self.state())
        check_terms(task, cfg, self.state())

    @property
    def episode_length_buf(self) -> Tensor:
        """Steps done in the present episodes, (num_envs,)."""
        return self._env.episode_length_buf

    @episode_length_buf.setter
    def episode_length_buf(self, value: Tensor) -> None:
        self._env.episode_length_buf = value

    def get_observations(self) -> TensorDict:  # noqa: D102
        return TensorDict({"policy": self._env.obs_buf["policy"]}, batch_size=[self.num_envs], device=self.device)

    def step(self, actions: Tensor) -> tuple[TensorDict, Tensor, Tensor, dict]:  # noqa: D102
        _, rewards, terminated, truncated, logged = self._env.step(actions.to(torch.float32))
        self._broken[:, 0] |= ~torch.isfinite(self._env.obs_buf["policy"]).all(1)
        self._broken[:, 1:] |= ~torch.isfinite(self._env.reward_manager._step_reward)
        dones = terminated | truncated
        extras: dict[str, Any] = {"time_outs": truncated & ~terminated}
        if dones.any():
            extras["log"] = self._log(logged["log"], dones)
        return self.get_observations(), rewards.clone(), dones.long(), extras

    def check_physics(self) -> None:  # noqa: D102
        broken = self._broken.cpu()
        if broken.any():
            index = int(broken.any(1).nonzero()[0])
            terms = ["physics state", *(f"Episode_Reward/{name}" for name in self.task.rewards)]
            raise NonFiniteError(terms[int(broken[index].nonzero()[0])], index)

    def reset_to(self, starts: Starts, seed: int = 0) -> None:  # noqa: D102
        drawn = self._generator.get_state()
        self._env.reset()
        self._generator.set_state(drawn)
        everyone = torch.arange(self.num_envs, device=self.device)
        self._starts.start(self._env, everyone, starts.to(self.device))
        for metric in self._command.metrics.values():
            metric.zero_()
        self._env.sim.forward()
        self._env.obs_buf = self._env.observation_manager.compute()

    def state(self) -> State:  # noqa: D102
        return self._command.state()

    def state_dict(self) -> dict[str, Tensor]:  # noqa: D102
        state = {name: tensor.to("cpu", copy=True) for name, tensor in self._tensors().items()}
        return state | {"generator": self._generator.get_state()}

    def load_state_dict(self, state: dict[str, Tensor]) -> None:  # noqa: D102
        with torch.inference_mode():  # some of these tensors were made in it
            for name, tensor in self._tensors().items():
                tensor.copy_(state[name])
        self._generator.set_state(state["generator"])
        self._broken.zero_()
        for asset in (*self._env.scene.articulations.values(), *self._env.scene.rigid_objects.values()):
            asset.update(self._env.physics_dt)  # it would show what it has read before
        self._env.obs_buf = self._env.observation_manager.compute()

    def close(self) -> None:  # noqa: D102
        super().close()
        with redirect_stdout(StringIO()):
            self._env.close()

    def _tensors(self) -> dict[str, Tensor]:
        """Return everything that determines how the environments continue, as writable views."""
        state, solver = NewtonManager.backend.state_0, NewtonManager._solver
        env, rewards = self._env, self._env.reward_manager
        return {
            **{f"physics.{name}": wp.to_torch(getattr(state, name)) for name in ("joint_q", "joint_qd")},
            **{f"physics.{name}": wp.to_torch(getattr(state, name)) for name in ("body_q", "body_qd")},
            "physics.warmstart": wp.to_torch(solver.mjw_data.qacc_warmstart),
            "episode_length": env.episode_length_buf,
            "action": env.action_manager.action,
            "previous_action": env.action_manager.prev_action,
            "command": self._command.value,
            "memory": self._command.memory,
            "reward_sums": rewards._episode_sum_buf,
            **{f"metrics.{name}": metric for name, metric in self._command.metrics.items()},
        }

    def _picture_of(self, index: int) -> tuple[np.ndarray, Tensor]:
        return self._command.frames.qpos()[index].cpu().numpy(), self._command.value[index]

    def _log(self, logged: dict[str, Any], dones: Tensor) -> dict[str, Any]:
        """Return Isaac Lab's log of the episodes that ended, with terminations as shares of these as elsewhere here."""
        log = {
            tag.replace(f"Metrics/{COMMAND}/", "Metrics/", 1): torch.as_tensor(value).clone()
            for tag, value in logged.items()
        }
        for name in self.task.termination_names:
            log[f"Episode_Termination/{name}"] = self._env.termination_manager.get_term(name)[dones].float().mean()
        return log
