"""A task's environment as Isaac Lab's configuration, with the numbers of the task and of its MJCF.

`env.commands.command.task_cfg.FIELD=VALUE` on Isaac Lab's command line changes what terms compute; time and weights are
Isaac Lab's own fields.
"""

from dataclasses import asdict
from typing import Any

import isaaclab.sim as sim_utils
import mujoco
import torch
from isaaclab.actuators import ImplicitActuatorCfg
from isaaclab.assets import ArticulationCfg, AssetBaseCfg, RigidObjectCfg
from isaaclab.envs import ManagerBasedRLEnvCfg
from isaaclab.managers import EventTermCfg, ObservationGroupCfg, ObservationTermCfg, RewardTermCfg, TerminationTermCfg
from isaaclab.scene import InteractiveSceneCfg
from isaaclab.utils import configclass
from isaaclab_newton.sim.schemas import NewtonArticulationRootPropertiesCfg

from manyseeds.core.errors import UserError
from manyseeds.simulators.isaaclab import mdp, physics
from manyseeds.simulators.isaaclab.assets import usd_files
from manyseeds.simulators.isaaclab.parts import Part, collides_with_itself, parts
from manyseeds.simulators.model import load_model
from manyseeds.tasks import registry
from manyseeds.tasks.base import TIME_OUT, Task, configure, randomized, randomizing


@configclass
class SceneCfg(InteractiveSceneCfg):
    """A light, and the parts of the task's MJCF by name."""

    light = AssetBaseCfg(prim_path="/World/light", spawn=sim_utils.DomeLightCfg(intensity=3000.0))


@configclass
class Terms:
    """A manager's terms, set by name."""


@configclass
class TaskEnvCfg(ManagerBasedRLEnvCfg):
    """An environment that `env_cfg` fills in."""

    scene: SceneCfg = SceneCfg(num_envs=512, env_spacing=5.0)
    actions: Any = Terms()
    commands: Any = Terms()
    observations: Any = Terms()
    rewards: Any = Terms()
    terminations: Any = Terms()
    events: Any = Terms()


def env_cfg(task: Task | str, cfg: Any = None) -> TaskEnvCfg:
    """Return the configuration of a task with Newton.

    Args:
        task: the task, or its reference.
        cfg: its numbers; without them, the task's own.

    Raises:
        UserError: when there is no such task, or Isaac Lab cannot hold its model.
    """
    loaded = task if isinstance(task, Task) else registry.load(task)
    cfg = configure(loaded, {}) if cfg is None else cfg
    if randomized(loaded, cfg):
        raise UserError(
            f"task {loaded.name} has random factors, noise, delays or pushes, which the simulator 'isaaclab' does not"
            f" do; leave {', '.join(randomizing(loaded))} as they are."
        )
    model = load_model(loaded, cfg)
    result = TaskEnvCfg()
    result.decimation = cfg.decimation
    result.episode_length_s = cfg.episode_length_s
    result.sim.dt = cfg.physics_dt
    result.sim.render_interval = cfg.decimation
    result.sim.gravity = tuple(float(g) for g in model.opt.gravity)
    result.sim.physics = physics.newton_cfg(model)
    command = mdp.TaskCommandCfg(task=task if isinstance(task, str) else lambda: loaded, task_cfg=asdict(cfg))
    setattr(result.commands, mdp.COMMAND, command)
    _set_scene(result.scene, loaded, cfg, model)
    _set_managers(result, loaded, cfg, model)
    return result


def _set_scene(scene: SceneCfg, task: Task, cfg: Any, model: mujoco.MjModel) -> None:
    files = usd_files(task, cfg)
    # Where things stand until the first episodes start.
    home = task.start(cfg, 1, torch.Generator().manual_seed(0)).qpos[0].tolist()
    for part in parts(model):
        path, spawn = f"{{ENV_REGEX_NS}}/{part.name}", sim_utils.UsdFileCfg(usd_path=str(files[part.name]))
        qpos = home[part.qpos]
        if part.kind == "articulation":
            asset = _articulation(model, part, path, spawn, qpos)
        elif part.kind == "free":
            place = RigidObjectCfg.InitialStateCfg(**_pose(qpos))
            asset = RigidObjectCfg(prim_path=path, spawn=spawn, init_state=place)
        else:
            asset = AssetBaseCfg(prim_path=path, spawn=spawn)
        setattr(scene, part.name, asset)


def _articulation(model: mujoco.MjModel, part: Part, path: str, spawn: Any, qpos: list[float]) -> ArticulationCfg:
    spawn.articulation_props = NewtonArticulationRootPropertiesCfg(
        self_collision_enabled=collides_with_itself(model, part)
    )
    gains = physics.gains(model, part.joints)
    driven = list(gains["stiffness"])
    base = _pose(qpos) if part.floats else {}
    joints = dict(zip(part.joints, qpos[7 * part.floats :], strict=True))
    return ArticulationCfg(
        prim_path=path,
        spawn=spawn,
        init_state=ArticulationCfg.InitialStateCfg(joint_pos=joints, **base),
        joint_ordering=list(part.joints),
        actuators={"all": ImplicitActuatorCfg(joint_names_expr=driven, **gains)} if driven else {},
    )


def _pose(qpos: list[float]) -> dict[str, tuple[float, ...]]:
    """Return where a body is that moves freely, as InitialStateCfg takes it, of its coordinates in the MJCF's form."""
    return {"pos": tuple(qpos[:3]), "rot": (*qpos[4:7], qpos[3])}


def _set_managers(result: TaskEnvCfg, task: Task, cfg: Any, model: mujoco.MjModel) -> None:
    articulation = next(part.name for part in parts(model) if part.kind == "articulation")
    result.actions.action = mdp.TaskActionCfg(asset_name=articulation)
    policy = ObservationGroupCfg(concatenate_terms=True, enable_corruption=False)
    for name in task.observations:
        setattr(policy, name, ObservationTermCfg(func=mdp.observation, params={"name": name}))
    result.observations.policy = policy
    for name in task.rewards:
        term = RewardTermCfg(func=mdp.reward, params={"name": name}, weight=getattr(cfg, f"{name}_weight"))
        setattr(result.rewards, name, term)
    setattr(result.terminations, TIME_OUT, TerminationTermCfg(func=mdp.time_out, time_out=True))
    for name in task.terminations:
        setattr(result.terminations, name, TerminationTermCfg(func=mdp.termination, params={"name": name}))
    result.events.start_episodes = EventTermCfg(func=mdp.StartEpisodes, mode="reset")
