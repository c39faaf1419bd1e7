"""lift_object as an rsl_rl VecEnv, apart from the physics: what every simulator has in common."""

import os
from abc import abstractmethod
from dataclasses import asdict

# MuJoCo chooses its OpenGL when it is imported; without a screen only EGL draws.
if "DISPLAY" not in os.environ:
    os.environ.setdefault("MUJOCO_GL", "egl")

import mujoco
import numpy as np
import torch
from rsl_rl.env import VecEnv
from tensordict import TensorDict
from torch import Tensor

from manyseeds.tasks.kinematics import PointOnChain
from manyseeds.tasks.lift_object import task
from manyseeds.tasks.lift_object.grasp_starts import GraspStarts, solve_grasp_starts, start_around_cubes

_ARM = [f"panda_link{i}" for i in range(1, 8)]
_VISUAL_GROUP = 2
EPISODE_TAGS = (
    *(f"Episode_Reward/{name}" for name in task.REWARD_TERMS),
    *(f"Episode_Termination/{name}" for name in task.TERMINATION_TERMS),
    "Metrics/object_pose/position_error",
    "Metrics/object_pose/orientation_error",
    "Metrics/success_rate",
)
"""What the log of episodes that end says; rewards are those per second of a full episode, as in Isaac Lab."""

_EPISODE_WIDTHS = (3, task.NUM_ACTIONS, task.NUM_ACTIONS, len(task.REWARD_TERMS), 1)
"""Of what an episode remembers: target, action, previous action, sums of the rewards, whether it was at the target."""


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


class LiftObjectEnv(VecEnv):
    """`num_envs` environments of lift_object, as training and evaluation use them. Tensors live on `device`.

    Args:
        cfg: the task.
        simulator: name of the simulator.
        num_envs: environments stepped at once.
        seed: of resets and commands.
        device: torch device of everything.
        env_spacing: metres between environments, for simulators that lay them side by side.
    """

    _pictures: "Pictures | None" = None

    def __init__(
        self,
        cfg: task.LiftObjectCfg,
        *,
        simulator: str,
        num_envs: int,
        seed: int,
        device: str,
        env_spacing: float,
    ) -> None:
        self.task_cfg = cfg
        self.num_envs = num_envs
        self.num_actions = task.NUM_ACTIONS
        self.max_episode_length = cfg.episode_length
        self.step_dt = cfg.step_dt
        self.device = device
        self.cfg = {
            "simulator": simulator,
            "task": "lift_object",
            "num_envs": num_envs,
            "seed": seed,
            "env_spacing": env_spacing,
            "task_cfg": asdict(cfg),
        }

    @abstractmethod
    def get_observations(self) -> TensorDict:
        """Return {"policy": (num_envs, 36)} of the present state."""

    @abstractmethod
    def step(self, actions: Tensor) -> tuple[TensorDict, Tensor, Tensor, dict]:
        """Advance every environment by one step of `step_dt` seconds with actions (num_envs, 8).

        Returns:
            Observations, rewards (num_envs,), dones (num_envs,) and extras: `time_outs` (num_envs,), the episodes that
            ended for their length alone; `log`, means over the episodes that ended, by event tag.

        Raises:
            NonFiniteError: when an action, the physics or a reward is not finite; a simulator on a GPU says so in
                `check_physics` instead.
        """

    def check_physics(self) -> None:
        """Raise what `step` found since the last call but did not wait for.

        Raises:
            NonFiniteError: naming the first environment concerned.
        """

    @abstractmethod
    def reset_to(self, object_xy: Tensor, target: Tensor) -> None:
        """Start episodes: the cube at `object_xy` (num_envs, 2), the command `target` (num_envs, 3); root frame, m."""

    @abstractmethod
    def object_position(self) -> Tensor:
        """Return the cube's centre, (num_envs, 3) in m, root frame."""

    @abstractmethod
    def target_position(self) -> Tensor:
        """Return the command, (num_envs, 3) in m, root frame."""

    @abstractmethod
    def state_dict(self) -> dict[str, Tensor]:
        """Return all that decides how the environments go on, as copies on the host."""

    @abstractmethod
    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """Go on exactly where `state_dict` was taken; the number of environments must be the same."""

    @abstractmethod
    def _qpos_of(self, index: int) -> np.ndarray:
        """Return the MJCF's coordinates of one environment, (16,), on the host."""

    def render(self, index: int, width: int = 640, height: int = 480) -> np.ndarray:
        """Return a picture of environment `index`, (height, width, 3) uint8, drawn off screen from the MJCF."""
        if self._pictures is None:
            self._pictures = Pictures(self.task_cfg)
        target = self.target_position()[index].cpu().numpy()
        return self._pictures.draw(self._qpos_of(index), target, width, height)

    def close(self) -> None:
        """Free the renderer, if there is one."""
        if self._pictures is not None:
            self._pictures.close()
            self._pictures = None


class Pictures:
    """Draws the task's MJCF off screen."""

    def __init__(self, cfg: task.LiftObjectCfg) -> None:
        self._model = load_model(cfg, visual=True)
        self._data = mujoco.MjData(self._model)
        self._renderer: mujoco.Renderer | None = None

    def draw(self, qpos: np.ndarray, target: np.ndarray, width: int, height: int) -> np.ndarray:
        """Return a picture, (height, width, 3) uint8, at coordinates `qpos` (16,) with the target (3,) in m."""
        if self._renderer is None or (self._renderer.width, self._renderer.height) != (width, height):
            self.close()
            self._renderer = mujoco.Renderer(self._model, height, width)
        self._data.qpos[:] = qpos
        self._data.mocap_pos[0] = target
        mujoco.mj_kinematics(self._model, self._data)
        mujoco.mj_camlight(self._model, self._data)
        self._renderer.update_scene(self._data, camera="front")
        return self._renderer.render()

    def close(self) -> None:
        """Free the renderer."""
        if self._renderer is not None:
            self._renderer.close()
            self._renderer = None


class SteppedEnv(LiftObjectEnv):
    """lift_object on a compiled MJCF; a subclass steps its physics.

    Args:
        model: the compiled MJCF.
        cfg: the task.
        simulator: name of the simulator.
        num_envs: environments stepped at once.
        seed: of resets and commands.
        device: torch device of everything.
        env_spacing: metres between environments, for pictures of several.
        auto_reset: whether episodes end and start again by themselves.
    """

    def __init__(
        self,
        model: mujoco.MjModel,
        cfg: task.LiftObjectCfg,
        *,
        simulator: str,
        num_envs: int,
        seed: int,
        device: str,
        env_spacing: float,
        auto_reset: bool,
    ) -> None:
        super().__init__(cfg, simulator=simulator, num_envs=num_envs, seed=seed, device=device, env_spacing=env_spacing)
        self._auto_reset = auto_reset
        self._generator = torch.Generator(device).manual_seed(seed)
        self._model = model
        self._chain = end_effector_chain(model)
        self._home = self._home_qpos()
        self._grasp_starts = self._solve_grasp_starts() if auto_reset and cfg.grasp_start_share > 0 else None

        self.episode_length_buf = torch.zeros(num_envs, dtype=torch.long, device=device)
        # All of an episode in one tensor, so that a start is one assignment; these are views of it.
        self._episode = torch.zeros(num_envs, sum(_EPISODE_WIDTHS), device=device)
        self._episode_parts = self._episode.split(_EPISODE_WIDTHS, dim=1)
        self._target_pos, self._action, self._previous_action, self._reward_sums, self._reached = self._episode_parts

    _dtype: torch.dtype
    """Type of the physics' numbers."""

    @property
    @abstractmethod
    def _state(self) -> task.State:
        """The present state; some of it may be views that the next step changes."""

    @abstractmethod
    def _restart_all(self, qpos: Tensor, target: Tensor) -> None:
        """Start every episode anew, at rest at `qpos` (num_envs, 16) of type `_dtype`, target (num_envs, 3)."""

    @abstractmethod
    def _physics_state(self) -> Tensor:
        """Return all of the physics that decides how it goes on, (num_envs, ...), a copy on the host."""

    @abstractmethod
    def _load_physics_state(self, state: Tensor) -> None:
        """Take over what `_physics_state` returned."""

    def reset_to(self, object_xy: Tensor, target: Tensor) -> None:  # noqa: D102
        object_xy, target = object_xy.to(self.device), target.to(self.device)
        self._restart_all(self._start_qpos(object_xy), target)

    def target_position(self) -> Tensor:  # noqa: D102
        return self._target_pos.clone()

    def state_dict(self) -> dict[str, Tensor]:  # noqa: D102
        return {
            "physics": self._physics_state(),
            "generator": self._generator.get_state(),
            "episode_length": self.episode_length_buf.to("cpu", copy=True),
            "episode": self._episode.to("cpu", copy=True),
        }

    def load_state_dict(self, state: dict[str, Tensor]) -> None:  # noqa: D102
        self._load_physics_state(state["physics"])
        self._generator.set_state(state["generator"])
        self.episode_length_buf = state["episode_length"].to(self.device, copy=True)
        self._episode.copy_(state["episode"])

    def _as_dict(self, observations: Tensor) -> TensorDict:
        return TensorDict({"policy": observations}, batch_size=observations.shape[:-1], device=self.device)

    def _draw_starts(self) -> tuple[Tensor, Tensor]:
        """Return where episodes start as training does: some around the cube, the others at home.

        Returns:
            Coordinates (num_envs, 16) of type `_dtype` and targets (num_envs, 3).
        """
        object_xy, target = task.sample_resets(self.task_cfg, self.num_envs, self._generator)
        qpos = self._start_qpos(object_xy)
        if (poses := self._grasp_starts) is not None:
            qpos = start_around_cubes(self.task_cfg, poses, qpos, self._generator)
        return qpos, target

    def _home_qpos(self) -> Tensor:
        """Return the coordinates at the default pose with the cube above the origin, (16,)."""
        joints = task.default_joint_pos(self.task_cfg).to(self._dtype)
        cube = torch.tensor([0.0, 0.0, self.task_cfg.object_z, 1.0, 0.0, 0.0, 0.0], dtype=self._dtype)
        return torch.cat((joints, cube)).to(self.device)

    def _start_qpos(self, object_xy: Tensor) -> Tensor:
        qpos = self._home.repeat(len(object_xy), 1)
        qpos[:, 9:11] = object_xy
        return qpos

    def _solve_grasp_starts(self) -> GraspStarts:
        limits = np.array([self._model.joint(f"panda_joint{i}").range for i in range(1, 8)])
        starts = solve_grasp_starts(self.task_cfg, self._chain, limits)
        return GraspStarts(starts.arm.to(self.device), starts.object_pos.to(self.device))
