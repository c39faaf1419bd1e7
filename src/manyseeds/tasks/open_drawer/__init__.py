"""open_drawer: a Franka arm grasps the handle of a drawer and opens it."""
