"""Names and places of files, each in one place."""

from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[3]
"""The checkout that this package is imported from; without meaning for an installed wheel."""
PACKAGE = Path(__file__).resolve().parents[1]
"""The installed package."""
