"""A synchronous grammar of English and German: one tree, two sentences.

    nouns.py, lexicon.py                   the words, in tables; entries.py reads them
    trees.py                               what a sentence says, in neither language
    english.py, german.py                  tree -> words
    phrases.py, clauses.py, sentences.py   random trees
    corpus.py                              random pairs of sentences

Every English sentence of the grammar has exactly one German translation. The corpus is made for learning: small enough
for two minutes on a laptop, yet word by word it cannot be translated, for German puts its verbs elsewhere and inflects
its nouns by case.
"""
