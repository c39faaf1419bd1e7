"""The profiles that ship: Snakemake knows every key, and the cluster-generic one really submits."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from manyseeds.core.caches import user_cache
from manyseeds.core.layout import REPOSITORY

TINY = {
    "experiment": "tiny",
    "seeds": [1, 2],
    "train": {"num_envs": 4, "max_iterations": 1, "save_interval": 1},
    "agent": {
        "file": "generic_policy.json",
        "overrides": {"policy.actor_hidden_dims": [8], "policy.critic_hidden_dims": [8]},
    },
}
PROFILES = sorted(path.parent.name for path in (REPOSITORY / "profiles").glob("*/config.yaml"))
# Clusters whose queue is this machine: a script is started at once, and asked for by whether it has ended, and how.
STAND_INS = {
    "qsub": """#!/bin/sh
for script; do :; done
echo "$@" >> submitted
id=$$.here
(sh "$script" > "$script.out" 2>&1; echo $? > "$HOME/$id") > /dev/null 2>&1 &
echo $id
""",
    "qstat": """#!/bin/sh
for id; do :; done
[ -e "$HOME/$id" ] || { echo "job_state = R"; exit; }
echo "job_state = F"; echo "Exit_status = $(cat "$HOME/$id")"
""",
    "kubectl": """#!/bin/sh
if [ "$1" = get ]; then
    [ ! -e "$HOME/${2#*/}" ] || { [ "$(cat "$HOME/${2#*/}")" = 0 ] && echo Complete || echo Failed; }
    exit
fi
cat > manifest
script=$(sed -n 's/.*command: .sh, "\\(.*\\)".*/\\1/p' manifest)
id=$$.here
(sh "$script" > "$script.out" 2>&1; echo $? > "$HOME/$id") > /dev/null 2>&1 &
echo job.batch/$id
""",
}


@pytest.fixture
def folder(tmp_path) -> Path:
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(TINY))
    return tmp_path


def snakemake(folder: Path, *arguments: str, **environment: str) -> str:
    command = [sys.executable, "-m", "snakemake", "--snakefile", str(REPOSITORY / "Snakefile"), *arguments]
    result = subprocess.run(
        command,
        cwd=folder,
        env=os.environ | environment,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=400,
    )
    assert result.returncode == 0, result.stdout
    return result.stdout


@pytest.mark.parametrize("profile", PROFILES)
def test_every_profile_plans_the_whole_workflow(folder, profile):
    text = snakemake(folder, "--dry-run", "--workflow-profile", profile, "--", "all")
    assert f"profiles/{profile}" in text
    assert re.search(r"^train_run +2$", text, re.M), text


@pytest.mark.parametrize("profile", [name for name in PROFILES if name != "default"])
def test_clusters_try_again_and_keep_what_the_default_profile_says(profile):
    """--workflow-profile replaces the default one, whose choices a cluster's user expects too."""
    ours = yaml.safe_load((REPOSITORY / "profiles" / profile / "config.yaml").read_text())
    default = yaml.safe_load((REPOSITORY / "profiles" / "default" / "config.yaml").read_text())
    assert {key: ours.get(key) for key in default if key not in ("retries", "quiet")} == {
        key: value for key, value in default.items() if key not in ("retries", "quiet")
    }
    assert ours["retries"] >= 1 and ours["jobs"] and ours["max-jobs-per-timespan"]


@pytest.mark.parametrize("profile", ["generic", "kubernetes"])
def test_a_profile_with_commands_submits_asks_and_collects(folder, profile):
    (folder / "bin").mkdir()
    (folder / "home").mkdir()
    for name, text in STAND_INS.items():
        (folder / "bin" / name).write_text(text)
        (folder / "bin" / name).chmod(0o755)
    (folder / "profiles").symlink_to(REPOSITORY / "profiles")
    path = f"{folder / 'bin'}{os.pathsep}{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    options = ["--latency-wait", "5", "--config", "seeds=[1]"]
    # Another home; compiled code is taken from this user's cache.
    elsewhere = {"PATH": path, "HOME": str(folder / "home"), "XDG_CACHE_HOME": str(user_cache())}
    snakemake(folder, "train", "--workflow-profile", profile, *options, **elsewhere)
    assert (folder / "results/tiny/default/seed_1/run.json").is_file()
    if profile == "generic":
        asked = (folder / "submitted").read_text()
        assert "select=1:ncpus=4:mem=2004mb:ngpus=0" in asked and "walltime=660" in asked
    else:
        job = yaml.safe_load((folder / "manifest").read_text())["spec"]
        assert job["activeDeadlineSeconds"] == 660
        container = job["template"]["spec"]["containers"][0]
        assert container["resources"] == {"requests": {"cpu": "4", "memory": "2004Mi"}, "limits": {"memory": "2004Mi"}}
        assert container["workingDir"] == str(folder)


def test_a_job_that_slurm_still_has_is_waited_for_without_a_gpu(folder):
    (folder / "bin").mkdir()
    squeue = folder / "bin" / "squeue"
    squeue.write_text(f"""#!/bin/sh
echo "17|{folder}|rule_train_run_wildcards_default_1"
echo "18|/another/folder|rule_train_run_wildcards_default_2"
""")
    squeue.chmod(0o755)
    path = f"{folder / 'bin'}{os.pathsep}{os.environ['PATH']}"
    text = snakemake(folder, "train", "--workflow-profile", "slurm", "--dry-run", PATH=path)
    assert re.findall("--dependency=[^,\\s]*", text) == ["--dependency=afterany:17"]
    here = snakemake(folder, "train", "--cores", "2", "--dry-run", PATH=path)
    assert "slurm_extra" not in here, "only Slurm's jobs wait for Slurm's jobs"


def test_a_dry_run_for_a_cluster_plans_with_the_clusters_cores(folder):
    """Snakemake sets its cores to 1 in a dry run, whatever the cluster has."""
    (folder / "config.yaml").write_text(yaml.safe_dump(TINY | {"train": TINY["train"] | {"threads": 3}}))
    text = snakemake(folder, "train", "--workflow-profile", "slurm", "--dry-run")
    assert re.search(r"^train_run +2$", text, re.M), text
