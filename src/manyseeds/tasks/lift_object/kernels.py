"""The compiled step of lift_object, as `tasks.compiled` describes it: loops over the environments.

They compute what the functions of `lift_object.task` compute, whose small tensor operations take longer; a test holds
the two against each other.
"""

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from manyseeds.tasks.base import reward_weights
from manyseeds.tasks.compiled import Answer, Episodes, Floats, Physics, Record, compiled
from manyseeds.tasks.lift_object import task
from manyseeds.tasks.lift_object.grasp_starts import end_effector_chain

if TYPE_CHECKING:
    import mujoco

OBSERVATIONS = {"joint_pos": 9, "joint_vel": 9, "object_position": 3, "target_object_position": 7, "actions": 8}
REWARDS = (
    "reaching_object",
    "lifting_object",
    "object_goal_tracking",
    "object_goal_tracking_fine_grained",
    "action_rate",
    "joint_vel",
)
TERMINATIONS = ("object_dropped", "success")
METRICS = ("object_pose/position_error", "object_pose/orientation_error")

_N = len(REWARDS)
_TAGS = _N + 1 + len(TERMINATIONS) + len(METRICS) + 1

_VELOCITY, _CUBE, _TARGET, _ROTATION, _ACTION = 9, 18, 21, 24, 28
"""Where parts of the observation begin: joint velocities, the cube's position, the command's two, the action."""


class Numbers(NamedTuple):
    """The task's numbers that the loops need: LiftObjectCfg's, and what follows from it."""

    default: Floats
    """(9,) the default pose, rad and m."""
    weights: Floats
    """(6,) of the rewards, times the step's duration."""
    stds: Floats
    """(3,) of the rewards for reaching, tracking and tracking finely, m."""
    rotations: Floats
    """(k, 3, 3) those of `PointOnChain`."""
    translations: Floats
    """(k, 3), m."""
    point: Floats
    """(3,), m."""
    action_scale: float
    gripper_open: float
    gripper_closed: float
    lifting_object_height: float
    lifting_object_reach: float
    object_dropped_height: float
    success_distance: float
    success_ends_episode: bool
    episode_length: int
    episode_length_s: float


def make_record(cfg: task.LiftObjectCfg, model: "mujoco.MjModel") -> Record:
    """Return the task's numbers, all arrays in float32, as (1,): one record takes Numba a sixth of a tuple's time."""
    stds = (cfg.reaching_object_std, cfg.object_goal_tracking_std, cfg.object_goal_tracking_fine_grained_std)
    arrays = (
        task.default_joint_pos(cfg).numpy(),
        reward_weights(task.TASK, cfg).numpy(),
        np.array(stds, np.float32),
        *end_effector_chain(model).arrays(np.float32),
    )
    rest = Numbers._fields[len(arrays) :]
    values = [np.asarray(value) for value in (*arrays, *(getattr(cfg, name) for name in rest))]
    kinds = [(name, value.dtype, value.shape) for name, value in zip(Numbers._fields, values, strict=True)]
    return np.array([tuple(values)], np.dtype(kinds, align=True))


@compiled
def act(record: Record, actions: Floats, physics: Physics, episodes: Episodes) -> None:
    """Take actions (n, 8): joint targets follow as in `joint_targets`, the last actions become the previous ones."""
    numbers: Numbers = record[0]
    scale = np.float32(numbers.action_scale)
    for i in range(len(actions)):
        for j in range(8):
            episodes.previous_action[i, j] = episodes.action[i, j]
            episodes.action[i, j] = actions[i, j]
        for j in range(7):
            physics.ctrl[i, j] = numbers.default[j] + scale * actions[i, j]
        finger = np.float32(numbers.gripper_closed if actions[i, 7] < 0 else numbers.gripper_open)
        physics.ctrl[i, 7] = finger
        physics.ctrl[i, 8] = finger


@compiled
def answer(
    record: Record,
    auto_reset: bool,
    physics: Physics,
    episodes: Episodes,
    length: NDArray[np.int64],
    start_qpos: Floats,
    start_command: Floats,
    out: Answer,
    out_log: Floats,
) -> tuple[int, bool]:
    """Reward the step, end episodes and start the next ones, observe.

    As `rewards`, `terminations` and `observations` do, with the end effector from `PointOnChain`.

    Args:
        record: the task's numbers.
        auto_reset: whether episodes end.
        physics: after the step.
        episodes: reward sums and whether the target was reached are updated.
        length: (n,) steps of the episodes; each goes up by one.
        start_qpos: (n or more, 16) where the next episodes start.
        start_command: (n or more, 3) their commands.
        out: what the environments answer.
        out_log: (12,) means over the episodes that end: rewards per second of a full episode, terminations, distance to
            the target, angle to the commanded orientation, which is none, whether the target was reached.

    Returns:
        How many episodes end, and True; or the first environment whose reward is not finite, and False: the step was
        then left there.
    """
    n, obs = len(length), out.observations
    numbers: Numbers = record[0]
    # The state comes from memory, row by row; it is read here once, in the simplest loop, which hides most of the wait.
    observe(record, physics, episodes, obs)
    reach, goal = _distances(numbers, obs)
    near = np.empty((3, n))
    for i in range(n):
        near[0, i] = _nearness(reach[i] / numbers.stds[0])
        near[1, i] = _nearness(goal[i] / numbers.stds[1])
        near[2, i] = _nearness(goal[i] / numbers.stds[2])

    terms, ended = np.full(_N, np.nan), np.empty(3, np.bool_)
    out_log[:] = 0.0
    count = 0
    for i in range(n):
        height = obs[i, _CUBE + 2]
        lifted = height > numbers.lifting_object_height
        if numbers.lifting_object_reach > 0:
            lifted = lifted and reach[i] < numbers.lifting_object_reach
        terms[0] = near[0, i]
        terms[1] = 1.0 if lifted else 0.0
        terms[2] = terms[1] * near[1, i]
        terms[3] = terms[1] * near[2, i]
        terms[4] = terms[5] = 0.0
        for j in range(8):
            change = episodes.action[i, j] - episodes.previous_action[i, j]
            terms[4] += change * change
        for j in range(9):
            velocity = obs[i, _VELOCITY + j]
            terms[5] += velocity * velocity
        reward = 0.0
        for j in range(_N):
            terms[j] *= numbers.weights[j]
            reward += terms[j]
            episodes.reward_sums[i, j] += terms[j]
        out.rewards[i] = reward
        if not math.isfinite(reward):
            return i, False

        at_target = goal[i] < numbers.success_distance
        if at_target:
            episodes.reached[i, 0] = 1.0
        length[i] += 1
        ended[0] = length[i] >= numbers.episode_length
        ended[1] = height < numbers.object_dropped_height
        ended[2] = at_target and numbers.success_ends_episode
        done = auto_reset and (ended[0] or ended[1] or ended[2])
        out.dones[i] = done
        out.time_outs[i] = done and not (ended[1] or ended[2])
        if done:
            for j in range(_N):
                out_log[j] += episodes.reward_sums[i, j] / numbers.episode_length_s
            for j in range(3):
                out_log[_N + j] += ended[j]
            out_log[_N + 3] += goal[i]
            out_log[_N + 4] += 2 * math.acos(min(abs(physics.qpos[i, 12]), 1.0))
            out_log[_N + 5] += episodes.reached[i, 0]
            _restart(i, start_qpos[count], start_command[count], physics, episodes, length)
            _observe(i, numbers, physics, episodes, obs)
            count += 1
    for j in range(_TAGS):
        out_log[j] /= count
    return count, True


@compiled
def restart(
    start_qpos: Floats, start_command: Floats, physics: Physics, episodes: Episodes, length: NDArray[np.int64]
) -> None:
    """Start all episodes anew, at rest at `start_qpos` (n, 16) with the commands `start_command` (n, 3)."""
    for i in range(len(length)):
        _restart(i, start_qpos[i], start_command[i], physics, episodes, length)


@compiled
def observe(record: Record, physics: Physics, episodes: Episodes, out: Floats) -> None:
    """Write the observations (n, 36), as `observations` does."""
    for i in range(len(out)):
        _observe(i, record[0], physics, episodes, out)


@compiled
def _distances(numbers: Numbers, observations: Floats) -> tuple[Floats, Floats]:
    """Return how far cubes are from end effectors and from targets, m, (n,) float32 each."""
    n, joints = len(observations), len(numbers.rotations)
    angles = np.empty((joints, n), np.float32)
    cube, target = np.empty((3, n), np.float32), np.empty((3, n), np.float32)
    for i in range(n):
        for k in range(joints):
            angles[k, i] = observations[i, k] + numbers.default[k]
        for j in range(3):
            cube[j, i], target[j, i] = observations[i, _CUBE + j], observations[i, _TARGET + j]
    hand = np.empty((3, n), np.float32)
    for j in range(3):
        hand[j] = numbers.point[j]
    for k in range(joints - 1, -1, -1):
        _turn(angles[k], numbers.rotations[k], numbers.translations[k], hand[0], hand[1], hand[2])
    reach, goal = np.empty(n, np.float32), np.empty(n, np.float32)
    for i in range(n):
        x, y, z = cube[0, i] - hand[0, i], cube[1, i] - hand[1, i], cube[2, i] - hand[2, i]
        reach[i] = math.sqrt(x * x + y * y + z * z)
        x, y, z = cube[0, i] - target[0, i], cube[1, i] - target[1, i], cube[2, i] - target[2, i]
        goal[i] = math.sqrt(x * x + y * y + z * z)
    return reach, goal


@compiled
def _turn(angle: Floats, r: Floats, t: Floats, x: Floats, y: Floats, z: Floats) -> None:
    """Take points x, y, z (n,) of a link into the frame of the link before; a loop that LLVM makes wide.

    Args:
        angle: (n,) of the joint between them, about its z axis.
        r: (3, 3) orientation of the link at angle 0.
        t: (3,) its origin.
        x: (n,) changed in place, as y and z.
        y: (n,).
        z: (n,).
    """
    xx, xy, xz = r[0, 0], r[0, 1], r[0, 2]
    yx, yy, yz = r[1, 0], r[1, 1], r[1, 2]
    zx, zy, zz = r[2, 0], r[2, 1], r[2, 2]
    tx, ty, tz = t[0], t[1], t[2]
    for i in range(len(angle)):
        sin, cos = _sin_cos(angle[i])
        a, b, c = cos * x[i] - sin * y[i], sin * x[i] + cos * y[i], z[i]
        x[i] = xx * a + xy * b + xz * c + tx
        y[i] = yx * a + yy * b + yz * c + ty
        z[i] = zx * a + zy * b + zz * c + tz


@compiled
def _sin_cos(angle: float) -> tuple[float, float]:
    """Sine and cosine by their Taylor series around the nearest multiple of pi / 2; within 2e-9 up to 1e6 rad."""
    quarters = np.floor(angle * (2 / math.pi) + 0.5)
    x = angle - quarters * (math.pi / 2)
    y = x * x
    sin = x * (1 - y * (1 / 6) * (1 - y * (1 / 20) * (1 - y * (1 / 42) * (1 - y * (1 / 72)))))
    cos = 1 - y * (1 / 2) * (1 - y * (1 / 12) * (1 - y * (1 / 30) * (1 - y * (1 / 56) * (1 - y * (1 / 90)))))
    quadrant = np.int32(quarters) & np.int32(3)
    a = cos if quadrant & 1 else sin
    b = sin if quadrant & 1 else cos
    return -a if quadrant & 2 else a, -b if (quadrant + 1) & 2 else b


@compiled
def _nearness(x: float) -> float:
    """1 - tanh(x) = 2 / (exp(2 x) + 1) for x >= 0; exp by its Taylor series at a 64th of its argument, within 1e-8."""
    # Beyond 20 it is 0 to double precision; NaN stays NaN.
    y = (20.0 if x > 20.0 else x) / 32
    power = 1.0
    for k in range(10, 0, -1):
        power = 1.0 + power * (y * (1.0 / k))
    for _ in range(6):
        power *= power
    return 2 / (power + 1)


@compiled
def _restart(
    i: int, qpos: Floats, target: Floats, physics: Physics, episodes: Episodes, length: NDArray[np.int64]
) -> None:
    """Start episode `i` anew: at rest at `qpos` (16,), holding still, with the command `target` (3,)."""
    physics.qpos[i] = qpos
    physics.qvel[i] = 0.0
    physics.warmstart[i] = 0.0
    physics.ctrl[i] = qpos[:9]
    physics.mocap[i] = target
    episodes.command[i] = target
    episodes.action[i] = 0.0
    episodes.previous_action[i] = 0.0
    episodes.reward_sums[i] = 0.0
    episodes.reached[i] = 0.0
    length[i] = 0


@compiled
def _observe(i: int, numbers: Numbers, physics: Physics, episodes: Episodes, out: Floats) -> None:
    for j in range(9):
        out[i, j] = np.float32(physics.qpos[i, j]) - numbers.default[j]
        out[i, _VELOCITY + j] = physics.qvel[i, j]
    for j in range(3):
        out[i, _CUBE + j] = physics.qpos[i, 9 + j]
        out[i, _TARGET + j] = episodes.command[i, j]
        out[i, _ROTATION + j] = 0.0
    out[i, _ROTATION + 3] = 1.0
    for j in range(8):
        out[i, _ACTION + j] = episodes.action[i, j]
