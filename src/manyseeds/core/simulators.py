"""The table of simulators, so that one can be chosen without importing it."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Simulator:
    """A row of the table of simulators.

    Attributes:
        devices: the kinds of device it runs on.
        packages: packages whose versions may change its results.
        module: the module that must be importable to run it.
        environment: the environment of envs/ (and container image) that holds it.
        env: "module:class" of its environment, which `simulators.make_env` imports.
        install: how to install it, for an error message.
        one_a_process: whether a process can hold one simulation only.
        randomizes: whether episodes can differ in masses, frictions, gains, noise, delays and pushes.
    """

    devices: tuple[str, ...]
    packages: tuple[str, ...]
    module: str
    environment: str
    env: str
    install: str
    one_a_process: bool = False
    randomizes: bool = True


SIMULATORS = {
    "mujoco": Simulator(
        devices=("cpu",),
        packages=("mujoco", "numba"),
        module="mujoco",
        environment="mujoco",
        env="manyseeds.simulators.mujoco:MujocoEnv",
        install="pip install 'manyseeds[mujoco]' installs it",
    ),
    "mujoco_warp": Simulator(
        devices=("cpu", "cuda"),
        packages=("mujoco", "mujoco-warp", "warp-lang"),
        module="mujoco_warp",
        environment="mujoco",
        env="manyseeds.simulators.mujoco_warp:MujocoWarpEnv",
        install="pip install 'manyseeds[warp]' installs it",
    ),
    "isaaclab": Simulator(
        devices=("cpu", "cuda"),
        packages=("isaaclab", "newton", "mujoco", "mujoco-warp", "mujoco-usd-converter", "warp-lang"),
        module="isaaclab",
        environment="isaaclab",
        env="manyseeds.simulators.isaaclab.env:IsaacLabEnv",
        install="docs/isaaclab.md says how",
        one_a_process=True,
        randomizes=False,
    ),
}
