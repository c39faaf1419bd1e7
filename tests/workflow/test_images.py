"""How jobs are put into containers, without any container."""

import subprocess
from pathlib import Path

import pytest

from manyseeds.core.errors import UserError
from manyseeds.workflow import images as containers


@pytest.fixture
def here(tmp_path, monkeypatch) -> Path:
    """A working directory with apptainer, and neither GPU nor singularity, on the machine."""
    programs = tmp_path / "programs"
    programs.mkdir()
    (programs / "apptainer").touch(mode=0o755)
    monkeypatch.setenv("PATH", f"{programs}:/usr/bin:/bin")
    monkeypatch.setattr(containers, "GPU", tmp_path / "nvidiactl")
    work = tmp_path / "work"
    work.mkdir()
    monkeypatch.chdir(work)
    return work


def mounts(*folders: str | Path, environ: dict[str, str] | None = None) -> list[str]:
    return containers.settings(folders, environ or {})["APPTAINER_BIND"].split(",")


def test_the_checkout_is_mounted_and_what_lies_below_the_working_directory_is_not_mounted_twice(here):
    (here / "results").mkdir()
    assert mounts("results", "logs", here / "results")[0] == str(containers.REPOSITORY)
    assert str(here / "results") not in mounts("results", here / "results")


def test_results_that_are_a_link_are_mounted_where_they_are(here, tmp_path):
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    (here / "results").symlink_to(scratch)
    assert str(scratch) in mounts("results/lift_object", "results")


def test_the_history_of_a_linked_work_tree_is_mounted(here, tmp_path, monkeypatch):
    first, second = tmp_path / "first", tmp_path / "second"
    identity = ("-c", "user.name=a", "-c", "user.email=a@b.c", "-c", "init.defaultBranch=main")
    subprocess.run(["git", *identity, "init", "-q", first], check=True)
    subprocess.run(["git", "-C", first, *identity, "commit", "-q", "--allow-empty", "-m", "a"], check=True)
    subprocess.run(["git", "-C", first, "worktree", "add", "-q", second], check=True, capture_output=True)
    monkeypatch.setattr(containers, "REPOSITORY", second)
    assert {str(second), str(first / ".git")} <= set(mounts())


def test_what_the_user_has_set_stays(here):
    environ = {"APPTAINER_BIND": "/scratch:/data,/home", "APPTAINERENV_WARP_CACHE_PATH": "/scratch/warp"}
    settings = containers.settings([], environ)
    assert settings["APPTAINER_BIND"].startswith("/scratch:/data,/home,")
    assert "APPTAINERENV_WARP_CACHE_PATH" not in settings
    # A job on another machine inherits what the first process has set.
    assert containers.settings([], environ | settings)["APPTAINER_BIND"] == settings["APPTAINER_BIND"]


def test_caches_go_below_the_working_directory(here):
    settings = containers.settings([], {})
    for variable in ("MPLCONFIGDIR", "NUMBA_CACHE_DIR", "WARP_CACHE_PATH", "XDG_CACHE_HOME"):
        assert Path(settings[f"APPTAINERENV_{variable}"]).is_relative_to(here / ".snakemake")


def test_gpus_are_passed_where_there_are_any(here):
    assert "APPTAINER_NV" not in containers.settings([], {})
    containers.GPU.touch()
    assert containers.settings([], {})["APPTAINER_NV"] == "1"


def test_singularity_is_told_the_same_where_there_is_no_apptainer(here, tmp_path):
    (tmp_path / "programs" / "apptainer").rename(tmp_path / "programs" / "singularity")
    settings = containers.settings([], {})
    assert settings["SINGULARITY_BIND"] and not any(name.startswith("APPTAINER") for name in settings)


def test_a_folder_that_cannot_be_mounted_is_one_sentence(here, tmp_path):
    (tmp_path / "a:b").mkdir()
    with pytest.raises(UserError, match="cannot be mounted in a container; its name must hold no colon"):
        containers.settings([tmp_path / "a:b"], {})


def test_an_image_is_an_address_or_a_file_of_the_working_directory_or_of_the_checkout(here):
    (here / "own.sif").touch()
    assert containers.image("docker://ghcr.io/me/image:1") == "docker://ghcr.io/me/image:1"
    assert containers.image("own.sif") == str(here / "own.sif")
    assert containers.image("images/none.sif") == str(containers.REPOSITORY / "images/none.sif")
    containers.check_images({"mujoco": "own.sif", "analysis": "docker://ghcr.io/me/image:1"}, "config.yaml")
