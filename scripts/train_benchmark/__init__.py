"""What scripts/bench-train measures with."""
