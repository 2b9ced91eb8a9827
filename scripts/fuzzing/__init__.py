"""A fuzzer: it gives nmt damaged and hostile inputs in child processes, and judges how each process ends."""
