"""reach: a Franka arm brings its hand to a commanded pose."""
