"""A task's MJCF, compiled for stepping or for pictures, and what follows from it."""

from itertools import combinations
from typing import Any

import mujoco
from torch import Tensor

from manyseeds.simulators.randomness import row_of
from manyseeds.tasks.base import Task

_VISUAL_GROUP = 2
_GEOM = mujoco.mjtGeom


def load_model(task: Task, cfg: Any, visual: bool = False) -> mujoco.MjModel:
    """Compile the task's MJCF.

    Args:
        task: the task.
        cfg: its numbers; gives the timestep.
        visual: whether to keep the shapes that only show: those of group 2 without collision and mass. Without them
            stepping is faster and the same.
    """
    spec = task.model(cfg)
    spec.option.timestep = cfg.physics_dt
    # A diverged state stays visible as NaN instead of being reset silently.
    spec.option.disableflags |= int(mujoco.mjtDisableBit.mjDSBL_AUTORESET)
    if not visual:
        for geom in list(spec.geoms):
            if geom.group == _VISUAL_GROUP and not geom.contype and not geom.conaffinity and geom.mass == 0:
                spec.delete(geom)
    return spec.compile()


def adapt_model(model: mujoco.MjModel, task: Task, cfg: Any, command: Tensor) -> None:
    """Give a model the numbers that follow from a command (c,), in place; without `Task.adapt` nothing changes."""
    if task.adapt is not None:
        for (array, name), values in task.adapt(cfg, command[None]).items():
            getattr(model, array)[row_of(task, "adapt", array, name, model)] = values[0].cpu().numpy()


def max_contacts(model: mujoco.MjModel) -> int:
    """Return how many contacts one environment can have: the sum over all pairs of geoms that can meet."""
    return sum(_contacts_of(model, *pair) for pair in _meeting_geoms(model))


def max_constraints(model: mujoco.MjModel) -> int:
    """Return how many rows of constraints one environment can have."""
    elliptic = model.opt.cone == mujoco.mjtCone.mjCONE_ELLIPTIC
    dims = [*model.geom_condim, *model.pair_dim]
    dim = max([3, *(int(d) for d in dims if d > 1)])
    rows = dim if elliptic else 2 * (dim - 1)
    others = model.njnt + model.ntendon + 6 * model.neq + int((model.dof_frictionloss > 0).sum())
    return rows * max_contacts(model) + others + int((model.tendon_frictionloss > 0).sum())


def _meeting_geoms(model: mujoco.MjModel) -> set[tuple[int, int]]:
    """Return the pairs of geoms that collision detection looks at."""
    declared = {tuple(sorted(pair)) for pair in zip(model.pair_geom1, model.pair_geom2, strict=True)}
    excluded = {int(signature) for signature in model.exclude_signature}
    found = {(int(a), int(b)) for a, b in declared}
    weld = model.body_weldid
    for a, b in combinations(range(model.ngeom), 2):
        body_a, body_b = sorted((int(model.geom_bodyid[a]), int(model.geom_bodyid[b])))
        root_a, root_b = int(weld[body_a]), int(weld[body_b])
        masks = (model.geom_contype[a] & model.geom_conaffinity[b]) | (
            model.geom_contype[b] & model.geom_conaffinity[a]
        )
        # A body does not meet the one that it hangs on, unless that is the world.
        parent_a, parent_b = (int(weld[model.body_parentid[root]]) for root in (root_a, root_b))
        child = root_a and root_b and (parent_a == root_b or parent_b == root_a)
        related = root_a == root_b or (child and not model.opt.disableflags & mujoco.mjtDisableBit.mjDSBL_FILTERPARENT)
        if masks and not related and (body_a << 16) + body_b not in excluded:
            found.add((a, b))
    return found


def _contacts_of(model: mujoco.MjModel, a: int, b: int) -> int:
    kinds = sorted(int(model.geom_type[g]) for g in (a, b))
    if {int(_GEOM.mjGEOM_HFIELD), int(_GEOM.mjGEOM_SDF)} & set(kinds):
        return mujoco.mjMAXCONPAIR
    if _GEOM.mjGEOM_SPHERE in kinds:
        return 1
    if _GEOM.mjGEOM_CAPSULE in kinds:
        return 2
    if kinds[0] == _GEOM.mjGEOM_PLANE:
        return 4
    return 8
