"""The comparison of recurrent cells, scripts/compare-cells."""
