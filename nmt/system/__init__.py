"""Modules that use the operating system and the hardware. They contain nothing that is specific to translation."""
