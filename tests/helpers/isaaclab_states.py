"""States of lift_object with what the simulator `mujoco` makes of them, and the same from Isaac Lab, as .npz files.

`python tests/isaaclab_states.py mujoco FILE` runs where MuJoCo 4 is; `... isaaclab FILE ANSWERS` where Isaac Lab is.
"""

import sys
from pathlib import Path

import numpy as np
import torch

from manyseeds.core.layout import REPOSITORY
from manyseeds.simulators import make_env
from manyseeds.tasks.lift_object import task

RUN = REPOSITORY / "results" / "published" / "lift_object" / "default" / "seed_92"
RANDOM = 128
PLAYED = 128
RESETS = 256
SEED = 5
SPACING = 5.0


def mujoco_states(file: Path) -> None:
    """Write RANDOM states that no episode may ever meet, then PLAYED ones of a trained policy, with their answers."""
    from manyseeds.learning.policy import Policy, read_params

    n = RANDOM + PLAYED
    cfg = task.LiftObjectCfg()
    generator = torch.Generator().manual_seed(SEED)
    draw = lambda *shape: torch.rand(*shape, generator=generator, dtype=torch.float64) * 2 - 1  # noqa: E731

    # A policy's way from reaching to holding: every environment gives the state of another step.
    params = read_params(RUN)
    played = make_env("mujoco", "lift_object", num_envs=PLAYED, seed=SEED, threads=1, auto_reset=False)
    policy = Policy(params.agent, played.get_observations(), task.NUM_ACTIONS)
    policy.load(RUN / "model_700.pt")
    qpos, qvel = np.zeros((n, 16)), np.zeros((n, 15))
    action, previous, target = torch.zeros(n, 8), torch.zeros(n, 8), played.target_position().repeat(2, 1)
    with torch.inference_mode():
        for i in range(PLAYED):
            for _ in range(2):
                played.step(policy.model(played.get_observations()))
            row = RANDOM + i
            qpos[row], qvel[row, :9] = played._qpos[i], played._qvel[i, :9]
            action[row], previous[row] = played._action[i], played._previous_action[i]

    joints = np.array([*cfg.default_arm, 0.02, 0.02]) + draw(RANDOM, 9).numpy() * 2.0  # beyond the limits too
    qpos[:RANDOM, :9], qvel[:RANDOM, :9] = joints, draw(RANDOM, 9).numpy() * 5
    qpos[:RANDOM, 9:12] = np.array([0.5, 0.0, 0.2]) + draw(RANDOM, 3).numpy() * [1.0, 1.0, 0.6]  # some have fallen
    quaternion = draw(RANDOM, 4).numpy()
    qpos[:RANDOM, 12:] = quaternion / np.linalg.norm(quaternion, axis=1, keepdims=True)
    action[:RANDOM], previous[:RANDOM], target[:RANDOM] = draw(RANDOM, 8) * 3, draw(RANDOM, 8) * 3, draw(RANDOM, 3)
    length = torch.randint(1, cfg.episode_length + 1, (n,), generator=generator)

    env = make_env("mujoco", "lift_object", num_envs=n, seed=SEED, threads=1, auto_reset=False)
    env._qpos[:], env._qvel[:], env._warmstart[:] = qpos, qvel, 0.0
    env._action[:], env._previous_action[:], env._target_pos[:] = action, previous, target
    answers = {
        "observation": task.observations(cfg, env._state),
        "reward": task.rewards(cfg, env._state),
        "termination": task.terminations(cfg, env._state, length),
        "end_effector": env._state.end_effector_pos,
    }
    answers = {name: value.clone() for name, value in answers.items()}
    # What one step makes of the played states; the random ones need not be possible.
    answers["after"] = step_played(env, action)
    resets = make_env(
        "mujoco", "lift_object", num_envs=RESETS, seed=SEED, threads=1, task_cfg={"grasp_start_share": 0.5}
    )
    answers |= reset_answers(resets)
    given = {"qpos": qpos, "qvel": qvel, "action": action, "previous": previous, "target": target, "length": length}
    np.savez(file, **given, **{name: np.asarray(value) for name, value in answers.items()})


def closing(env) -> np.ndarray:
    """Return the joints' positions (12, 9) in steps from home in which the hand closes and the arm moves."""
    positions = []
    with torch.inference_mode():
        for _ in range(12):
            env.step(torch.tensor([[0.5, 0.5, -0.5, 0.5, -0.5, 0.5, 0.5, -1.0]]).expand(env.num_envs, 8))
            positions.append(env._qpos_of(0)[:9].copy())
    return np.stack(positions)


def step_played(env, action: torch.Tensor) -> np.ndarray:
    """Return the coordinates of the played states after one step."""
    env.step(action)
    return np.stack([env._qpos_of(i) for i in range(RANDOM, RANDOM + PLAYED)])


def reset_answers(env) -> dict[str, np.ndarray]:
    """Return the first starts and the first ones that follow an end, all environments ending at once."""
    answers = {}
    for name in ("first", "second"):
        qpos = np.stack([env._qpos_of(i) for i in range(RESETS)])
        answers[f"{name}_reset"], answers[f"{name}_target"] = qpos, env.target_position().numpy()
        if name == "first":
            env.episode_length_buf = torch.full_like(env.episode_length_buf, env.max_episode_length - 1)
            with torch.inference_mode():
                env.step(torch.zeros(RESETS, 8))
    env.reset_to(*task.sample_resets(task.LiftObjectCfg(), RESETS, torch.Generator().manual_seed(SEED)))
    answers["closing"] = closing(env)
    env.close()
    return answers


def isaaclab_answers(file: Path, answers: Path) -> None:
    """Write what Isaac Lab makes of the states in a file, and of the model that Newton built."""
    from isaaclab_newton.physics import NewtonManager

    from manyseeds.simulators.isaaclab import frames

    given = {name: torch.from_numpy(value) for name, value in np.load(file).items()}
    n = len(given["qpos"])
    wrapper = make_env("isaaclab", "lift_object", num_envs=n, seed=SEED, env_spacing=SPACING)
    env = wrapper._env
    frames.place(env, torch.arange(n), given["qpos"], given["qvel"][:, :9])
    env.action_manager.action.copy_(given["action"])
    env.action_manager.prev_action.copy_(given["previous"])
    wrapper._command.target.copy_(given["target"])
    env.episode_length_buf = given["length"].clone()
    env.sim.forward()
    found = {
        "observation": env.observation_manager.compute()["policy"].clone(),
        "end_effector": frames.end_effector(env, wrapper._command.offset),
    }
    env.reward_manager.compute(env.step_dt)
    found["reward"] = env.reward_manager._step_reward * env.step_dt
    env.termination_manager.compute()
    terms = [env.termination_manager.get_term(name) for name in task.TERMINATION_TERMS]
    found["termination"] = torch.stack(terms, dim=1)
    env.episode_length_buf = torch.zeros(n, dtype=torch.long)
    # Physics of the random states is none of this test; they would end, and start again.
    keep = given["qpos"].clone()
    keep[:RANDOM] = keep[RANDOM]
    frames.place(env, torch.arange(n), keep, given["qvel"][:, :9])
    found["after"] = step_played(wrapper, given["action"])
    found |= built_model(NewtonManager._solver)
    wrapper.close()
    resets = make_env("isaaclab", "lift_object", num_envs=RESETS, seed=SEED, task_cfg={"grasp_start_share": 0.5})
    found |= reset_answers(resets)
    np.savez(answers, **{name: np.asarray(value) for name, value in found.items()})


def built_model(solver) -> dict[str, np.ndarray]:
    """Return both models, ours as `our.FIELD` and the one that Newton built as `newton.FIELD`, in our order."""
    import mujoco

    from manyseeds.simulators.base import load_model

    ours, theirs = load_model(task.LiftObjectCfg()), solver.mj_model
    warp = solver.mjw_model
    name = lambda model, kind, i: mujoco.mj_id2name(model, kind, i) or ""  # noqa: E731

    def last(model, kind, count):
        return [name(model, kind, i) for i in range(count)]

    body_names = [b for b in last(ours, mujoco.mjtObj.mjOBJ_BODY, ours.nbody) if b.startswith(("panda", "object"))]
    bodies = {b: next(i for i in range(theirs.nbody) if name(theirs, 1, i).endswith("_" + b)) for b in body_names}
    joint_names = [*frames_joints(), "object"]
    joints = {}
    for joint in joint_names:
        ends = ("_free_joint",) if joint == "object" else ("_" + joint,)
        joints[joint] = next(i for i in range(theirs.njnt) if name(theirs, 3, i).endswith(ends))
    answers: dict[str, np.ndarray] = {}

    def both(field: str, our: np.ndarray, their: np.ndarray) -> None:
        answers[f"our.{field}"], answers[f"newton.{field}"] = np.asarray(our), np.asarray(their)

    def numbers(field: str) -> np.ndarray:
        """The field as it is stepped: of the last world, where worlds have their own."""
        array = getattr(warp, field).numpy()
        return array[-1] if array.ndim == getattr(theirs, field).ndim + 1 else array

    our_bodies, their_bodies = [ours.body(b).id for b in body_names], list(bodies.values())
    for field in ("body_mass", "body_ipos", "body_gravcomp"):
        both(field, getattr(ours, field)[our_bodies], numbers(field)[their_bodies])
    both(
        "inertia",
        inertia(ours.body_iquat[our_bodies], ours.body_inertia[our_bodies]),
        inertia(numbers("body_iquat")[their_bodies], numbers("body_inertia")[their_bodies]),
    )
    # The base and the cube are placed, not jointed.
    our_links, their_links = our_bodies[1:-1], their_bodies[1:-1]
    both("body_pos", ours.body_pos[our_links], numbers("body_pos")[their_links])
    both("body_rotation", rotation(ours.body_quat[our_links]), rotation(numbers("body_quat")[their_links]))
    our_joints, their_joints = [ours.joint(j).id for j in joint_names[:-1]], [joints[j] for j in joint_names[:-1]]
    for field in ("jnt_range", "jnt_solref", "jnt_solimp", "jnt_stiffness"):
        both(field, getattr(ours, field)[our_joints], numbers(field)[their_joints])
    our_dofs, their_dofs = ours.jnt_dofadr[our_joints], theirs.jnt_dofadr[their_joints]
    for field in ("dof_damping", "dof_armature", "dof_frictionloss"):
        both(field, getattr(ours, field)[our_dofs], numbers(field)[their_dofs])
    free = theirs.jnt_dofadr[joints["object"]]
    our_free = ours.jnt_dofadr[ours.joint("object").id]
    for field in ("dof_damping", "dof_armature"):
        both(f"object_{field}", getattr(ours, field)[our_free : our_free + 6], numbers(field)[free : free + 6])

    actuators = [int(joint) for joint in theirs.actuator_trnid[:, 0]]
    both("actuated", range(9), [their_joints.index(joint) for joint in actuators])
    for field in ("actuator_gainprm", "actuator_biasprm", "actuator_forcerange", "actuator_forcelimited"):
        both(field, getattr(ours, field), numbers(field))

    our_geoms = collision_geoms(ours)
    their_geoms = collision_geoms(theirs)
    for field in ("geom_type", "geom_size", "geom_condim", "geom_priority", "geom_friction", "geom_solref",
                  "geom_solimp", "geom_margin", "geom_gap", "geom_solmix"):  # fmt: skip
        rows = [our_geoms[g] for g in our_geoms], [their_geoms[g] for g in our_geoms]
        columns = 2 if field == "geom_size" else None  # the rest of a capsule's size means nothing
        both(field, getattr(ours, field)[rows[0]].T[:columns], numbers(field)[rows[1]].T[:columns])
    both("collisions", collisions(ours, our_geoms), collisions(theirs, their_geoms))
    for field in ("pair_dim", "pair_solref", "pair_solimp", "pair_friction", "pair_margin", "pair_gap"):
        both(field, getattr(ours, field), numbers(field))
    for field in ("iterations", "ls_iterations", "integrator", "solver", "cone", "timestep", "gravity", "ls_tolerance",
                  "ccd_iterations"):  # fmt: skip
        value = getattr(warp.opt, field)
        value = value.numpy()[-1] if hasattr(value, "numpy") else int(value)
        both(f"opt.{field}", getattr(ours.opt, field), value)
    both("opt.impratio", ours.opt.impratio, warp.opt.impratio_invsqrt.numpy()[-1] ** -2)
    both("opt.tolerance", max(ours.opt.tolerance, 1e-6), warp.opt.tolerance.numpy()[-1])
    return answers


def rotation(quaternions: np.ndarray) -> np.ndarray:
    """Return rotation matrices (n, 3, 3) of quaternions w x y z (n, 4)."""
    import mujoco

    matrices = np.empty((len(quaternions), 9))
    for matrix, quaternion in zip(matrices, quaternions.astype(float), strict=True):
        mujoco.mju_quat2Mat(matrix, quaternion)
    return matrices.reshape(-1, 3, 3)


def inertia(quaternions: np.ndarray, principal: np.ndarray) -> np.ndarray:
    """Return inertia tensors in the body's frame (n, 3, 3), whatever the order of the principal axes."""
    axes = rotation(quaternions)
    return axes @ (principal[:, :, None] * axes.transpose(0, 2, 1))


def frames_joints() -> tuple[str, ...]:
    """The robot's joints in the task's order."""
    from manyseeds.simulators.isaaclab.frames import JOINTS

    return JOINTS


def collision_geoms(model) -> dict[str, int]:
    """Return the shapes that can collide by body and place in it, because unnamed ones have no name in common."""
    found: dict[str, int] = {}
    for geom in range(model.ngeom):
        if model.geom_contype[geom] or model.geom_conaffinity[geom]:
            # Newton names bodies by their path, and has static shapes in the world itself.
            body = model.body(model.geom_bodyid[geom]).name.rsplit("_", 1)[-1].replace("world", "table")
            found[f"{body} {model.geom_size[geom, :2].round(4).tolist()}"] = geom
    return found


def collisions(model, geoms: dict[str, int]) -> list[str]:
    """Return the pairs of shapes that make contacts, sorted."""
    excluded = {(int(s) >> 16, int(s) & 0xFFFF) for s in model.exclude_signature}
    explicit = {frozenset((int(a), int(b))) for a, b in zip(model.pair_geom1, model.pair_geom2, strict=True)}
    found = []
    for a, i in geoms.items():
        for b, j in geoms.items():
            if a >= b:
                continue
            bodies = model.geom_bodyid[[i, j]]
            weld = model.body_weldid[bodies]
            parents = model.body_weldid[model.body_parentid[weld]]
            masks = (model.geom_contype[i] & model.geom_conaffinity[j]) | (
                model.geom_contype[j] & model.geom_conaffinity[i]
            )
            adjacent = weld[0] == weld[1] or (0 not in weld and (weld[0] == parents[1] or weld[1] == parents[0]))
            out = tuple(bodies) in excluded or tuple(bodies[::-1]) in excluded
            if frozenset((i, j)) in explicit:
                found.append(f"{a} - {b} as a pair")
            elif masks and not adjacent and not out:
                found.append(f"{a} - {b}")
    return sorted(found)


if __name__ == "__main__":
    if sys.argv[1] == "mujoco":
        mujoco_states(Path(sys.argv[2]))
    else:
        isaaclab_answers(Path(sys.argv[2]), Path(sys.argv[3]))
