"""The command lines: each parses, calls one library function and prints."""
