"""Training: the training loop, objectives, optimizers, learning rates, validation, logs and checkpoints."""
