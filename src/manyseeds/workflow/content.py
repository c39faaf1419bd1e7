"""Checks of agent and task values that need the trainer's own packages."""

import importlib.util
import json
import os
import subprocess
import sys

from manyseeds.config.experiment import Experiment, from_dict
from manyseeds.core.errors import UserError
from manyseeds.core.layout import REPOSITORY


def check_content(experiment: Experiment, source: str) -> None:
    """Check the agent and task values of every variant by the code that will use them.

    In the analysis environment, which has no trainer, nothing can be trained and nothing is checked; what another
    trainer allows is not known.

    Args:
        experiment: the resolved experiment.
        source: the config file's name, for the error messages.

    Raises:
        UserError: with one sentence for each variant whose values are not allowed.
    """
    if experiment.foreign or importlib.util.find_spec("rsl_rl") is None:
        return
    # Imported here because it takes seconds, and what reads a config file should be quick.
    from manyseeds.learning.agent import resolve_agent
    from manyseeds.tasks import registry
    from manyseeds.tasks.base import configure

    problems = []
    for variant in experiment.variants:
        where = f"{source}: variant {variant.name}: "
        try:
            resolve_agent(variant.agent, f"{where}agent {variant.agent_file}")
            configure(registry.load(experiment.task), variant.task_cfg, f"{where}task overrides")
        except UserError as error:
            problems.append(str(error))
    if problems:
        raise UserError("\n".join(dict.fromkeys(problems)))


def check_content_apart(experiment: Experiment, source: str) -> None:
    """Do `check_content` in a process of its own, unless the trainer's packages are loaded here anyway.

    They take 300 MB, which whoever goes on to plan thousands of jobs need not hold.
    """
    if "rsl_rl" in sys.modules or importlib.util.find_spec("rsl_rl") is None:
        return check_content(experiment, source)
    path = os.pathsep.join([str(REPOSITORY / "src"), *filter(None, [os.environ.get("PYTHONPATH")])])
    checked = subprocess.run(
        [sys.executable, "-m", "manyseeds.workflow.content", source],
        input=experiment.to_json(),
        env=os.environ | {"PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=False,
    )
    if checked.returncode == 2:
        raise UserError(checked.stdout.rstrip("\n"))
    if checked.returncode:
        raise RuntimeError(f"the check of {source} failed:\n{checked.stderr}")


def _main() -> int:
    """Check the resolved experiment on standard input; print what is wrong and return 2 where something is."""
    try:
        check_content(from_dict(json.load(sys.stdin)), sys.argv[1])
    except UserError as error:
        print(error)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(_main())
