"""The commands. A command parses its arguments, calls the library and prints the result."""
