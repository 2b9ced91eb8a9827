"""Translation of text to text: the translator, its requests and batches, and its worker processes."""
