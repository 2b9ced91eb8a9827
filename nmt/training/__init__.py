"""Training: optimiser, schedule, moving average, log and the loop."""
