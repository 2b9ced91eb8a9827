"""Damaged and hostile inputs, given to nmt in child processes, whose ends are judged."""
