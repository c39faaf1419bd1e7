"""The task's MJCF as USD: `manyseeds usd FOLDER` converts it, without Isaac Lab.

Robot, table and cube become a file each, because Isaac Lab spawns them one by one. MuJoCo's converter writes what USD
has no word for as `mjc:` attributes, which Newton reads. It leaves out the masks of collision, and calls gravity
compensation by another name than Newton, so both are added here.
"""

import hashlib
import shutil
import tempfile
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from xml.etree import ElementTree

import mujoco

from manyseeds.core.arguments import verb_parser
from manyseeds.core.caches import user_cache
from manyseeds.tasks.lift_object.task import MODEL_PATH

BODIES = {"robot": "panda_link0", "table": "table", "object": "object"}
"""The body of the MJCF that each file holds."""


def part(name: str) -> str:
    """Return the MJCF with one of BODIES alone in the world, without actuators: Isaac Lab's configuration has them."""
    # Its text is edited, because MuJoCo writes numbers with six digits.
    root = ElementTree.parse(MODEL_PATH).getroot()
    root.set("model", name)
    for section in ("contact", "actuator"):
        root.remove(root.find(section))  # type: ignore[arg-type]
    world = root.find("worldbody")
    assert world is not None
    for element in list(world):
        if element.get("name") != BODIES[name] or element.tag != "body":
            world.remove(element)
    for index, geom in enumerate(world.iter("geom")):
        geom.set("name", geom.get("name", f"shape_{index}"))
    if name == "object":
        world[0].set("pos", "0 0 0")  # Isaac Lab places it
    return ElementTree.tostring(root, encoding="unicode")


def convert(folder: Path) -> None:
    """Write robot.usdc, table.usdc and object.usdc into a folder, which is made."""
    from mujoco_usd_converter import Converter
    from pxr import Usd

    folder.mkdir(parents=True, exist_ok=True)
    converter = Converter(layer_structure=False, scene=False)
    for name in BODIES:
        with tempfile.TemporaryDirectory() as scratch:
            mjcf = Path(scratch) / f"{name}.xml"
            mjcf.write_text(part(name), encoding="utf-8")
            stage = Usd.Stage.Open(converter.convert(str(mjcf), scratch).path)
            _complete(stage, mujoco.MjSpec.from_file(str(mjcf)), fixed=name == "table")
            stage.GetRootLayer().Export(str(folder / f"{name}.usdc"))


def usd_files() -> dict[str, Path]:
    """Return the files of `convert`, by name of BODIES, in the user's cache; convert what is not there yet."""
    made_of = MODEL_PATH.read_bytes() + Path(__file__).read_bytes() + version("mujoco-usd-converter").encode()
    folder = (
        (user_cache() or Path(tempfile.gettempdir())) / "manyseeds" / f"usd-{hashlib.sha256(made_of).hexdigest()[:16]}"
    )
    if not folder.exists():
        folder.parent.mkdir(parents=True, exist_ok=True)
        fresh = Path(tempfile.mkdtemp(dir=folder.parent, prefix="usd-"))
        convert(fresh)
        try:
            fresh.rename(folder)
        except OSError:  # another process was faster
            shutil.rmtree(fresh)
    return {name: folder / f"{name}.usdc" for name in BODIES}


def _complete(stage: object, spec: mujoco.MjSpec, fixed: bool) -> None:
    """Add what the converter leaves out; `fixed` makes static shapes of a body that a joint fixes to the world."""
    from pxr import Sdf, UsdPhysics

    geoms = {geom.name: geom for geom in spec.geoms}
    bodies = {body.name: body for body in spec.bodies}
    for prim in list(stage.Traverse()):  # type: ignore[attr-defined]
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
            stage.RemovePrim(prim.GetPath())  # type: ignore[attr-defined]


def main(argv: Sequence[str] | None = None) -> int:
    """Convert into a folder; return 0."""
    parser = verb_parser("usd", __doc__, "assets")
    parser.add_argument("folder", type=Path, help="where robot.usdc, table.usdc and object.usdc go")
    convert(parser.parse_args(argv).folder)
    return 0
