"""Translation of text: the translator, its requests and batches, and its worker processes."""
