"""Any task as a manager-based Isaac Lab environment.

parts      which bodies of the task's MJCF become which assets
actuators  what the MJCF's motors and servos do with controls
assets     these as USD files
physics    Newton's solver, set as the MJCF says
frames     the scene's coordinates in the MJCF's order and back
mdp        the managers' terms, which call the task's functions
env_cfg    the configuration, built from the task
tasks      registers the tasks with Gymnasium, for Isaac Lab's own commands
env        what manyseeds trains and evaluates
"""
