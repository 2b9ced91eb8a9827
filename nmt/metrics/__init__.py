"""Metrics that score translations, and tests of whether a difference between two scores is significant."""
