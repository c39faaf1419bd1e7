"""What starts runs: ours or any program that writes RSL-RL's `model_*.pt` and TensorBoard event files.

`run` trains one run and leaves its record, `external` starts another trainer and finds what it left, `evaluate` starts
that trainer's own evaluation, `status` shows runs while they go. What a trainer is says `config.external`; the shipped
definitions are in `trainers/` of the repository; docs/trainers.md.
"""
