"""Scalars of runs to experiment trackers: Weights & Biases and MLflow.

The event file is what holds a run's scalars. A process of its own sends them from there: while a run trains (`follow`)
or later (`manyseeds sync`, `command`). It asks the tracker which iteration it has last and sends those after it, so no
iteration is sent twice or left out, whatever was killed when. Nothing that happens in it reaches the training.

The modules: `rows` (from event files), `run` (what trackers call a run), `account` (loggers.json), `wandb_logger` and
`mlflow_logger`, `feed` (one tracker, kept up to date), `follow`, `command`.
"""
