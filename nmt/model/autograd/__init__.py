"""Functions with gradients written by hand."""
