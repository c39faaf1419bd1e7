"""What the runs of an experiment say, over its seeds: results folders, rates, comparisons, curves."""
