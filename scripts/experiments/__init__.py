"""Experiments that train or score models: scripts/ablate, scripts/sweep, scripts/closest and scripts/score-forms."""
