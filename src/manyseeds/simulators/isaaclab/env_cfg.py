"""The environment's configuration, with the numbers of `LiftObjectCfg` and of the MJCF.

`env.commands.object_pose.task_cfg.FIELD=VALUE` on Isaac Lab's command line changes what terms compute; time, weights
and the action's scale stand in Isaac Lab's own fields.
"""

from dataclasses import asdict
from itertools import accumulate
from typing import Any

import isaaclab.sim as sim_utils
from isaaclab.actuators import ImplicitActuatorCfg
from isaaclab.assets import ArticulationCfg, AssetBaseCfg, RigidObjectCfg
from isaaclab.envs import ManagerBasedRLEnvCfg
from isaaclab.envs import mdp as isaaclab_mdp
from isaaclab.managers import EventTermCfg, ObservationGroupCfg, ObservationTermCfg, RewardTermCfg, TerminationTermCfg
from isaaclab.scene import InteractiveSceneCfg
from isaaclab.utils import configclass
from isaaclab_newton.sim.schemas import NewtonArticulationRootPropertiesCfg

from manyseeds.simulators.base import load_model
from manyseeds.simulators.isaaclab import mdp, physics
from manyseeds.simulators.isaaclab.assets import usd_files
from manyseeds.simulators.isaaclab.frames import JOINTS
from manyseeds.tasks.lift_object import task


@configclass
class SceneCfg(InteractiveSceneCfg):
    """Robot, table, cube and a light."""

    robot: ArticulationCfg = None
    table: AssetBaseCfg = None
    object: RigidObjectCfg = None
    light = AssetBaseCfg(prim_path="/World/light", spawn=sim_utils.DomeLightCfg(intensity=3000.0))


@configclass
class Terms:
    """A manager's terms, set by name."""


@configclass
class LiftObjectEnvCfg(ManagerBasedRLEnvCfg):
    """lift_object with Newton, as published; `set_task` takes other numbers."""

    scene: SceneCfg = SceneCfg(num_envs=512, env_spacing=5.0)
    actions: Any = Terms()
    commands: Any = Terms()
    observations: Any = Terms()
    rewards: Any = Terms()
    terminations: Any = Terms()
    events: Any = Terms()

    def __post_init__(self) -> None:
        self.set_task(task.LiftObjectCfg())

    def set_task(self, cfg: task.LiftObjectCfg) -> None:
        """Fill in everything that the task says."""
        model = load_model(cfg)
        self.decimation = cfg.decimation
        self.episode_length_s = cfg.episode_length_s
        self.sim.dt = cfg.physics_dt
        self.sim.render_interval = cfg.decimation
        self.sim.gravity = tuple(float(g) for g in model.opt.gravity)
        self.sim.physics = physics.newton_cfg(model)
        self._set_scene(cfg, physics.gains(model))
        self._set_managers(cfg, tuple(float(x) for x in model.site("end_effector").pos))

    def _set_scene(self, cfg: task.LiftObjectCfg, gains: dict[str, dict[str, float]]) -> None:
        files = usd_files()
        home = task.default_joint_pos(cfg).tolist()
        self.scene.robot = ArticulationCfg(
            prim_path="{ENV_REGEX_NS}/Robot",
            spawn=sim_utils.UsdFileCfg(
                usd_path=str(files["robot"]),
                articulation_props=NewtonArticulationRootPropertiesCfg(self_collision_enabled=False),
            ),
            init_state=ArticulationCfg.InitialStateCfg(joint_pos=dict(zip(JOINTS, home, strict=True))),
            joint_ordering=list(JOINTS),
            actuators={
                "all": ImplicitActuatorCfg(
                    joint_names_expr=list(JOINTS),
                    stiffness=gains["stiffness"],
                    damping=gains["damping"],
                    joint_effort_limit=gains["effort"],
                    armature=gains["armature"],
                )
            },
        )
        self.scene.table = AssetBaseCfg(
            prim_path="{ENV_REGEX_NS}/Table", spawn=sim_utils.UsdFileCfg(usd_path=str(files["table"]))
        )
        middle = [sum(limits) / 2 for limits in (cfg.object_x, cfg.object_y)]
        self.scene.object = RigidObjectCfg(
            prim_path="{ENV_REGEX_NS}/Object",
            spawn=sim_utils.UsdFileCfg(usd_path=str(files["object"])),
            init_state=RigidObjectCfg.InitialStateCfg(pos=(*middle, cfg.object_z)),
        )

    def _set_managers(self, cfg: task.LiftObjectCfg, end_effector: tuple[float, ...]) -> None:
        self.actions.arm_action = isaaclab_mdp.JointPositionActionCfg(
            asset_name="robot",
            joint_names=list(JOINTS[:7]),
            scale=cfg.action_scale,
            use_default_offset=True,
            preserve_order=True,
        )
        self.actions.gripper_action = isaaclab_mdp.BinaryJointPositionActionCfg(
            asset_name="robot",
            joint_names=list(JOINTS[7:]),
            open_command_expr=dict.fromkeys(JOINTS[7:], cfg.gripper_open),
            close_command_expr=dict.fromkeys(JOINTS[7:], cfg.gripper_closed),
        )
        self.commands.object_pose = mdp.TargetCommandCfg(task_cfg=asdict(cfg), end_effector=end_effector)

        policy = ObservationGroupCfg(concatenate_terms=True, enable_corruption=False)
        ends = accumulate(task.OBSERVATION_TERMS.values())
        for (name, width), last in zip(task.OBSERVATION_TERMS.items(), ends, strict=True):
            term = ObservationTermCfg(func=mdp.observation, params={"first": last - width, "last": last})
            setattr(policy, name, term)
        self.observations.policy = policy

        for index, name in enumerate(task.REWARD_TERMS):
            weight = getattr(cfg, f"{name}_weight")
            setattr(self.rewards, name, RewardTermCfg(func=mdp.reward, params={"index": index}, weight=weight))
        for index, name in enumerate(task.TERMINATION_TERMS):
            term = TerminationTermCfg(func=mdp.termination, params={"index": index}, time_out=name == "time_out")
            setattr(self.terminations, name, term)
        self.events.start_episodes = EventTermCfg(func=mdp.StartEpisodes, mode="reset")
