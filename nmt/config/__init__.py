"""The configuration: its keys, functions that read a configuration, and rules about several keys."""
