"""Figures of an experiment, drawn from its CSV files alone."""
