"""States of a task with what the simulator `mujoco` makes of them, and the same from Isaac Lab, as .npz files.

`python tests/helpers/isaaclab_states.py mujoco TASK FILE` runs where MuJoCo 4 is, and then
`python tests/helpers/isaaclab_states.py isaaclab TASK FILE ANSWERS` where Isaac Lab is.
"""

import sys
from pathlib import Path

import mujoco
import numpy as np
import torch

from manyseeds.core.layout import REPOSITORY
from manyseeds.simulators import make_env
from manyseeds.simulators.model import load_model
from manyseeds.tasks import base, registry

RUNS = {"lift_object": REPOSITORY / "results" / "published" / "lift_object" / "default" / "seed_132" / "model_350.pt"}
"""Checkpoints whose policy plays; a task without one is played with random actions."""
EASIER = {"lift_object": {"grasp_start_share": 0.5}}
"""Numbers with which training starts elsewhere than evaluation."""
RANDOM = 128
PLAYED = 128
RESETS = 256
SEED = 5
SPACING = 5.0
DRIVE = (0.5, 0.5, -0.5, 0.5, -0.5, 0.5, 0.5, -1.0, 0.5, -0.5, 0.5, 0.5)
"""An action that moves the robot and closes the hand, if there is one."""


def mujoco_states(name: str, file: Path) -> None:
    """Write RANDOM states that no episode may ever meet, then PLAYED ones, with their answers."""
    n = RANDOM + PLAYED
    task = registry.load(name)
    cfg = base.configure(task, {})
    model = load_model(task, cfg)
    generator = torch.Generator().manual_seed(SEED)
    draw = lambda *shape: torch.rand(*shape, generator=generator, dtype=torch.float64) * 2 - 1  # noqa: E731
    widths = task.action_width, task.action_width, task.command_width, task.memory_width

    action, previous, command, memory = (torch.zeros(n, width) for width in widths)
    qpos, qvel = np.zeros((n, model.nq)), np.zeros((n, model.nv))
    for row, played in enumerate(play(name, generator), start=RANDOM):
        qpos[row], qvel[row], action[row], previous[row], command[row], memory[row] = played

    start = task.start(cfg, RANDOM, generator).qpos.double()
    # A step of physics starts from the played states, and from the start with everything moving.
    from_qpos, from_qvel = qpos.copy(), qvel.copy()
    from_qpos[:RANDOM], from_qvel[:RANDOM] = start, draw(RANDOM, model.nv)
    for joint in np.flatnonzero(model.jnt_limited):  # at a limit, the last bit decides whether it acts
        low, high = model.jnt_range[joint]
        column = from_qpos[:RANDOM, model.jnt_qposadr[joint]]
        column[:] = column.clip(low + 1e-3, high - 1e-3)
    # What terms say needs no possible state: joints beyond their limits, bodies that fell through the floor.
    qpos[:RANDOM], qvel[:RANDOM] = start + draw(RANDOM, model.nq), draw(RANDOM, model.nv) * 5
    for values in (action, previous, command, memory):
        values[:RANDOM] = draw(RANDOM, values.shape[1]) * 3
    length = torch.randint(1, cfg.episode_length + 1, (n,), generator=generator)
    for joint in np.flatnonzero(model.jnt_type == int(mujoco.mjtJoint.mjJNT_FREE)):
        address = model.jnt_qposadr[joint]
        quaternion = qpos[:RANDOM, address + 3 : address + 7]
        quaternion /= np.linalg.norm(quaternion, axis=1, keepdims=True)

    env = make_env("mujoco", name, num_envs=n, seed=SEED, threads=1, auto_reset=False)
    env._qpos[:], env._qvel[:], env._warmstart[:] = qpos, qvel, 0.0
    env._action[:], env._previous_action[:], env._command[:], env._memory[:] = action, previous, command, memory
    env.episode_length_buf[:] = length
    state = env.state()
    answers = {
        "observation": base.observe(task, cfg, state),
        "reward": base.rewards(task, cfg, state),
        "termination": base.terminations(task, cfg, state),
    } | sites(state)
    answers = {key: value.clone() for key, value in answers.items()}
    env._qpos[:], env._qvel[:], env.episode_length_buf[:] = from_qpos, from_qvel, 0
    answers["after"] = step(env, action)
    answers |= start_answers("mujoco", name)
    given = {"qpos": qpos, "qvel": qvel, "from_qpos": from_qpos, "from_qvel": from_qvel}
    given |= {"action": action, "previous": previous, "command": command, "memory": memory, "length": length}
    np.savez(file, **{key: np.asarray(value) for key, value in (given | answers).items()})


def play(name: str, generator: torch.Generator) -> list[tuple]:
    """Return PLAYED states on the way through an episode.

    Coordinates, velocities, the last two actions, the command and the memory of each.
    """
    env = make_env("mujoco", name, num_envs=PLAYED, seed=SEED, threads=1, auto_reset=False)
    if name in RUNS:
        from manyseeds.learning.policy import Policy, read_params

        policy = Policy(read_params(RUNS[name].parent).agent, env.get_observations(), env.num_actions)
        policy.load(RUNS[name])
        act = policy.model
    else:
        act = lambda _: torch.randn(PLAYED, env.num_actions, generator=generator)  # noqa: E731
    states = []
    with torch.inference_mode():
        for i in range(PLAYED):  # every environment gives the state of another step
            for _ in range(2):
                env.step(act(env.get_observations()))
            parts = (env._qpos, env._qvel, env._action, env._previous_action, env._command, env._memory)
            states.append(tuple(part[i].copy() if isinstance(part, np.ndarray) else part[i].clone() for part in parts))
    return states


def sites(state: base.State) -> dict[str, torch.Tensor]:
    """Return the sites' poses by name; of two quaternions of a rotation the one whose w is not negative."""
    found = {f"site.{name}": position for name, position in state.sites.items()}
    for name, quaternion in state.rotations.items():
        found[f"rotation.{name}"] = torch.where(quaternion[:, :1] < 0, -quaternion, quaternion)
    return found


def step(env, action: torch.Tensor) -> np.ndarray:
    """Return the coordinates after one step."""
    with torch.inference_mode():
        env.step(action)
    return env.state().qpos.numpy().copy()


def start_answers(simulator: str, name: str) -> dict[str, np.ndarray]:
    """Return the first starts, those after all episodes ended at once, and how DRIVE moves joints."""
    env = make_env(simulator, name, num_envs=RESETS, seed=SEED, task_cfg=EASIER.get(name))
    answers = {}
    with torch.inference_mode():
        for which in ("first", "second"):
            state = env.state()
            answers[f"{which}_reset"], answers[f"{which}_command"] = state.qpos.clone(), state.command.clone()
            if which == "first":
                env.episode_length_buf = torch.full_like(env.episode_length_buf, env.max_episode_length - 1)
                env.step(torch.zeros(RESETS, env.num_actions))
        env.reset_to(env.task.start(env.task_cfg, RESETS, torch.Generator().manual_seed(SEED)))
        action = torch.tensor(DRIVE)[: env.num_actions].expand(RESETS, env.num_actions)
        answers["driven"] = torch.stack([torch.from_numpy(step(env, action))[0] for _ in range(12)])
        answers["remembered"] = env.state().memory[0].clone()
    env.close()
    return {key: np.asarray(value) for key, value in answers.items()}


def isaaclab_answers(name: str, file: Path, answers: Path) -> None:
    """Write what Isaac Lab makes of the states in a file, and of the model that Newton built."""
    from isaaclab_newton.physics import NewtonManager

    given = {key: torch.from_numpy(value) for key, value in np.load(file).items()}
    n = len(given["qpos"])
    wrapper = make_env("isaaclab", name, num_envs=n, seed=SEED, env_spacing=SPACING)
    env, command = wrapper._env, wrapper._command
    everyone = torch.arange(n)
    command.frames.place(everyone, given["qpos"], given["qvel"])
    env.action_manager.action.copy_(given["action"])
    env.action_manager.prev_action.copy_(given["previous"])
    command.value.copy_(given["command"])
    command.memory.copy_(given["memory"])
    env.episode_length_buf = given["length"].clone()
    env.sim.forward()
    found = {"observation": env.observation_manager.compute()["policy"].clone(), **sites(wrapper.state())}
    found |= {"qpos": wrapper.state().qpos.clone(), "qvel": wrapper.state().qvel.clone()}
    env.reward_manager.compute(env.step_dt)
    found["reward"] = env.reward_manager._step_reward * env.step_dt
    env.termination_manager.compute()
    terms = [env.termination_manager.get_term(term) for term in wrapper.task.termination_names]
    found["termination"] = torch.stack(terms, dim=1)
    env.episode_length_buf = torch.zeros(n, dtype=torch.long)
    command.frames.place(everyone, given["from_qpos"], given["from_qvel"])
    env._reset_idx = lambda _: None  # an episode that ends would start again before its state is read
    found["after"] = step(wrapper, given["action"])
    found |= built_model(NewtonManager._solver, wrapper.task, wrapper.task_cfg)
    wrapper.close()
    found |= start_answers("isaaclab", name)
    np.savez(answers, **{key: np.asarray(value) for key, value in found.items()})


def built_model(solver, task: base.Task, cfg) -> dict[str, np.ndarray]:
    """Return both models, ours as `our.FIELD` and the one that Newton built as `newton.FIELD`, in our order."""
    from manyseeds.simulators.isaaclab.actuators import is_motor
    from manyseeds.simulators.isaaclab.parts import parts

    ours, theirs = load_model(task, cfg), solver.mj_model
    warp = solver.mjw_model
    moving = [part for part in parts(ours) if part.kind != "static"]
    articulations = [part for part in moving if part.kind == "articulation"]
    free = [part.name for part in moving if part.floats]
    body_names = [name for part in moving for name in part.bodies]
    link_names = [name for part in articulations for name in part.bodies[1:]]  # what is not placed but jointed
    joint_names = [name for part in articulations for name in part.joints]
    newtons = lambda kind, count, end: next(  # noqa: E731  Newton's names are paths
        i for i in range(count) if (mujoco.mj_id2name(theirs, kind, i) or "").endswith(f"_{end}")
    )
    body, joint = mujoco.mjtObj.mjOBJ_BODY, mujoco.mjtObj.mjOBJ_JOINT
    answers: dict[str, np.ndarray] = {}

    def both(field: str, our: np.ndarray, their: np.ndarray) -> None:
        answers[f"our.{field}"], answers[f"newton.{field}"] = np.asarray(our), np.asarray(their)

    def numbers(field: str) -> np.ndarray:
        """The field as it is stepped: of the last world, where worlds have their own."""
        array = getattr(warp, field).numpy()
        return array[-1] if array.ndim == getattr(theirs, field).ndim + 1 else array

    our_bodies = [ours.body(name).id for name in body_names]
    their_bodies = [newtons(body, theirs.nbody, name) for name in body_names]
    for field in ("body_mass", "body_ipos", "body_gravcomp"):
        both(field, getattr(ours, field)[our_bodies], numbers(field)[their_bodies])
    both(
        "inertia",
        inertia(ours.body_iquat[our_bodies], ours.body_inertia[our_bodies]),
        inertia(numbers("body_iquat")[their_bodies], numbers("body_inertia")[their_bodies]),
    )
    our_links = [ours.body(name).id for name in link_names]
    their_links = [newtons(body, theirs.nbody, name) for name in link_names]
    both("body_pos", ours.body_pos[our_links], numbers("body_pos")[their_links])
    both("body_rotation", rotation(ours.body_quat[our_links]), rotation(numbers("body_quat")[their_links]))
    our_joints = [ours.joint(name).id for name in joint_names]
    their_joints = [newtons(joint, theirs.njnt, name) for name in joint_names]
    limited = ours.jnt_limited[our_joints]
    both("jnt_limited", limited, theirs.jnt_limited[their_joints])
    for field in ("jnt_range", "jnt_solref", "jnt_solimp", "jnt_stiffness"):
        rows = slice(None) if field != "jnt_range" else limited == 1  # the range of others means nothing
        both(field, getattr(ours, field)[our_joints][rows], numbers(field)[their_joints][rows])
    our_dofs, their_dofs = ours.jnt_dofadr[our_joints], theirs.jnt_dofadr[their_joints]
    for field in ("dof_damping", "dof_armature", "dof_frictionloss"):
        both(field, getattr(ours, field)[our_dofs], numbers(field)[their_dofs])
    for name in free:
        our_dof = ours.body_dofadr[ours.body(name).id]
        their_dof = theirs.body_dofadr[newtons(body, theirs.nbody, name)]
        for field in ("dof_damping", "dof_armature"):
            ranges = slice(our_dof, our_dof + 6), slice(their_dof, their_dof + 6)
            both(f"{name}_{field}", getattr(ours, field)[ranges[0]], numbers(field)[ranges[1]])

    servos = [i for i in range(ours.nu) if not is_motor(ours, i)]  # a motor is a force on a joint there
    driven = [ours.joint(int(i)).name for i in ours.actuator_trnid[servos, 0]]
    order = [theirs.actuator_trnid[:, 0].tolist().index(their_joints[joint_names.index(name)]) for name in driven]
    both("actuators", len(servos), theirs.nu)
    for field in ("actuator_gainprm", "actuator_biasprm", "actuator_forcerange", "actuator_forcelimited"):
        if servos:
            both(field, getattr(ours, field)[servos], numbers(field)[order])

    our_geoms, their_geoms = (collision_geoms(model, body_names) for model in (ours, theirs))
    both("collisions", collisions(ours, our_geoms), collisions(theirs, their_geoms))
    if len(answers["our.collisions"]):  # Newton leaves out shapes that meet none
        rows = list(our_geoms.values()), [their_geoms[key] for key in our_geoms]
        for field in ("geom_type", "geom_condim", "geom_priority", "geom_friction", "geom_solref",
                      "geom_solimp", "geom_margin", "geom_gap", "geom_solmix"):  # fmt: skip
            both(field, getattr(ours, field)[rows[0]], numbers(field)[rows[1]])
        both("geom_size", sizes(ours, rows[0]), sizes(theirs, rows[1]))
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
    matrices = np.empty((len(quaternions), 9))
    for matrix, quaternion in zip(matrices, quaternions.astype(float), strict=True):
        mujoco.mju_quat2Mat(matrix, quaternion)
    return matrices.reshape(-1, 3, 3)


def inertia(quaternions: np.ndarray, principal: np.ndarray) -> np.ndarray:
    """Return inertia tensors in the body's frame (n, 3, 3), whatever the order of the principal axes."""
    axes = rotation(quaternions)
    return axes @ (principal[:, :, None] * axes.transpose(0, 2, 1))


def collision_geoms(model, moving: list[str]) -> dict[str, int]:
    """Return the shapes that can collide by body and size, because unnamed ones have no name in common."""
    found: dict[str, int] = {}
    for geom in range(model.ngeom):
        if model.geom_contype[geom] or model.geom_conaffinity[geom]:
            # Newton names bodies by their path, and has static shapes in the world itself.
            path = model.body(model.geom_bodyid[geom]).name
            body = next((name for name in moving if f"_{path}".endswith(f"_{name}")), "static")
            found[f"{body} {sizes(model, [geom])[0].round(4).tolist()}"] = geom
    return found


def sizes(model, geoms: list[int]) -> np.ndarray:
    """Return the sizes of shapes (k, 3), 0 for what means nothing: all of a plane's, the last of a capsule's."""
    kind = mujoco.mjtGeom
    columns = {int(kind.mjGEOM_PLANE): 0, int(kind.mjGEOM_SPHERE): 1, int(kind.mjGEOM_CAPSULE): 2}
    counts = np.array([columns.get(int(model.geom_type[geom]), 3) for geom in geoms])
    return model.geom_size[geoms] * (np.arange(3) < counts[:, None])


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
        mujoco_states(sys.argv[2], Path(sys.argv[3]))
    else:
        isaaclab_answers(sys.argv[2], Path(sys.argv[3]), Path(sys.argv[4]))
