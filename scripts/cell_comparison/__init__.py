"""What scripts/compare-cells compares with."""
