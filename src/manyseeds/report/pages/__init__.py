"""One self-contained page of an experiment's curves, to explore in a browser without a network."""
