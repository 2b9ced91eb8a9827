"""The configuration: its keys, how it is read, and the rules between keys."""
