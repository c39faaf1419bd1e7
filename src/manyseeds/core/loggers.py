"""The experiment trackers that scalars can be sent to, so that one can be chosen without importing it."""

LOGGERS = {"wandb": "Weights & Biases", "mlflow": "MLflow"}
"""Their titles by the names of their packages, which `train.logger` has."""
