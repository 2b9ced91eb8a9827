"""Parallel corpora: reading, cleaning, storing, mixing and batching."""
