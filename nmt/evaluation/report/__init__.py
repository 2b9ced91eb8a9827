"""Modules that compute and write an HTML page with figures and plots, the report of `nmt-evaluate --report`."""
