"""Parts of published architectures that the recipes do not use. Each file names the paper and gives the equation.

Only nmt/model/parts.py and nmt/model/seq2seq.py import these parts. The configuration determines which parts are used.
"""
