"""Tiny training runs on the real simulator, for tests."""

import copy
import json
import multiprocessing
import os

from helpers.verbs import verb

main = verb("train")


AGENT = {
    "num_steps_per_env": 24,
    "algorithm": {"num_learning_epochs": 2, "num_mini_batches": 2, "learning_rate": 0.001},
    "policy": {
        "actor_hidden_dims": [32, 32],
        "critic_hidden_dims": [32, 32],
        "actor_obs_normalization": True,
        "critic_obs_normalization": True,
    },
}
OPTIONS = {"num_envs": 8, "max_iterations": 6, "save_interval": 2, "state_interval": 2, "threads": 1, "seed": 3}


def agent(**algorithm):
    """The tiny agent with other algorithm values."""
    changed = copy.deepcopy(AGENT)
    changed["algorithm"] |= algorithm
    return changed


def arguments(folder, agent=AGENT, flags=(), task_cfg=None, task="lift_object", **options):
    """Write what the training command reads, and return its arguments."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    path = folder.with_name(f"{folder.name}_agent.json")
    path.write_text(json.dumps(agent))
    options = OPTIONS | {"log_dir": folder, "agent_cfg_path": path} | options
    if task_cfg:
        options["task_cfg_path"] = folder.with_name(f"{folder.name}_task.json")
        options["task_cfg_path"].write_text(json.dumps(task_cfg))
    named = [part for name, value in options.items() for part in (f"--{name}", str(value))]
    return [*named, *flags, "--headless", str(task)]


def train(folder, *positional, **options):
    """Run the training command in this process, with the parameters of `arguments`; return its exit code."""
    return main(arguments(folder, *positional, **options))


def start_elsewhere(folder, agent=AGENT, user=None, **options):
    """Start the training command in a process of its own, as another user if one is given."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["manyseeds.runs.train", "manyseeds.simulators.mujoco"])
    process = context.Process(target=_exit_with, args=(folder, agent, user, options, dict(os.environ)))
    process.start()
    return process


def _exit_with(folder, agent, user, options, environment):
    os.environ.clear()  # the server that forks it has the environment of an earlier test
    os.environ.update(environment)
    if user is not None:
        # The files that the command reads are written before.
        path = folder.with_name(f"{folder.name}_agent.json")
        path.touch()
        path.chmod(0o666)
        os.setuid(user)
    raise SystemExit(train(folder, agent, **options))
