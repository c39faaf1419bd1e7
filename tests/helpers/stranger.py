"""A real external trainer: this package's own training command, called as a stranger's."""

import shlex
import sys

SMALL = {
    "num_steps_per_env": 4,
    "algorithm": {"num_learning_epochs": 1, "num_mini_batches": 1},
    "policy": {"actor_hidden_dims": [8], "critic_hidden_dims": [8]},
}
STRANGER = {
    "name": "stranger",
    "command": f"{shlex.quote(sys.executable)} -m manyseeds train --num_envs {{num_envs}} --seed {{seed}} "
    "--max_iterations {max_iterations} --save_interval {save_interval} --device {device} --threads 1 "
    "--log_dir logs/rsl_rl/mine/now {agent_file} {task}",
    "words": {"agent_file": "--agent_cfg_path {agent_file}"},
    "logs": "logs/rsl_rl/*/*",
    "first_iteration": 1,
    "steps_per_env": 4,
    "scalars": {"success": "Metrics/success_rate"},
}
FIELDS = {
    "experiment": "tiny",
    "seeds": [1, 2],
    "task": "lift_object",
    "trainer": STRANGER,
    "train": {"num_envs": 4, "max_iterations": 3, "save_interval": 2},
}


def with_trainer(**changes: object) -> dict:
    """The experiment with another definition of the trainer."""
    return FIELDS | {"trainer": STRANGER | changes}
