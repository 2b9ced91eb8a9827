"""Search for the best translations: the decoding loop, beam search, sampling, constraints and scorers."""
