"""Registers the tasks with Gymnasium: the `isaaclab.tasks` entry point, so that `isaaclab train` finds them.

The task `some_task` is `ManySeeds-Some-Task` there. PPO has the settings of learning/generic_policy.json.
"""

from collections.abc import Callable
from typing import Any

import gymnasium as gym

from manyseeds.tasks import registry


def env_id(name: str) -> str:
    """Return Gymnasium's name of a task."""
    return "-".join(("ManySeeds", *(word.capitalize() for word in name.split("_"))))


def _env_cfg(name: str) -> Callable[[], Any]:
    def make() -> Any:
        from manyseeds.simulators.isaaclab.env_cfg import env_cfg

        return env_cfg(name)

    return make


def _agent_cfg(name: str) -> Callable[[], Any]:
    def make() -> Any:
        from isaaclab_rl.rsl_rl import RslRlMLPModelCfg, RslRlOnPolicyRunnerCfg, RslRlPpoAlgorithmCfg

        network = {"hidden_dims": [256, 256, 256], "activation": "elu"}
        return RslRlOnPolicyRunnerCfg(
            num_steps_per_env=24,
            max_iterations=1500,
            save_interval=50,
            experiment_name=name,
            actor=RslRlMLPModelCfg(distribution_cfg=RslRlMLPModelCfg.GaussianDistributionCfg(init_std=1.0), **network),
            critic=RslRlMLPModelCfg(**network),
            algorithm=RslRlPpoAlgorithmCfg(
                num_learning_epochs=5,
                num_mini_batches=4,
                learning_rate=1e-3,
                schedule="adaptive",
                desired_kl=0.01,
                gamma=0.99,
                lam=0.95,
                clip_param=0.2,
                entropy_coef=0.006,
                value_loss_coef=1.0,
                use_clipped_value_loss=True,
                max_grad_norm=1.0,
            ),
        )

    return make


for _name in registry.names():
    gym.register(
        id=env_id(_name),
        entry_point="isaaclab.envs:ManagerBasedRLEnv",
        disable_env_checker=True,
        kwargs={"env_cfg_entry_point": _env_cfg(_name), "rsl_rl_cfg_entry_point": _agent_cfg(_name)},
    )
