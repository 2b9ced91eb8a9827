"""Modules that read, clean, store, mix and batch parallel corpora."""
