"""Parts of published architectures that the recipes do not need: one file each, with its paper and its equation.

The core knows them by one line in a table (nmt/model/parts.py, nmt/model/seq2seq.py).
"""
