"""The folder for compiled code, which later processes reuse."""

import os
from pathlib import Path


def user_cache() -> Path | None:
    """Return this user's cache folder, `~/.cache` unless XDG_CACHE_HOME names another.

    Returns:
        None where it cannot be written, or the user has no home.
    """
    try:
        folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
        folder.mkdir(parents=True, exist_ok=True)
    except (OSError, RuntimeError):  # Path.home() raises the second for a user without a name and without HOME
        return None
    return folder if os.access(folder, os.W_OK) else None
