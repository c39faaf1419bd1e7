"""How jobs run in containers: the image of a job, what is mounted, and where caches go.

The images hold packages; the code comes from the checkout. Snakemake calls `apptainer exec` (or `singularity exec`)
with the working directory as home and mounted; the rest is said here, by environment variables that the program reads.
"""

import os
import shutil
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path

from manyseeds.core.errors import UserError
from manyseeds.core.layout import REPOSITORY
from manyseeds.core.record import git

CACHES = Path(".snakemake") / "caches"
"""Where caches of jobs in containers go: relative to the working directory, which can always be written."""
CACHE_VARIABLES = {
    "CUDA_CACHE_PATH": "cuda",
    "MPLCONFIGDIR": "matplotlib",
    "NUMBA_CACHE_DIR": "numba",
    "TORCHINDUCTOR_CACHE_DIR": "torchinductor",
    "TRITON_CACHE_DIR": "triton",
    "WARP_CACHE_PATH": "warp",
    "XDG_CACHE_HOME": "",
}
GPU = Path("/dev/nvidiactl")
MOUNTED_ANYWAY = (Path("/tmp"), Path("/var/tmp"))


def image(name: str) -> str:
    """Return what Snakemake calls an image: a registry address as it is, a file or folder as an absolute path.

    Args:
        name: a value of `container` in the config; files are relative to the working directory or else to the
            checkout, where docker/build_sif.sh puts them.
    """
    if "://" in name:
        return name
    return str(Path(name).absolute() if Path(name).exists() else REPOSITORY / name)


def check_images(images: Mapping[str, str], source: str) -> None:
    """Check that the images that are files exist.

    Args:
        images: values of `container` in the config, by environment.
        source: the config file's name, for the error messages.

    Raises:
        UserError: with one sentence for each image that is missing.
    """
    missing = [
        f"{source}: container.{environment} is {name}, which does not exist; with --use-singularity it must be a .sif"
        " file, a sandbox folder or a registry address (docker://...);"
        f" `docker/build_sif.sh {environment}` makes an image"
        for environment, name in images.items()
        if "://" not in name and not Path(image(name)).exists()
    ]
    if missing:
        raise UserError("\n".join(missing))


def settings(folders: Iterable[str | Path], environ: Mapping[str, str] = os.environ) -> dict[str, str]:
    """Return the environment variables that make a container ready for jobs.

    They mount the checkout and `folders`, pass the GPUs, lead caches to CACHES, and keep out what the host's Python,
    home and display would bring. What the user has set (APPTAINER_BIND, APPTAINERENV_WARP_CACHE_PATH, ...) stays.

    Args:
        folders: what jobs read and write; those below the working directory are mounted anyway.
        environ: the variables of this process.

    Raises:
        UserError: for a folder whose name cannot be mounted.
    """
    program = "APPTAINER" if shutil.which("apptainer") or not shutil.which("singularity") else "SINGULARITY"
    mounts = [mount for mount in environ.get(f"{program}_BIND", "").split(",") if mount]
    wanted = _outside([REPOSITORY, *_git_folder(), *folders, tempfile.gettempdir()])
    mounts += [mount for mount in wanted if mount not in mounts]
    caches = Path.cwd() / CACHES
    inside = {variable: str(caches / folder) for variable, folder in CACHE_VARIABLES.items()}
    inside |= {"DISPLAY": "", "PYTHONHOME": "", "PYTHONNOUSERSITE": "1"}
    variables = {f"{program}ENV_{name}": value for name, value in inside.items()}
    if GPU.exists():
        variables[f"{program}_NV"] = "1"
    return {name: value for name, value in variables.items() if name not in environ} | {
        f"{program}_BIND": ",".join(mounts)
    }


def _outside(folders: Iterable[str | Path]) -> list[str]:
    """Return where those folders really are that exist and that nothing else mounts, each once."""
    mounted = [Path.cwd().resolve()]
    mounts = []
    for folder in folders:
        place = Path(folder).resolve()
        if not place.exists() or place in MOUNTED_ANYWAY or any(place.is_relative_to(other) for other in mounted):
            continue
        if any(letter in str(place) for letter in ":,"):
            raise UserError(f"{place} cannot be mounted in a container; its name must hold no colon and no comma")
        mounted.append(place)
        mounts.append(str(place))
    return mounts


def _git_folder() -> list[str]:
    """Return the Git folder of the checkout; for a linked work tree it is outside the checkout."""
    found = git(REPOSITORY, "rev-parse", "--path-format=absolute", "--git-common-dir")
    return [found] if found else []
