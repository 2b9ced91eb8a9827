"""Metrics of the quality of translations, and tests of the significance of their scores."""
