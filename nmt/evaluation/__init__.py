"""Scores of a model or a text against references."""
