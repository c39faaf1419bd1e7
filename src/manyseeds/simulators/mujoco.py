"""lift_object in MuJoCo, stepped by `mujoco.batch` on a pool of threads."""

import os
from dataclasses import asdict
from typing import Any

# MuJoCo chooses its OpenGL when it is imported; without a screen only EGL draws.
if "DISPLAY" not in os.environ:
    os.environ.setdefault("MUJOCO_GL", "egl")

import mujoco
import numpy as np
import torch
from mujoco.batch import Batch, SimulationError
from rsl_rl.env import VecEnv
from tensordict import TensorDict
from torch import Tensor

from manyseeds.simulators import NonFiniteError
from manyseeds.task import lift_object as task
from manyseeds.task.grasp_starts import GraspStarts, solve_grasp_starts
from manyseeds.task.kinematics import PointOnChain

_ARM = [f"panda_link{i}" for i in range(1, 8)]
_VISUAL_GROUP = 2


def load_model(cfg: task.LiftObjectCfg, visual: bool = False) -> mujoco.MjModel:
    """Compile the task's MJCF.

    Args:
        cfg: the task; gives the timestep.
        visual: whether to keep the shapes that only show; without them stepping is faster and the same.
    """
    spec = mujoco.MjSpec.from_file(str(task.MODEL_PATH))
    spec.option.timestep = cfg.physics_dt
    if not visual:
        for geom in list(spec.geoms):
            if geom.group == _VISUAL_GROUP:
                spec.delete(geom)
    return spec.compile()


def end_effector_chain(model: mujoco.MjModel) -> PointOnChain:
    """Return the kinematics of the point between the finger pads, in the robot's root frame, from the model."""
    rotations = np.empty((len(_ARM), 3, 3))
    for rotation, name in zip(rotations, _ARM, strict=True):
        mujoco.mju_quat2Mat(rotation.reshape(9), model.body(name).quat)
    hand = model.body("panda_hand")
    point = np.empty(3)
    mujoco.mju_rotVecQuat(point, model.site("end_effector").pos, hand.quat)
    return PointOnChain(rotations, np.array([model.body(name).pos for name in _ARM]), point + hand.pos)


class MujocoEnv(VecEnv):
    """`num_envs` environments of lift_object on the CPU, as rsl_rl's VecEnv describes them.

    Results depend on the configuration, the seed and the actions, not on the number of threads.
    """

    def __init__(
        self,
        cfg: task.LiftObjectCfg,
        *,
        num_envs: int,
        seed: int,
        threads: int = 0,
        env_spacing: float = 5.0,
        auto_reset: bool = True,
    ) -> None:
        self.task_cfg = cfg
        self.num_envs = num_envs
        self.num_actions = task.NUM_ACTIONS
        self.max_episode_length = cfg.episode_length
        self.step_dt = cfg.step_dt
        self.device = "cpu"
        self.cfg = {
            "simulator": "mujoco",
            "task": "lift_object",
            "num_envs": num_envs,
            "seed": seed,
            "env_spacing": env_spacing,
            "task_cfg": asdict(cfg),
        }
        self._auto_reset = auto_reset
        self._generator = torch.Generator().manual_seed(seed)
        self._model = load_model(cfg)
        self._batch = Batch(self._model, num_envs, nthread=threads)
        self._qpos, self._qvel = self._batch.bind("qpos"), self._batch.bind("qvel")
        self._ctrl, self._warmstart = self._batch.bind("ctrl"), self._batch.bind("qacc_warmstart")
        self._target = self._batch.bind("mocap_pos")[:, 0]
        self._chain = end_effector_chain(self._model)
        self._default = task.default_joint_pos(cfg)
        self._grasp_starts = self._solve_grasp_starts() if auto_reset and cfg.grasp_start_share > 0 else None
        self._renderer: mujoco.Renderer | None = None

        self.episode_length_buf = torch.zeros(num_envs, dtype=torch.long)
        self._action = torch.zeros(num_envs, self.num_actions)
        self._previous_action = torch.zeros(num_envs, self.num_actions)
        self._target_pos = torch.zeros(num_envs, 3)
        self._reward_sums = torch.zeros(num_envs, len(task.REWARD_TERMS))
        self._reached = torch.zeros(num_envs, dtype=torch.bool)
        self._reset(torch.arange(num_envs), *task.sample_resets(cfg, num_envs, self._generator))
        self._read_state()

    def get_observations(self) -> TensorDict:
        """Return {"policy": (num_envs, 36)} of the present state."""
        return TensorDict({"policy": task.observations(self.task_cfg, self._state)}, batch_size=[self.num_envs])

    def step(self, actions: Tensor) -> tuple[TensorDict, Tensor, Tensor, dict]:
        """Advance every environment by one step of `step_dt` seconds.

        Raises:
            NonFiniteError: when an action, the physics or a reward is not finite.
        """
        self._previous_action, self._action = self._action, actions.to(torch.float32).clone()
        self._ctrl[:] = task.joint_targets(self.task_cfg, self._action).numpy()
        self._advance()
        self._read_state()
        self.episode_length_buf += 1
        terms = task.rewards(self.task_cfg, self._state)
        rewards = terms.sum(1)
        self._check_finite(terms, rewards)
        self._reward_sums += terms
        distance = task.goal_distance(self._state)
        self._reached |= distance < self.task_cfg.success_distance
        ended = task.terminations(self.task_cfg, self._state, self.episode_length_buf)
        if not self._auto_reset:
            ended = torch.zeros_like(ended)
        dones = ended.any(1)
        extras: dict[str, Any] = {"time_outs": ended[:, 0] & ~ended[:, 1:].any(1)}
        ids = dones.nonzero().flatten()
        if len(ids):
            extras["log"] = self._episode_log(ids, ended[ids], distance[ids])
            self._reset(ids, *task.sample_resets(self.task_cfg, len(ids), self._generator))
            if self._grasp_starts is not None:
                self._start_some_around_the_cube(ids, self._grasp_starts)
            self._read_state(self._state.end_effector_pos)
        return self.get_observations(), rewards, dones.long(), extras

    def reset_to(self, object_xy: Tensor, target: Tensor) -> None:
        """Start episodes: the cube at `object_xy` (num_envs, 2), the command `target` (num_envs, 3); root frame, m."""
        self._reset(torch.arange(self.num_envs), object_xy, target)
        self._read_state()

    def object_position(self) -> Tensor:
        """Return the cube's centre, (num_envs, 3) in m, root frame."""
        return self._state.object_pos.clone()

    def target_position(self) -> Tensor:
        """Return the command, (num_envs, 3) in m, root frame."""
        return self._target_pos.clone()

    def state_dict(self) -> dict[str, Tensor]:
        """Return all that decides how the environments go on, as copies."""
        return {
            "physics": torch.from_numpy(self._batch.state.copy()),
            "generator": self._generator.get_state(),
            "episode_length": self.episode_length_buf.clone(),
            "action": self._action.clone(),
            "previous_action": self._previous_action.clone(),
            "target_pos": self._target_pos.clone(),
            "reward_sums": self._reward_sums.clone(),
            "reached": self._reached.clone(),
        }

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """Go on exactly where `state_dict` was taken; the number of environments must be the same."""
        self._batch.state[:] = state["physics"].numpy()
        self._generator.set_state(state["generator"])
        self.episode_length_buf = state["episode_length"].clone()
        self._action = state["action"].clone()
        self._previous_action = state["previous_action"].clone()
        self._target_pos = state["target_pos"].clone()
        self._reward_sums = state["reward_sums"].clone()
        self._reached = state["reached"].clone()
        self._read_state()

    def render(self, index: int, width: int = 640, height: int = 480) -> np.ndarray:
        """Return a picture of environment `index`, (height, width, 3) uint8, drawn off screen."""
        if self._renderer is None or (self._renderer.width, self._renderer.height) != (width, height):
            self.close()
            self._visual_model = load_model(self.task_cfg, visual=True)
            self._visual_data = mujoco.MjData(self._visual_model)
            self._renderer = mujoco.Renderer(self._visual_model, height, width)
        self._visual_data.qpos[:] = self._qpos[index]
        self._visual_data.mocap_pos[0] = self._target_pos[index].numpy()
        mujoco.mj_kinematics(self._visual_model, self._visual_data)
        mujoco.mj_camlight(self._visual_model, self._visual_data)
        self._renderer.update_scene(self._visual_data, camera="front")
        return self._renderer.render()

    def close(self) -> None:
        """Free the renderer, if there is one."""
        if self._renderer is not None:
            self._renderer.close()
            self._renderer = None

    def _advance(self) -> None:
        try:
            self._batch.step(nstep=self.task_cfg.decimation)
        except SimulationError as error:
            raise NonFiniteError("physics state", int(error.ids[0])) from error

    def _read_state(self, end_effector_pos: Tensor | None = None) -> None:
        """Read the physics; `end_effector_pos` (num_envs, 3) saves computing what no observation depends on."""
        if end_effector_pos is None:
            end_effector_pos = torch.from_numpy(self._chain.position(self._qpos[:, :7].astype(np.float32)))
        qpos = torch.from_numpy(self._qpos).float()
        self._state = task.State(
            joint_pos=qpos[:, :9],
            joint_vel=torch.from_numpy(self._qvel[:, :9]).float(),
            object_pos=qpos[:, 9:12],
            end_effector_pos=end_effector_pos,
            target_pos=self._target_pos,
            action=self._action,
            previous_action=self._previous_action,
        )

    def _reset(self, ids: Tensor, object_xy: Tensor, target: Tensor) -> None:
        rows = ids.numpy()
        self._qpos[rows, :9] = self._default.numpy()
        self._qpos[rows, 9:11] = object_xy.numpy()
        self._qpos[rows, 11:] = (self.task_cfg.object_z, 1.0, 0.0, 0.0, 0.0)
        self._qvel[rows] = 0.0
        self._warmstart[rows] = 0.0
        self._ctrl[rows] = self._default.numpy()
        self._target[rows] = target.numpy()
        self._target_pos = self._target_pos.index_copy(0, ids, target)
        self._action = self._action.index_fill(0, ids, 0.0)
        self._previous_action = self._previous_action.index_fill(0, ids, 0.0)
        self.episode_length_buf[ids] = 0
        self._reward_sums[ids] = 0.0
        self._reached[ids] = False

    def _solve_grasp_starts(self) -> GraspStarts:
        limits = np.array([self._model.joint(f"panda_joint{i}").range for i in range(1, 8)])
        return solve_grasp_starts(self.task_cfg, self._chain, limits)

    def _start_some_around_the_cube(self, ids: Tensor, starts: GraspStarts) -> None:
        draws = torch.rand(3, len(ids), generator=self._generator)
        chosen = draws[0] < self.task_cfg.grasp_start_share
        rows, poses = ids[chosen].numpy(), (draws[1, chosen] * len(starts.arm)).long()
        arm = torch.lerp(self._default[:7], starts.arm[poses], draws[2, chosen, None])
        self._qpos[rows, :7] = arm.numpy()
        self._ctrl[rows, :7] = arm.numpy()
        self._qpos[rows, 9:12] = starts.object_pos[poses].numpy()

    def _episode_log(self, ids: Tensor, ended: Tensor, distance: Tensor) -> dict[str, Tensor]:
        """Means over the episodes that end now, by event tag; rewards per second of a full episode, as in Isaac Lab."""
        sums = self._reward_sums[ids].mean(0) / self.task_cfg.episode_length_s
        log = {f"Episode_Reward/{name}": sums[i] for i, name in enumerate(task.REWARD_TERMS)}
        shares = ended.float().mean(0)
        log |= {f"Episode_Termination/{name}": shares[i] for i, name in enumerate(task.TERMINATION_TERMS)}
        log["Metrics/object_pose/position_error"] = distance.mean()
        log["Metrics/object_pose/orientation_error"] = self._orientation_error(ids).mean()
        log["Metrics/success_rate"] = self._reached[ids].float().mean()
        return log

    def _orientation_error(self, ids: Tensor) -> Tensor:
        """Return the angle, (k,) in rad, between the cubes and the commanded orientation, which is none."""
        w = torch.from_numpy(self._qpos[ids.numpy(), 12]).float().abs().clamp(max=1.0)
        return 2 * torch.acos(w)

    def _check_finite(self, terms: Tensor, rewards: Tensor) -> None:
        if not torch.isfinite(rewards).all():
            for i, name in enumerate(task.REWARD_TERMS):
                bad = (~torch.isfinite(terms[:, i])).nonzero().flatten()
                if len(bad):
                    raise NonFiniteError(f"Episode_Reward/{name}", int(bad[0]))
