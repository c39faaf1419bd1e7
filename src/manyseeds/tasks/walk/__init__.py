"""walk: a quadruped follows velocity commands on flat ground."""
