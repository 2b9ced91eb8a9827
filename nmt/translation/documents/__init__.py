"""Documents: files whose texts are translated while everything else stays as it is.

file -> document (`formats.py` chooses a reader by the ending) -> texts with tags and objects -> translations -> file

Each file in this folder reads and writes one family of formats.
"""
