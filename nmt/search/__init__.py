"""The search for translations: the decoding loop, beam search, sampling, constraints, rerankers and scorers."""
