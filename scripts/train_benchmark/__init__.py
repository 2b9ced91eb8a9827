"""The benchmark of training, scripts/bench-train."""
