"""Checks of corpora: faults of training, validation and held-out text, and the languages of lines."""
