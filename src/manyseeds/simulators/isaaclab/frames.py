"""The one place where Isaac Lab's coordinates become the task's and back.

Isaac Lab: positions in the world frame, every environment's root at its own origin, not turned; quaternions x y z w.
The task and its MJCF: positions in the robot's root frame; quaternions w x y z. Joints have the same names and signs.
"""

from typing import Any

import torch
from isaaclab.utils.math import quat_apply
from torch import Tensor

from manyseeds.tasks.lift_object import task

JOINTS = (*(f"panda_joint{i}" for i in range(1, 8)), "panda_finger_joint1", "panda_finger_joint2")
"""The joints in the task's order, which the scene's articulation is told to keep."""
HAND = "panda_hand"
_W_LAST = [1, 2, 3, 0]
_W_FIRST = [3, 0, 1, 2]


def joints(env: Any) -> tuple[Tensor, Tensor]:
    """Return the positions and velocities of JOINTS, (n, 9) each: rad, m; rad/s, m/s."""
    data = env.scene["robot"].data
    return data.joint_pos.torch, data.joint_vel.torch


def cube(env: Any) -> tuple[Tensor, Tensor]:
    """Return the cube's position (n, 3) in m and its quaternion (n, 4), w x y z; root frame."""
    pose = env.scene["object"].data.root_link_pose_w.torch
    return pose[:, :3] - env.scene.env_origins, pose[:, 3:][:, _W_FIRST]


def end_effector(env: Any, offset: Tensor) -> Tensor:
    """Return the point at `offset` (3,) of the hand's frame, (n, 3) in m, root frame."""
    robot = env.scene["robot"]
    pose = robot.data.body_link_pose_w.torch[:, robot.body_names.index(HAND)]
    return pose[:, :3] - env.scene.env_origins + quat_apply(pose[:, 3:], offset.expand(len(pose), 3))


def place(env: Any, ids: Tensor, qpos: Tensor, joint_vel: Tensor | None = None) -> None:
    """Put environments `ids` (k,) at the MJCF's coordinates `qpos` (k, 16), the cube at rest.

    Args:
        env: the manager-based environment.
        ids: numbers of environments.
        qpos: JOINTS, then the cube's position and quaternion w x y z in the root frame.
        joint_vel: (k, 9) rad/s, m/s; at rest without it.
    """
    qpos, ids = qpos.float(), ids.int()
    robot, thing = env.scene["robot"], env.scene["object"]
    velocity = torch.zeros_like(qpos[:, :9]) if joint_vel is None else joint_vel.float()
    robot.write_joint_state_to_sim_index(position=qpos[:, :9].contiguous(), velocity=velocity, env_ids=ids)
    pose = torch.cat((qpos[:, 9:12] + env.scene.env_origins[ids.long()], qpos[:, 12:16][:, _W_LAST]), dim=1)
    thing.write_root_pose_to_sim_index(root_pose=pose, env_ids=ids)
    thing.write_root_velocity_to_sim_index(root_velocity=torch.zeros(len(ids), 6, device=pose.device), env_ids=ids)


def state(env: Any, offset: Tensor, target: Tensor) -> task.State:
    """Return the state that the task's functions take.

    Args:
        env: the manager-based environment.
        offset: (3,) the end effector in the hand's frame, m.
        target: (n, 3) the command, root frame, m.
    """
    joint_pos, joint_vel = joints(env)
    return task.State(
        joint_pos=joint_pos,
        joint_vel=joint_vel,
        object_pos=cube(env)[0],
        end_effector_pos=end_effector(env, offset),
        target_pos=target,
        action=env.action_manager.action,
        previous_action=env.action_manager.prev_action,
    )
