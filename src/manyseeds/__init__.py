"""Reproducible training of robot policies over many random seeds."""

__version__ = "0.1.0"
