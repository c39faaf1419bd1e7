"""RSL-RL's PPO with exact resume: agent files, the update, the iteration, several threads and processes."""

import sys


def _import_rsl_rl() -> None:
    """Import RSL-RL's helpers without Weights & Biases.

    RSL-RL imports it where it is installed, which takes 1.5 s of every process, for a writer that nothing here uses.
    """
    if "wandb" in sys.modules or "rsl_rl.utils" in sys.modules:
        return
    sys.modules["wandb"] = None  # type: ignore[assignment] # an import of it raises ModuleNotFoundError
    try:
        import rsl_rl.utils  # noqa: F401
    finally:
        del sys.modules["wandb"]


_import_rsl_rl()
