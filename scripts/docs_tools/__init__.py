"""Documents that are generated from the source."""
