"""Checks of agent and task values that need the trainer's own packages."""

import importlib.util

from manyseeds.config.experiment import Experiment
from manyseeds.errors import UserError


def check_content(experiment: Experiment, source: str) -> None:
    """Check the agent and task values of every variant by the code that will use them.

    In the analysis environment, which has no trainer, nothing can be trained and nothing is checked.

    Args:
        experiment: the resolved experiment.
        source: the config file's name, for the error messages.

    Raises:
        UserError: with one sentence for each variant whose values are not allowed.
    """
    if importlib.util.find_spec("rsl_rl") is None:
        return
    # Imported here because it takes seconds, and what reads a config file should be quick.
    from manyseeds.task.lift_object import LiftObjectCfg
    from manyseeds.training.agent import resolve_agent

    problems = []
    for variant in experiment.variants:
        where = f"{source}: variant {variant.name}: "
        try:
            resolve_agent(variant.agent, f"{where}agent {variant.agent_file}")
            LiftObjectCfg.from_dict(variant.task_cfg, f"{where}task overrides")
        except UserError as error:
            problems.append(str(error))
    if problems:
        raise UserError("\n".join(dict.fromkeys(problems)))
