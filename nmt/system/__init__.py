"""The machine: files, signals, processes, devices. Nothing here knows of translation."""
