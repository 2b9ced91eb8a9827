"""Figures about the code."""
