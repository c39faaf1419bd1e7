"""Success-rate tables of an experiment, from the evaluation episodes of its runs.

The seed is the unit: episodes are never pooled over seeds, and the last checkpoint is reported, never the best.
"""
