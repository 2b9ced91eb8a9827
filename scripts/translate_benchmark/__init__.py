"""What scripts/bench-translate measures with."""
