"""Play a policy: a simulation that knows no screen, and what shows it in a browser or a window."""
