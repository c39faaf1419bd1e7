"""PYTHONPATH: processes that this package starts import the package from here, and strangers do not."""

import os

from manyseeds.core.layout import PACKAGE


def with_package() -> str:
    """Return PYTHONPATH with the path of this package first."""
    return os.pathsep.join([str(PACKAGE.parent), *filter(None, [os.environ.get("PYTHONPATH")])])


def without_package() -> str:
    """Return the user's own PYTHONPATH: without the path of this package, which the workflow puts first."""
    own = str(PACKAGE.parent)
    return os.pathsep.join(part for part in os.environ.get("PYTHONPATH", "").split(os.pathsep) if part not in ("", own))
