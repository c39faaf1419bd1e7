"""Reproducible training of robot policies over many random seeds."""

__version__ = "1.0.0"
