"""GPUs are leased: one job each, first come first served, and no lease outlives its job."""

import json
import os
import signal
import subprocess
import sys
import time
from fractions import Fraction
from pathlib import Path

import pytest

from helpers.verbs import verb
from helpers.waiting import wait_for
from manyseeds.core.errors import UserError
from manyseeds.gpus import Device, allowed, lease
from manyseeds.gpus.leases import make_private, registry

main = verb("gpus")


JOB = """
import os, sys, time
from manyseeds.gpus import Device, lease
devices = [Device(name, name) for name in sys.argv[1].split(",")]
count, jobs_per_gpu, seconds = int(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4])
log, who = sys.argv[5:]

def write(event, *rest):
    line = " ".join([event, who, str(time.monotonic_ns()), *rest]) + "\\n"
    handle = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.write(handle, line.encode())
    os.close(handle)

with lease(devices, count, jobs_per_gpu, who) as held:
    write("has", ",".join(device.number for device in held.devices), str(held.serial))
    time.sleep(seconds)
    write("ends")
"""


@pytest.fixture(autouse=True)
def private_locks(tmp_path, monkeypatch):
    """Use a lock folder of this test, and no GPUs of a scheduler or user."""
    monkeypatch.setenv("MANYSEEDS_LOCKS", str(tmp_path / "locks"))
    for name in ("CUDA_VISIBLE_DEVICES", "SLURM_JOB_ID"):
        monkeypatch.delenv(name, raising=False)


def start(log: Path, who: str, devices="0", count=1, jobs_per_gpu=1, seconds=60.0, **options) -> subprocess.Popen:
    arguments = [devices, str(count), str(jobs_per_gpu), str(seconds), str(log), who]
    return subprocess.Popen([sys.executable, "-c", JOB, *arguments], text=True, **options)


def events(log: Path) -> list[list[str]]:
    return [line.split() for line in log.read_text().splitlines()] if log.exists() else []


def holders(log: Path) -> list[str]:
    return [who for event, who, *_ in events(log) if event == "has"]


def claims():
    return registry().claims()


def nvidia_smi(folder: Path, monkeypatch, *rows: str) -> None:
    """Put a stand-in for nvidia-smi on the PATH that prints these rows."""
    folder.mkdir(exist_ok=True)
    script = folder / "nvidia-smi"
    script.write_text("#!/bin/sh\ncat <<'END'\n" + "\n".join(rows) + "\nEND\n")
    script.chmod(0o755)
    monkeypatch.setenv("PATH", str(folder), prepend=os.pathsep)


TWO = ("0, GPU-aaaa-1, 100, 80000", "1, GPU-bbbb-2, 100, 80000")


def test_gpus_are_found_and_named_by_uuid(tmp_path, monkeypatch):
    nvidia_smi(tmp_path / "bin", monkeypatch, *TWO)
    assert [(device.number, device.name) for device in allowed("auto")] == [("0", "GPU-aaaa-1"), ("1", "GPU-bbbb-2")]
    assert [device.number for device in allowed([1])] == ["1"]


@pytest.mark.parametrize(
    ("visible", "names"),
    [
        ("1", ["1"]),
        ("GPU-bbbb", ["GPU-bbbb"]),
        ("1,0", ["1", "0"]),
        ("", []),
        ("-1", []),
        ("0,-1,1", ["0"]),
        ("7", []),
        ("all", []),
        ("0,7,1", ["0"]),
        ("MIG-1", ["MIG-1"]),
    ],
)
def test_visible_devices_are_obeyed_as_they_are_named(visible, names, tmp_path, monkeypatch):
    nvidia_smi(tmp_path / "bin", monkeypatch, *TWO)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    assert [device.name for device in allowed("auto")] == names


@pytest.mark.parametrize(
    ("answer", "names"),
    [
        (b"NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver.", []),
        (b"a, b, c, d\n\xff\xfe\n1, 2\n,,,\n", []),
        (b"0, GPU-aaaa-1, [N/A], [N/A]\n", ["GPU-aaaa-1"]),
        (b"", []),
    ],
)
def test_nonsense_of_nvidia_smi_is_no_gpu(tmp_path, monkeypatch, answer, names):
    nvidia_smi(tmp_path / "bin", monkeypatch)
    (tmp_path / "answer").write_bytes(answer)
    (tmp_path / "bin" / "nvidia-smi").write_text(f"#!/bin/sh\ncat '{tmp_path}/answer'\n")
    assert [device.name for device in allowed("auto")] == names


def test_two_names_of_one_gpu_mean_the_same_gpu(tmp_path, monkeypatch):
    nvidia_smi(tmp_path / "bin", monkeypatch, *TWO)
    every = allowed("auto")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1,GPU-aaaa")
    assert {device.key for device in allowed("auto")} == {device.key for device in every}


def test_the_list_of_the_config_never_widens_what_is_visible(tmp_path, monkeypatch):
    nvidia_smi(tmp_path / "bin", monkeypatch, *TWO)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1")
    with pytest.raises(UserError, match=r"gpus has GPU 0, but CUDA_VISIBLE_DEVICES is '1', which allows only 1"):
        allowed([0, 1])
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES")
    with pytest.raises(UserError, match="gpus has GPU 2, but this machine has only 0, 1"):
        allowed([2])


def test_two_jobs_never_share_a_gpu_and_a_killed_job_frees_it_at_once(tmp_path):
    log = tmp_path / "log"
    first = start(log, "first")
    wait_for(lambda: holders(log) == ["first"])
    second = start(log, "second", seconds=0, stderr=subprocess.PIPE)
    assert second.stderr.readline() == "second: waits for GPU 0 (in use by first)\n"
    time.sleep(0.5)
    assert holders(log) == ["first"]
    first.kill()
    first.wait()
    assert second.wait(timeout=60) == 0
    assert second.stderr.read() == "second: has GPU 0 now\n"
    assert holders(log) == ["first", "second"]
    assert claims() == []


def test_a_lease_lives_as_long_as_the_child_that_trains(tmp_path):
    """The holder of the lease is killed; its child, which uses the GPU, lives on."""
    code = """
import subprocess, sys, time
from manyseeds.gpus import Device, lease

with lease([Device("0", "0")], 1, 1, "parent") as held:
    child = subprocess.Popen(["sleep", "60"], pass_fds=held.descriptors)
    print(child.pid, flush=True)
    child.wait()
"""
    parent = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    child = int(parent.stdout.readline())
    parent.kill()
    parent.wait()
    assert [claim.granted for claim in claims()] == [("0",)]
    os.kill(child, signal.SIGKILL)
    wait_for(lambda: claims() == [])


def test_jobs_per_gpu_share_a_gpu_and_a_job_for_a_whole_gpu_waits_for_all_of_them(tmp_path):
    log = tmp_path / "log"
    small = [start(log, f"small{n}", jobs_per_gpu=2) for n in range(2)]
    wait_for(lambda: len(holders(log)) == 2)
    whole = start(log, "whole", jobs_per_gpu=1, seconds=0)
    wait_for(lambda: len(claims()) == 3)
    small[0].kill()
    time.sleep(0.6)
    assert "whole" not in holders(log)
    small[1].kill()
    assert whole.wait(timeout=60) == 0
    for process in small:
        process.wait()


def test_a_job_for_several_gpus_is_not_starved_and_others_use_other_gpus(tmp_path):
    log = tmp_path / "log"
    holder = start(log, "holder", devices="0,1")
    wait_for(lambda: holders(log) == ["holder"])
    large = start(log, "large", devices="0,1", count=2, seconds=0)
    wait_for(lambda: len(claims()) == 2)
    late = start(log, "late", devices="0,1", seconds=0)
    wait_for(lambda: len(claims()) == 3)
    elsewhere = start(log, "elsewhere", devices="2", seconds=0)
    assert elsewhere.wait(timeout=60) == 0
    assert holders(log) == ["holder", "elsewhere"], "a later job took what the one before it waits for"
    holder.kill()
    holder.wait()
    assert large.wait(timeout=60) == 0 and late.wait(timeout=60) == 0
    assert holders(log) == ["holder", "elsewhere", "large", "late"]
    assert (
        next(devices for _, who, _, devices, *_ in (e for e in events(log) if e[0] == "has") if who == "large") == "0,1"
    )


def test_a_gpu_whose_memory_another_program_uses_is_skipped_with_a_message(tmp_path, monkeypatch):
    full = "0, GPU-aaaa-1, 70000, 80000"
    nvidia_smi(tmp_path / "bin", monkeypatch, full, TWO[1])
    with lease(allowed("auto"), 1, 1, "job") as held:
        assert [device.number for device in held.devices] == ["1"]
        assert held.environment == {"CUDA_VISIBLE_DEVICES": "GPU-bbbb-2"}
    nvidia_smi(tmp_path / "bin", monkeypatch, full)
    log = tmp_path / "log"
    code = JOB.replace('[Device(name, name) for name in sys.argv[1].split(",")]', "allowed('auto')").replace(
        "import Device", "import allowed, Device"
    )
    job = subprocess.Popen(
        [sys.executable, "-c", code, "-", "1", "1", "0", str(log), "job"], stderr=subprocess.PIPE, text=True
    )
    assert "GPU 0 is skipped: other programs use 88% of its memory" in job.stderr.readline()
    nvidia_smi(tmp_path / "bin", monkeypatch, TWO[0])
    assert job.wait(timeout=60) == 0


def test_a_schedulers_gpus_are_the_jobs_own(monkeypatch):
    """In two Slurm jobs on one node GPU 0 may be two different GPUs."""
    with lease([Device("0", "0")], 1, 1, "here") as _:
        monkeypatch.setenv("SLURM_JOB_ID", "7")
        with lease([Device("0", "0")], 1, 1, "in a job") as held:
            assert [device.number for device in held.devices] == ["0"]


def test_too_few_gpus_are_an_error_not_a_wait():
    with (
        pytest.raises(UserError, match="job: 2 GPUs are needed at once, but only 1 can be chosen from"),
        lease([Device("0", "0")], 2, 1, "job"),
    ):
        pass


def test_a_folder_that_others_prepared_is_refused(tmp_path):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(UserError, match="must be a folder that only this user can write to"):
        make_private(tmp_path / "link" / "gpus")
    (tmp_path / "open").mkdir()
    (tmp_path / "open").chmod(0o777)
    with pytest.raises(UserError, match="must be a folder that only this user can write to"):
        make_private(tmp_path / "open" / "gpus")


def test_a_claim_that_is_a_link_is_not_followed(tmp_path):
    victim = tmp_path / "victim"
    victim.write_text("precious")
    with lease([Device("0", "0")], 1, 1, "job"):
        pass
    (tmp_path / "locks" / "gpus" / "1.claim").symlink_to(victim)
    with pytest.raises(OSError), lease([Device("0", "0")], 1, 1, "job"):
        pass
    assert victim.read_text() == "precious"


def test_the_verb_gpus_shows_which_job_has_which_gpu(tmp_path, monkeypatch, capsys):
    nvidia_smi(tmp_path / "bin", monkeypatch, *TWO)
    with lease(allowed([0]), 1, 1, "tiny/default/seed_1"):
        assert main([]) == 0
    assert capsys.readouterr().out == (
        f"GPU 0 (GPU-aaaa-1): tiny/default/seed_1 (process {os.getpid()})\nGPU 1 (GPU-bbbb-2): free\n"
    )


def test_dozens_of_jobs_some_of_them_killed(tmp_path):
    """No GPU is overbooked, no lease is lost, no deadlock; on one GPU, first come first served."""
    log = tmp_path / "log"
    plans = [("shared", "0,1,2", 1 + n % 2, 1 + n % 2) for n in range(24)] + [("single", "9", 1, 1)] * 12
    jobs: list[tuple[str, subprocess.Popen]] = []
    for number, (kind, devices, count, jobs_per_gpu) in enumerate(plans):
        who = f"{kind}{number}"
        jobs.append((who, start(log, who, devices, count, jobs_per_gpu, seconds=0.05 + 0.02 * (number % 5))))
    doomed = [(who, process) for number, (who, process) in enumerate(jobs) if number % 4 == 0]
    killed = {}
    for who, process in doomed:
        time.sleep(0.15)
        killed[who] = time.monotonic_ns()
        process.kill()
    for who, process in jobs:
        code = process.wait(timeout=120)
        assert code == 0 or (who in killed and code == -signal.SIGKILL), who

    share = {f"{kind}{n}": Fraction(1, jobs_per_gpu) for n, (kind, _, _, jobs_per_gpu) in enumerate(plans)}
    granted = {
        who: (int(at), devices.split(","), int(serial))
        for _, who, at, devices, serial in (event for event in events(log) if event[0] == "has")
    }
    ended = killed | {who: int(at) for event, who, at, *_ in events(log) if event == "ends"}
    # A killed job held its GPU at least until the signal was sent.
    changes = []
    for who, (begin, devices, _) in granted.items():
        for device in devices:
            changes += [(begin, share[who], device), (max(begin, ended[who]), -share[who], device)]
    load: dict[str, Fraction] = {}
    for _, change, device in sorted(changes):
        load[device] = load.get(device, Fraction(0)) + change
        assert load[device] <= 1, f"GPU {device} was leased twice"
    survivors = {who for who, _ in jobs} - killed.keys()
    assert survivors <= granted.keys(), "a job was lost"
    order = [(serial, at) for who, (at, _, serial) in granted.items() if who.startswith("single")]
    assert len(order) >= 9
    assert sorted(order) == sorted(order, key=lambda pair: pair[1]), "a job overtook another"
    assert (
        claims() == [] and json.dumps(sorted(path.name for path in (tmp_path / "locks/gpus").iterdir())) == '["lock"]'
    )
