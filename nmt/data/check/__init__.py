"""Checks that find faults in training, validation and held-out text, and a model that identifies languages."""
