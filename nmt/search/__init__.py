"""Search: scorers, filters, the beam and the one decoding loop."""
