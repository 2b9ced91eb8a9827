"""Training: objectives, optimizers, learning rates, validation, logs, checkpoints and the training loop."""
