"""Newton's MuJoCo Warp solver, set as the task's MJCF says."""

from typing import Any

import mujoco
import numpy as np
import warp as wp
from isaaclab.utils import configclass
from isaaclab_newton.physics import MJWarpSolverCfg, NewtonCfg, NewtonShapeCfg
from isaaclab_newton.physics.mjwarp_manager import NewtonMJWarpManager
from newton import JointTargetMode

from manyseeds.simulators.base import load_model
from manyseeds.tasks.lift_object.task import LiftObjectCfg

MAX_CONTACTS = 2 * 2 + 4 * 2 * 8 + 8
"""Contacts of one environment: hand (a capsule, 2 each), 4 finger boxes (8 each) and the cube, with table and cube."""


@configclass
class LiftObjectSolverCfg(MJWarpSolverCfg):
    """Isaac Lab's settings of the solver, and those of the MJCF that it leaves out."""

    class_type: type | str = "{DIR}.physics:NewtonLiftObjectManager"
    ls_tolerance: float = 0.01
    """MuJoCo's `ls_tolerance`."""


class NewtonLiftObjectManager(NewtonMJWarpManager):
    """Adds what does not come through USD: contact pairs, actuators as the MJCF's, boxes that meet as in MuJoCo."""

    @classmethod
    def _prepare_builder_for_finalize(cls, builder: Any) -> None:
        super()._prepare_builder_for_finalize(builder)
        # Otherwise it makes two actuators, one of position and one of velocity.
        builder.joint_target_mode[:] = [
            JointTargetMode.POSITION if mode == JointTargetMode.POSITION_VELOCITY else mode
            for mode in builder.joint_target_mode
        ]
        model = load_model(LiftObjectCfg())
        shapes: dict[tuple[int, str], int] = {}
        for index, label in enumerate(builder.shape_label):
            shapes[builder.shape_world[index], label.rsplit("/", 1)[-1]] = index
        for pair in range(model.npair):
            names = [model.geom(int(ids[pair])).name for ids in (model.pair_geom1, model.pair_geom2)]
            for world in sorted({world for world, _ in shapes}):
                if all((world, name) in shapes for name in names):
                    builder.add_custom_values(
                        **{
                            "mujoco:pair_world": world,
                            "mujoco:pair_geom1": shapes[world, names[0]],
                            "mujoco:pair_geom2": shapes[world, names[1]],
                            "mujoco:pair_condim": int(model.pair_dim[pair]),
                            "mujoco:pair_solref": model.pair_solref[pair],
                            "mujoco:pair_solreffriction": model.pair_solreffriction[pair],
                            "mujoco:pair_solimp": model.pair_solimp[pair],
                            "mujoco:pair_margin": float(model.pair_margin[pair]),
                            "mujoco:pair_gap": float(model.pair_gap[pair]),
                            "mujoco:pair_friction": model.pair_friction[pair],
                        }
                    )

    @classmethod
    def _create_solver(cls, model: Any, solver_cfg: Any) -> Any:
        solver = super()._create_solver(model, solver_cfg)
        # Newton limits the force at the joint. A limit of the actuator frees a clamped one of its implicit damping too,
        # with which the fingers would close a step late.
        limits = wp.to_torch(solver.mjw_model.jnt_actfrcrange)[:, solver.mj_model.actuator_trnid[:, 0]]
        solver.mjw_model.actuator_forcerange = wp.from_torch(limits.contiguous(), dtype=wp.vec2)
        solver.mjw_model.actuator_forcelimited.fill_(True)
        solver.mjw_model.opt.warn_overflow = 0  # it calls a solver that stopped at its iterations an overflow
        # Without native CCD boxes meet boxes by MuJoCo's own algorithm instead of a general one.
        solver.mjw_model.opt.disableflags |= int(mujoco.mjtDisableBit.mjDSBL_NATIVECCD)
        return solver


def newton_cfg(model: mujoco.MjModel) -> NewtonCfg:
    """Return Isaac Lab's configuration of Newton with the options of the compiled MJCF."""
    option = model.opt
    solver = LiftObjectSolverCfg(
        solver=_name(mujoco.mjtSolver, option.solver),
        integrator=_name(mujoco.mjtIntegrator, option.integrator),
        cone=_name(mujoco.mjtCone, option.cone),
        iterations=int(option.iterations),
        ls_iterations=int(option.ls_iterations),
        ls_tolerance=float(option.ls_tolerance),
        ccd_iterations=int(option.ccd_iterations),
        impratio=float(option.impratio),
        # What MuJoCo Warp makes of a smaller one, for it computes in single precision.
        tolerance=max(float(option.tolerance), 1e-6),
        nconmax=MAX_CONTACTS,
        njmax=3 * MAX_CONTACTS + model.njnt,
    )
    return NewtonCfg(solver_cfg=solver, default_shape_cfg=NewtonShapeCfg(gap=0.0))


def gains(model: mujoco.MjModel) -> dict[str, dict[str, float]]:
    """Return the position actuators' gains by joint, in SI units: stiffness, damping, effort; and the joints' own.

    Those are armature and `passive_damping`, which Newton reads from the USD file and PhysX does not.
    """
    columns: dict[str, dict[str, float]] = {
        key: {} for key in ("stiffness", "damping", "effort", "armature", "passive_damping")
    }
    for actuator in range(model.nu):
        joint = model.joint(int(model.actuator_trnid[actuator, 0]))
        columns["stiffness"][joint.name] = float(model.actuator_gainprm[actuator, 0])
        columns["damping"][joint.name] = float(-model.actuator_biasprm[actuator, 2])
        columns["effort"][joint.name] = float(np.abs(model.actuator_forcerange[actuator]).max())
        columns["armature"][joint.name] = float(joint.armature[0])
        columns["passive_damping"][joint.name] = float(joint.damping[0])
    return columns


def _name(kind: Any, value: int) -> str:
    """Return MuJoCo's name of an option in Isaac Lab's spelling, such as implicitfast for mjINT_IMPLICITFAST."""
    return kind(int(value)).name.split("_", 1)[1].lower()
