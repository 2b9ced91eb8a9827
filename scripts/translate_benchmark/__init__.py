"""The benchmark of translation on a CPU, scripts/bench-translate."""
