"""See a divergence again: start from the state before it and compute the same iterations."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from manyseeds.core.arguments import at_least, verb_parser
from manyseeds.core.errors import UserError
from manyseeds.learning import foreign


def replay(path: Path, threads: int = 0) -> bool:
    """Compute again what a run did before something was not finite; print what was found.

    Args:
        path: a dump, diverged_<iteration>.pt.
        threads: CPU threads, which do not change the results; 0 means all.

    Returns:
        Whether the same value of the same environment was not finite in the same iteration.

    Raises:
        UserError: when the file is damaged or no dump.
    """
    from manyseeds.learning.runner import DivergedError, Runner
    from manyseeds.runs.state import read_sealed
    from manyseeds.simulators import make_env

    content = read_sealed(path)
    if "failure" not in content:
        raise UserError(f"{path} is a state to continue from, not the dump of a divergence.")
    config, failure, agent = _contents(content, path)
    threads = threads or len(os.sched_getaffinity(0))
    env = make_env(
        config["simulator"],
        config["task"],
        num_envs=config["num_envs"],
        seed=config["seed"],
        device=config["device"],
        threads=threads,
        task_cfg=config["task_cfg"],
    )
    try:
        runner = Runner(env, agent, seed=config["seed"], device=config["device"], threads=threads)
        try:
            runner.load_state_dict(content["runner"])
        except (KeyError, TypeError, AttributeError, ValueError, RuntimeError) as error:
            raise UserError(f"{path}: its state does not fit its agent and task: {error!r:.200}.") from error
        print(f"Replaying from iteration {runner.iteration + 1} to {failure['iteration']}.", flush=True)
        try:
            while runner.iteration < failure["iteration"]:
                runner.iterate()
        except DivergedError as error:
            print(f"{error}.")
            _show(env.state_dict(), env.num_envs, error.env_index)
            found = {"iteration": error.iteration, "term": error.term, "env_index": error.env_index}
            return all(failure[key] == value for key, value in found.items())
        print("Everything is finite this time.")
        return False
    finally:
        env.close()


def _contents(content: dict[str, Any], path: Path) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
    """Return the configuration, the failure and the checked agent of a dump, which may be anybody's."""
    from manyseeds.learning.agent import resolve_agent

    config, failure = content.get("config"), content.get("failure")
    for part, keys in ((config, _CONFIG), (failure, _FAILURE), (content, {"runner": dict})):
        for key, kind in keys.items():
            if not isinstance(part, dict) or not isinstance(part.get(key), kind):
                raise UserError(f"{path} is no whole dump of a divergence: {key} is missing or of another type.")
    assert config is not None and failure is not None
    foreign.check(config["agent"], config["task"], str(path))
    return config, failure, resolve_agent(config["agent"], f"{path}: agent")


_CONFIG = {
    "simulator": str, "task": str, "num_envs": int, "seed": int, "device": str, "task_cfg": dict, "agent": dict
}  # fmt: skip
_FAILURE = {"iteration": int, "term": str}


def _show(state: dict[str, Any], num_envs: int, index: int | None) -> None:
    """Print what an environment's state holds."""
    for name, value in state.items() if index is not None else ():
        if getattr(value, "shape", ())[:1] == (num_envs,):
            print(f"  {name}: {value[index].tolist()}")


def main(argv: Sequence[str] | None = None) -> int:
    """Replay; return 0 when the same happened again, 1 when not."""
    parser = verb_parser("replay", __doc__, "results/lift_object/default/seed_1/diverged_118.pt")
    parser.add_argument("dump", type=Path, help="diverged_<iteration>.pt in the run's folder")
    parser.add_argument("--threads", type=at_least(0), default=0, help="CPU threads; 0: all")
    foreign.add_flag(parser)
    args = parser.parse_args(argv)
    foreign.allow(args.allow_code)
    return 0 if replay(args.dump, args.threads) else 1
