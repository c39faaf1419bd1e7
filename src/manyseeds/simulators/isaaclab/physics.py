"""Newton's MuJoCo Warp solver, set as the task's MJCF says."""

from dataclasses import field
from typing import Any

import mujoco
import numpy as np
import warp as wp
from isaaclab.physics import PhysicsManager
from isaaclab.utils import configclass
from isaaclab_newton.physics import MJWarpSolverCfg, NewtonCfg, NewtonShapeCfg
from isaaclab_newton.physics.mjwarp_manager import NewtonMJWarpManager
from newton import JointTargetMode

from manyseeds.simulators.isaaclab.actuators import is_motor
from manyseeds.simulators.model import max_constraints, max_contacts

_PAIR_FIELDS = {
    "solref": "pair_solref",
    "solreffriction": "pair_solreffriction",
    "solimp": "pair_solimp",
    "margin": "pair_margin",
    "gap": "pair_gap",
    "friction": "pair_friction",
    "condim": "pair_dim",
}
"""Newton's names of a contact pair's numbers, and MuJoCo's."""
_NO_LIMIT = 1e6
"""N or N m: a limit that means no limit, because Newton wants one for every joint."""


@configclass
class TaskSolverCfg(MJWarpSolverCfg):
    """Isaac Lab's settings of the solver, and those of the MJCF that it leaves out."""

    class_type: type | str = "{DIR}.physics:NewtonTaskManager"
    ls_tolerance: float = 0.01
    """MuJoCo's `ls_tolerance`."""
    pairs: list = field(default_factory=list)
    """The MJCF's contact pairs: `geoms`, two names, and the numbers of _PAIR_FIELDS."""


class NewtonTaskManager(NewtonMJWarpManager):
    """Adds what does not come through USD: contact pairs, actuators as the MJCF's, boxes that meet as in MuJoCo."""

    @classmethod
    def _prepare_builder_for_finalize(cls, builder: Any) -> None:
        super()._prepare_builder_for_finalize(builder)
        # Otherwise it makes two actuators, one of position and one of velocity.
        builder.joint_target_mode[:] = [
            JointTargetMode.POSITION if mode == JointTargetMode.POSITION_VELOCITY else mode
            for mode in builder.joint_target_mode
        ]
        shapes: dict[tuple[int, str], int] = {}
        for index, label in enumerate(builder.shape_label):
            shapes[builder.shape_world[index], label.rsplit("/", 1)[-1]] = index
        for pair in PhysicsManager._cfg.solver_cfg.pairs:
            numbers = {f"mujoco:pair_{name}": pair[name] for name in _PAIR_FIELDS}
            for world in sorted({world for world, _ in shapes}):
                ids = [shapes.get((world, name)) for name in pair["geoms"]]
                if None not in ids:
                    places = {"mujoco:pair_world": world, "mujoco:pair_geom1": ids[0], "mujoco:pair_geom2": ids[1]}
                    builder.add_custom_values(**places, **numbers)

    @classmethod
    def _create_solver(cls, model: Any, solver_cfg: Any) -> Any:
        solver = super()._create_solver(model, solver_cfg)
        solver.mjw_model.opt.warn_overflow = 0  # it calls a solver that stopped at its iterations an overflow
        # Without native CCD boxes meet boxes by MuJoCo's own algorithm instead of a general one.
        solver.mjw_model.opt.disableflags |= int(mujoco.mjtDisableBit.mjDSBL_NATIVECCD)
        if not solver.mj_model.nu:
            return solver
        # Newton limits the force at the joint. A limit of the actuator frees a clamped one of its implicit damping too,
        # with which it would move a step late.
        limits = wp.to_torch(solver.mjw_model.jnt_actfrcrange)[:, solver.mj_model.actuator_trnid[:, 0]]
        solver.mjw_model.actuator_forcerange = wp.from_torch(limits.contiguous(), dtype=wp.vec2)
        solver.mjw_model.actuator_forcelimited.fill_(True)
        return solver


def newton_cfg(model: mujoco.MjModel) -> NewtonCfg:
    """Return Isaac Lab's configuration of Newton with the options of the compiled MJCF."""
    option = model.opt
    solver = TaskSolverCfg(
        solver=_name(mujoco.mjtSolver, option.solver),
        integrator=_name(mujoco.mjtIntegrator, option.integrator),
        cone=_name(mujoco.mjtCone, option.cone),
        iterations=int(option.iterations),
        ls_iterations=int(option.ls_iterations),
        ls_tolerance=float(option.ls_tolerance),
        ccd_iterations=int(option.ccd_iterations),
        enable_multiccd=not option.disableflags & int(mujoco.mjtDisableBit.mjDSBL_MULTICCD),
        impratio=float(option.impratio),
        # What MuJoCo Warp makes of a smaller one, for it computes in single precision.
        tolerance=max(float(option.tolerance), 1e-6),
        nconmax=max(1, max_contacts(model)),
        njmax=max(1, max_constraints(model)),
        pairs=[_pair(model, index) for index in range(model.npair)],
    )
    return NewtonCfg(solver_cfg=solver, default_shape_cfg=NewtonShapeCfg(gap=0.0))


def gains(model: mujoco.MjModel, joints: tuple[str, ...]) -> dict[str, dict[str, float]]:
    """Return what drives joints, by the argument of ImplicitActuatorCfg and by joint, in SI units.

    A motor has no gains: with these, Newton makes no actuator, and its joint gets the force that `mdp.TaskAction` hands
    on, limited already.
    """
    columns: dict[str, dict[str, float]] = {
        key: {} for key in ("stiffness", "damping", "joint_effort_limit", "armature")
    }
    for actuator in range(model.nu):
        joint = model.joint(int(model.actuator_trnid[actuator, 0]))
        if joint.name not in joints:
            continue
        columns["armature"][joint.name] = float(joint.armature[0])
        motor = is_motor(model, actuator)
        columns["stiffness"][joint.name] = 0.0 if motor else float(model.actuator_gainprm[actuator, 0])
        columns["damping"][joint.name] = 0.0 if motor else float(-model.actuator_biasprm[actuator, 2])
        if motor:
            columns["joint_effort_limit"][joint.name] = _NO_LIMIT
            continue
        limits = [_NO_LIMIT]
        if model.actuator_forcelimited[actuator]:
            limits.append(np.abs(model.actuator_forcerange[actuator]).max())
        if model.jnt_actfrclimited[joint.id]:
            limits.append(np.abs(model.jnt_actfrcrange[joint.id]).max())
        columns["joint_effort_limit"][joint.name] = float(min(limits))
    return columns


def _pair(model: mujoco.MjModel, index: int) -> dict[str, Any]:
    """Return a contact pair as plain values."""
    numbers = {name: np.asarray(getattr(model, field)[index]).tolist() for name, field in _PAIR_FIELDS.items()}
    geoms = [model.geom(int(ids[index])).name for ids in (model.pair_geom1, model.pair_geom2)]
    return {"geoms": geoms, **numbers}


def _name(kind: Any, value: int) -> str:
    """Return MuJoCo's name of an option in Isaac Lab's spelling, such as implicitfast for mjINT_IMPLICITFAST."""
    return kind(int(value)).name.split("_", 1)[1].lower()
