"""A task's MJCF as USD: `manyseeds usd TASK FOLDER` converts it, without Isaac Lab.

Every part (`parts`) becomes a file, because Isaac Lab spawns them one by one. MuJoCo's converter writes what USD has no
word for as `mjc:` attributes, which Newton reads. It leaves out the masks of collision, and its name for gravity
compensation is not Newton's, so both are added here.
"""

import hashlib
import shutil
import tempfile
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any
from unittest.mock import patch

import mujoco
import numpy as np

from manyseeds.core.arguments import verb_parser
from manyseeds.core.caches import user_cache
from manyseeds.simulators.isaaclab.parts import Part, parts
from manyseeds.simulators.model import load_model
from manyseeds.tasks import registry
from manyseeds.tasks.base import Task, configure


def part_spec(task: Task, cfg: Any, part: Part) -> mujoco.MjSpec:
    """Return the MJCF with one part alone in the world, without actuators: Isaac Lab's configuration has them."""
    spec = task.model(cfg)
    spec.modelname = part.name
    for element in (*spec.pairs, *spec.actuators, *spec.cameras, *spec.lights):
        spec.delete(element)
    for body in spec.worldbody.bodies:
        if body.name != part.name:
            spec.delete(body)
    for geom in spec.worldbody.geoms:
        if part.name != "world" or not (geom.contype or geom.conaffinity):
            spec.delete(geom)
    for index, geom in enumerate(spec.geoms):
        geom.name = geom.name if geom.name.isidentifier() else f"shape_{index}"
    for site in spec.sites:  # nobody reads them there, and they could take a joint's name
        spec.delete(site)
    if part.floats:  # Isaac Lab places it
        body = spec.body(part.name)
        body.pos, body.quat = np.zeros(3), np.array([1.0, 0.0, 0.0, 0.0])
        body.alt.type = mujoco.mjtOrientation.mjORIENTATION_QUAT
    return spec


def convert(task: Task, cfg: Any, folder: Path) -> None:
    """Write PART.usdc for every part into a folder, which is made."""
    from mujoco_usd_converter import Converter
    from pxr import Usd

    folder.mkdir(parents=True, exist_ok=True)
    converter = Converter(layer_structure=False, scene=False)
    for part in parts(load_model(task, cfg)):
        spec = part_spec(task, cfg, part)
        with tempfile.TemporaryDirectory() as scratch:
            file = Path(scratch) / "part.xml"
            file.touch()
            # It takes a file, but a specification written to one has its numbers cut to six digits.
            with patch.object(mujoco.MjSpec, "from_file", lambda _, spec=spec: spec):
                path = converter.convert(str(file), scratch).path
            stage = Usd.Stage.Open(path)
            _complete(stage, spec, fixed=part.kind == "static")
            stage.GetRootLayer().Export(str(folder / f"{part.name}.usdc"))


def usd_files(task: Task, cfg: Any) -> dict[str, Path]:
    """Return the files of `convert`, by part, in the user's cache; convert what is not there yet."""
    model = load_model(task, cfg, visual=True)
    names = [part.name for part in parts(model)]
    compiled = np.empty(mujoco.mj_sizeModel(model), np.uint8)
    mujoco.mj_saveModel(model, None, compiled)
    converters = Path(__file__).read_bytes() + version("mujoco-usd-converter").encode()
    digest = hashlib.sha256(compiled.tobytes() + converters).hexdigest()[:16]
    folder = (user_cache() or Path(tempfile.gettempdir())) / "manyseeds" / f"usd-{task.name}-{digest}"
    if not folder.exists():
        folder.parent.mkdir(parents=True, exist_ok=True)
        fresh = Path(tempfile.mkdtemp(dir=folder.parent, prefix="usd-"))
        convert(task, cfg, fresh)
        try:
            fresh.rename(folder)
        except OSError:  # another process was faster
            shutil.rmtree(fresh)
    return {name: folder / f"{name}.usdc" for name in names}


def _complete(stage: Any, spec: mujoco.MjSpec, fixed: bool) -> None:
    """Add what the converter leaves out; `fixed` makes static shapes of bodies that a joint fixes to the world."""
    from pxr import Sdf, UsdPhysics

    geoms = {geom.name: geom for geom in spec.geoms}
    bodies = {body.name: body for body in spec.bodies}
    for prim in list(stage.Traverse()):
        if prim.HasAPI(UsdPhysics.CollisionAPI):
            geom = geoms[prim.GetName()]
            for key, value in (("mjc:contype", geom.contype), ("mjc:conaffinity", geom.conaffinity)):
                prim.CreateAttribute(key, Sdf.ValueTypeNames.Int).Set(int(value))
        if prim.HasAPI(UsdPhysics.RigidBodyAPI):
            gravcomp = prim.CreateAttribute("mjc:gravcomp", Sdf.ValueTypeNames.Float)
            gravcomp.Set(float(bodies[prim.GetName()].gravcomp))
            if fixed:
                prim.RemoveAPI(UsdPhysics.RigidBodyAPI)
        elif fixed and prim.IsA(UsdPhysics.Joint):
            stage.RemovePrim(prim.GetPath())


def main(argv: Sequence[str] | None = None) -> int:
    """Convert into a folder; return 0."""
    parser = verb_parser("usd", __doc__, "lift_object assets")
    parser.add_argument("task", help="a task's name, or the file that defines one")
    parser.add_argument("folder", type=Path, help="where the USD files go, one for each body below the world")
    arguments = parser.parse_args(argv)
    task = registry.load(arguments.task)
    convert(task, configure(task, {}), arguments.folder)
    return 0
