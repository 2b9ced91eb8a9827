"""Modules that compute and write the report of `nmt-evaluate --report`, an HTML page with figures and plots."""
