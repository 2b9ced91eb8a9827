"""Modules that use the operating system and the hardware, and that are independent of translation."""
