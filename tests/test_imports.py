"""Importing a module of the package changes nothing outside it."""

import json
import os
import subprocess
import sys

CODE = """
import importlib, json, logging, os, pkgutil, signal, sys, warnings
import google_crc32c, gymnasium, matplotlib, mujoco, numba, numpy, onnx, onnxscript, pandas, pyarrow, rsl_rl.runners
import scipy.stats, tensorboard, tensordict, torch
import manyseeds

torch.set_num_threads(3)
matplotlib.use("svg")  # another than ours


def world():
    return {
        "torch.get_num_threads()": torch.get_num_threads(),
        "torch.get_default_dtype()": str(torch.get_default_dtype()),
        "torch's random state": hash(bytes(torch.get_rng_state().tolist())),
        "numpy's random state": numpy.random.get_state()[1].tobytes(),
        "numpy.geterr()": numpy.geterr(),
        "os.environ": dict(os.environ),
        "os.getcwd()": os.getcwd(),
        "sys.path": list(sys.path),
        "sys.excepthook": str(sys.excepthook),
        "warnings.filters": [str(entry) for entry in warnings.filters],
        "logging.root": (logging.root.level, str(logging.root.handlers)),
        "signal handlers": {str(number): str(signal.getsignal(number)) for number in signal.valid_signals()},
        "matplotlib.rcParams": str(dict(matplotlib.rcParams)),
    }


found = []
imported = 0
for module in pkgutil.walk_packages(manyseeds.__path__, "manyseeds."):
    if module.name.endswith("__main__"):
        continue  # a program
    before = world()
    try:
        importlib.import_module(module.name)
        imported += 1
    except ModuleNotFoundError as error:
        # The simulator isaaclab has an environment of its own.
        if error.name.split(".")[0] not in ("isaaclab", "pxr"):
            raise
    after = world()
    found += [(module.name, key, str(before[key]), str(after[key])) for key in before if before[key] != after[key]]
print(json.dumps({"imported": imported, "found": found}))
"""


def test_importing_any_module_changes_nothing_outside_it():
    environment = {name: value for name, value in os.environ.items() if name not in ("DISPLAY", "MUJOCO_GL")}
    done = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert result["found"] == []
    assert result["imported"] > 80


FEW = """
import sys
from manyseeds.cli import main

arguments = "--num_envs 4 --max_iterations 1 --threads 1 --log_dir run reach"
assert main(["train", *arguments.split()]) == 0
assert main("evaluate --run_dir run --episodes 1 --output episodes.csv".split()) == 0
print(sorted({"torch._dynamo", "sympy", "pandas", "matplotlib", "wandb", "onnx"} & sys.modules.keys()))
"""


def test_training_and_evaluation_import_nothing_that_they_do_not_use(tmp_path):
    """Each of these takes up to 1.5 s of every process."""
    done = subprocess.run([sys.executable, "-c", FEW], capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "[]"
