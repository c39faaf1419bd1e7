"""lift_object as a manager-based Isaac Lab environment.

assets     the task's MJCF as USD files
physics    Newton's solver, set as the MJCF says
frames     the scene's coordinates in the task's frame and back
mdp        the managers' terms, which call the functions of `task`
env_cfg    the configuration, built from `LiftObjectCfg`
tasks      registers it with Gymnasium, for Isaac Lab's own commands
env        what manyseeds trains and evaluates
"""
