"""Share this machine's pip and apt configuration with the build of an image: `host_config.py FOLDER CODENAME`.

It writes files to FOLDER and prints options for buildah or podman, one per line, that mount them during the build. The
build then uses the machine's package indexes, local wheels, certificates and apt sources, and no image keeps them.
"""

import ast
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from urllib.parse import unquote, urlsplit

INSIDE = Path("/run/host")
"""The path of FOLDER inside the build."""


def output(*command: str) -> str:
    """Return the output of a command."""
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def pip_settings() -> dict[str, str]:
    """Return pip's settings by option; environment variables override files, as in pip."""
    settings: dict[str, str] = {}
    for line in output(sys.executable, "-m", "pip", "config", "list").splitlines():
        key, _, value = line.partition("=")
        if match := re.fullmatch(r"(global|install|:env:)\.(.+)", key):
            settings[match[2]] = ast.literal_eval(value)
    return settings


def local_folders(settings: dict[str, str]) -> set[Path]:
    """Return the folders on this machine in which pip looks for packages."""
    folders = set()
    for option in ("find-links", "index-url", "extra-index-url"):
        for place in settings.get(option, "").split():
            if place.startswith(("/", "file://")):
                folder = Path(unquote(urlsplit(place).path))
                # The pages of an index refer to files next to the index folder.
                folders.add(folder if option == "find-links" else folder.parent)
    return {folder for folder in folders if folder.exists()}


def share_pip(folder: Path) -> list[str]:
    """Write pip.conf; return the options that mount it."""
    settings = pip_settings()
    settings.pop("cache-dir", None)
    if certificates := settings.get("cert") or os.environ.get("SSL_CERT_FILE"):
        shutil.copy(certificates, folder / "certificates.crt")
        settings["cert"] = str(INSIDE / "certificates.crt")
    for option in {"constraint", "build-constraint"} & settings.keys():
        settings[option] = " ".join(_copied(place, folder) for place in settings[option].split())
    values = {option: " ".join(value.split()) for option, value in settings.items()}
    text = "".join(f"{option} = {value}\n" for option, value in sorted(values.items()))
    (folder / "pip.conf").write_text(f"[global]\n{text}", encoding="utf-8")
    mounts = [f"--volume={place}:{place}:ro" for place in sorted(local_folders(settings))]
    return [f"--secret=id=pip.conf,src={folder / 'pip.conf'}", f"--volume={folder}:{INSIDE}:ro", *mounts]


def _copied(place: str, folder: Path) -> str:
    """Copy a constraints file into the folder; return its path inside the build, or its address if it is not a file."""
    path = Path(unquote(urlsplit(place).path))
    if not path.is_file():
        return place
    shutil.copy(path, folder / path.name)
    return str(INSIDE / path.name)


def share_apt(folder: Path, codename: str) -> list[str]:
    """Write apt's sources of one Debian release and its network settings; return the options that mount them."""
    places = output("apt-get", "indextargets", "--format", "$(REPO_URI) $(RELEASE) $(COMPONENT) $(ORIGIN)")
    sources = {
        f"deb {uri} {release} {component}\n"
        for uri, release, component, origin in (line.split(maxsplit=3) for line in places.splitlines())
        if origin == "Debian" and release.startswith(codename)
    }
    (folder / "sources.list").write_text("".join(sorted(sources)), encoding="utf-8")
    reached = re.findall(r"^Acquire::(?:https?|Check|Max|Retries).*\n", output("apt-config", "dump", "Acquire"), re.M)
    (folder / "apt.conf").write_text("".join(reached), encoding="utf-8")
    return [
        f"--volume={folder / 'sources.list'}:/etc/apt/sources.list:ro",
        f"--volume={folder / 'apt.conf'}:/etc/apt/apt.conf.d/99host:ro",
    ]


def main() -> None:
    """Run the command line."""
    folder, codename = Path(sys.argv[1]).resolve(), sys.argv[2]
    folder.mkdir(parents=True, exist_ok=True)
    print("\n".join([*share_pip(folder), *share_apt(folder, codename)]))


if __name__ == "__main__":
    main()
