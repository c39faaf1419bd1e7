"""Other trainers than ours: any program that writes RSL-RL's `model_*.pt` and TensorBoard event files.

`definition` says what a trainer is: a command line with placeholders, where it logs, what its scalars mean. `attempt`
starts it and finds what it left. The shipped definitions are in `trainers/` of the repository; docs/trainers.md.
"""
