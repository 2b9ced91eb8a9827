"""What scripts/sweep and scripts/ablate share."""
