"""The configuration: its keys, functions that read it, and rules that concern several keys."""
