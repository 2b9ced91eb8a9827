"""A synchronous grammar of English and German. A tree has one English and one German sentence.

    nouns.py, lexicon.py                   the words, in tables; entries.py reads them
    trees.py                               the meaning of a sentence, independent of the language
    english.py, german.py                  the words of a tree
    words.py                               words that know what they express, and their alignment
    phrases.py, clauses.py, sentences.py   random trees
    corpus.py                              random pairs of sentences

Every English sentence of the grammar has exactly one German translation. A small network learns the corpus in two
minutes on a laptop. A word-by-word translation would be wrong, because German puts its verbs in other places and
inflects its nouns by case.
"""
