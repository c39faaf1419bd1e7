"""Robot and ground of Isaac Lab's task Isaac-Cartpole, which fetches them from NVIDIA's server, without a network.

The robot is Isaac Lab's own, taken out of a stage that its wheel ships for its tests; the ground is a plane. Run by the
Python of an Isaac Lab: `python tests/isaaclab_cartpole.py FOLDER`, and then set ISAACSIM_ASSET_ROOT=FOLDER.
"""

import sys
from importlib.resources import files
from pathlib import Path

from pxr import Sdf, Usd, UsdGeom, UsdPhysics

STAGE = "source/isaaclab_tasks/test/golden_stages/cartpole/newton-isaacsim_rtx_renderer-rgb.usda"
ROBOT = "Isaac/IsaacLab/Robots/Classic/Cartpole/cartpole.usd"
GROUND = "Isaac/IsaacLab/Environments/Grid/default_ground_plane_checker_v1/default_ground_plane.usda"


def write_robot(path: Path) -> None:
    stage = Usd.Stage.Open(str(files("isaaclab") / STAGE)).Flatten()
    layer = Sdf.Layer.CreateNew(str(path))
    for prim in stage.rootPrims:
        if prim.name.startswith("Flattened_Prototype"):  # what the robot's instances refer to
            Sdf.CopySpec(stage, prim.path, layer, prim.path)
    Sdf.CopySpec(stage, "/World/envs/env_0/Robot", layer, "/Robot")
    layer.defaultPrim = "Robot"
    # Materials refer to a library that Isaac Lab would look for on the network.
    looks: list[Sdf.Path] = []
    layer.Traverse("/", lambda found: looks.append(found) if found.name in ("Looks", "material:binding") else None)
    for place in looks:
        spec = layer.GetObjectAtPath(place)
        if isinstance(spec, Sdf.PrimSpec):
            del spec.nameParent.nameChildren[spec.name]
        elif spec:
            spec.owner.RemoveProperty(spec)
    result = Usd.Stage.Open(layer)
    UsdGeom.SetStageUpAxis(result, UsdGeom.Tokens.z)
    UsdGeom.SetStageMetersPerUnit(result, 1.0)
    layer.Save()


def write_ground(path: Path) -> None:
    stage = Usd.Stage.CreateNew(str(path))
    stage.SetDefaultPrim(UsdGeom.Xform.Define(stage, "/Ground").GetPrim())
    plane = UsdGeom.Plane.Define(stage, "/Ground/CollisionPlane")
    plane.CreateAxisAttr("Z")
    UsdPhysics.CollisionAPI.Apply(plane.GetPrim())
    stage.Save()


if __name__ == "__main__":
    root = Path(sys.argv[1])
    for name, write in ((ROBOT, write_robot), (GROUND, write_ground)):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        write(root / name)
