"""The letters of tensor shapes, and the ids of the special tokens.

Docstrings and comments give the shapes of tensors with these letters:

    B  sentences in a batch          H  hidden size of a layer
    S  source tokens, padded         E  size of an embedding
    T  target tokens, padded         C  size of a context vector and of the encoder's outputs
    K  hypotheses per sentence       A  size of the queries and keys of attention
    N  rows of a time step, B · K    V  size of the vocabulary
    R  predicted target tokens       W  candidate tokens per sentence
    Q  attention queries per sentence: T in training, K in search
    D  size of any input             F  size of any output, such as all gates of a cell
    …  any leading dimensions

A mask is True at tokens and False at padding. The values of other tensors at padding are undefined.
"""

PAD, UNK, BOS, EOS = 0, 1, 2, 3
SPECIAL_TOKENS = ("<pad>", "<unk>", "<s>", "</s>")

TERM_TAGS = ("⟨term⟩", "⟨as⟩", "⟨end⟩")
"""The tokens before, between and after the words of a term and its translation (nmt/tokenizers/inline.py)."""
PLACEHOLDERS = tuple(map(chr, range(0x10F6A0, 0x10F6A8)))
"""The tokens that represent things such as URLs. These characters are for private use and rare in real text."""
