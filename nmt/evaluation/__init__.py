"""Evaluation of translations by comparison with human references."""
