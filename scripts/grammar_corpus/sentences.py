"""Random sentences."""

from dataclasses import replace
from random import Random

from grammar_corpus import lexicon
from grammar_corpus.clauses import FRAMES, clause, clause_before, infinitive, is_late, with_relatives
from grammar_corpus.drawing import chance, weighted
from grammar_corpus.entries import word_pairs
from grammar_corpus.trees import Adverb, Clause, Infinitive, Sentence, Subordinate, Tense

KINDS = {"statement": 46, "question": 10, "circumstance": 22, "complement": 12, "infinitive": 10}
CONCRETE = tuple(frame for frame in FRAMES if frame not in ("copula", "weather"))
ASKED = {"where": ("intransitive", "transitive", "dative"), "when": CONCRETE, "why": CONCRETE, "": tuple(FRAMES)}
"""The clauses in which a question makes sense."""
BEFORE_THE_EVENT = ("if", "as soon as", "before")
"""Conjunctions whose clause is in the present even if the main clause is in the future."""


def sentence(random: Random) -> Sentence:
    match weighted(random, KINDS):
        case "statement":
            return _statement(random)
        case "question":
            return _question(random)
        case "circumstance":
            return _circumstance(random)
        case "complement":
            return _complement(random)
    return _infinitive(random)


def _statement(random: Random) -> Sentence:
    tree = _fronted(random, clause(random))
    return replace(tree, clause=with_relatives(random, tree.clause))


def _fronted(random: Random, tree: Clause) -> Sentence:
    """Move the time or the place before the subject in some sentences."""
    if is_late(tree.adverb) and chance(random, 0.5):
        return Sentence(clause=replace(tree, adverb=None), front=tree.adverb)
    if tree.place and chance(random, 0.3):
        return Sentence(clause=replace(tree, place=None), front=tree.place)
    return Sentence(clause=tree)


def _question(random: Random) -> Sentence:
    """Draw a question: yes or no, where, when, or why."""
    english, german = random.choice(word_pairs(lexicon.QUESTIONS))
    tree = clause(random, ASKED[english], negatable=False)
    if english == "where":
        tree = replace(tree, place=None)
    if english == "when":
        tree = replace(tree, adverb=None)
    return Sentence(clause=tree, question=Adverb(english=english, german=german))


def _circumstance(random: Random) -> Sentence:
    """Draw a clause and a subordinate clause about its circumstances, in either order."""
    english, german = random.choice(word_pairs(lexicon.CONJUNCTIONS))
    outer, inner = _tenses(random, english)
    event = clause(random, tense=inner, lasting=False, negatable=english not in BEFORE_THE_EVENT)
    subordinate = Subordinate(english=english, german=german, clause=event)
    if chance(random, 0.4):
        return Sentence(clause=clause(random, tense=outer, lasting=False), front=subordinate)
    return Sentence(clause=clause(random, tense=outer, lasting=False), after=subordinate)


def _tenses(random: Random, conjunction: str) -> tuple[Tense, Tense]:
    if conjunction in BEFORE_THE_EVENT:
        return random.choice(("present", "future")), "present"
    tense: Tense = random.choice(("present", "past"))
    return tense, tense


def _complement(random: Random) -> Sentence:
    """Draw a sentence such as: ... says that ..., or: ... asks whether ..."""
    asks = chance(random, 0.2)
    english, german = ("whether", "ob") if asks else ("that", "dass")
    outer = clause_before(random, lexicon.DOUBT if asks else lexicon.STATEMENT)
    return replace(_early(outer), after=Subordinate(english=english, german=german, clause=clause(random)))


def _infinitive(random: Random) -> Sentence:
    """Draw a sentence such as: ... tries to ..., or: ... goes somewhere in order to ..."""
    purpose = chance(random, 0.5)
    outer = clause(random, ("motion",), negatable=False) if purpose else clause_before(random, lexicon.ATTEMPT)
    return replace(_early(outer), after=Infinitive(purpose=purpose, clause=infinitive(random)))


def _early(tree: Clause) -> Sentence:
    """Put the adverb before the subject, where it cannot be read as part of the following clause."""
    if is_late(tree.adverb):
        return Sentence(clause=replace(tree, adverb=None), front=tree.adverb)
    return Sentence(clause=tree)
