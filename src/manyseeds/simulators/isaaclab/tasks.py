"""Registers the environments with Gymnasium: the `isaaclab.tasks` entry point, so that `isaaclab train` finds them."""

import gymnasium as gym

ENV_ID = "ManySeeds-Lift-Object"

for _id, _cfg in ((ENV_ID, "env_cfg:LiftObjectEnvCfg"), (f"{ENV_ID}-PhysX", "physx_cfg:LiftObjectPhysxEnvCfg")):
    gym.register(
        id=_id,
        entry_point="isaaclab.envs:ManagerBasedRLEnv",
        disable_env_checker=True,
        kwargs={
            "env_cfg_entry_point": f"manyseeds.simulators.isaaclab.{_cfg}",
            # Isaac Lab's own settings of PPO for its version of the task.
            "rsl_rl_cfg_entry_point": (
                "isaaclab_tasks.contrib.lift.config.franka.agents.rsl_rl_ppo_cfg:LiftCubePPORunnerCfg"
            ),
        },
    )
