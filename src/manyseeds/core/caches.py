"""The folder for compiled code, which later processes reuse."""

import os
from pathlib import Path


def user_cache() -> Path | None:
    """Return this user's cache folder, `~/.cache` unless XDG_CACHE_HOME names another; None if it cannot be written."""
    folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        return None
    return folder if os.access(folder, os.W_OK) else None
