"""Metrics of translations, and how certain their scores are."""
