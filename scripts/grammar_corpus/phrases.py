"""Random noun phrases, places and directions."""

from collections.abc import Sequence
from random import Random

from grammar_corpus import lexicon
from grammar_corpus import nouns as tables
from grammar_corpus.drawing import chance, weighted
from grammar_corpus.entries import adjectives, determiners, nouns, prepositions
from grammar_corpus.trees import Adjective, Case, Determiner, NounPhrase, Phrase, Prepositional, Subject

SINGULAR = {
    "the": 40,
    "a": 24,
    "this": 8,
    "every": 4,
    "no": 3,
    "my": 4,
    "his": 4,
    "her": 4,
    "our": 3,
    "their": 3,
    "'s": 3,
}
PLURAL = {
    "the": 36,
    "this": 6,
    "all": 6,
    "many": 8,
    "two": 6,
    "three": 4,
    "five": 3,
    "no": 3,
    "": 14,
    "my": 4,
    "her": 4,
    "'s": 3,
}
MASS = {"the": 40, "": 32, "this": 8, "no": 6, "my": 3, "his": 3, "our": 3, "their": 3, "'s": 2}
POSSESSIVE = ("my", "his", "her", "our", "their", "'s")
DEFINITE = ("the", "this", *POSSESSIVE)
NEGATIVE = ("no",)
AMBIGUOUS_AFTER_PRONOUN = ("", "all", "many", "two", "three", "five")
"""`gives her books` could give books to her, or give away hers; `gives them all books` could give them to them all."""

OWNERS_OF = ("person", "animal", "text", "thing", "garment", "vehicle", "room")


def subject(
    random: Random, kinds: Sequence[str], definite: bool = False, other_than: Adjective | None = None
) -> Phrase:
    """Draw a subject: a noun of these kinds, or a pronoun or a name for persons.

    `definite` excludes phrases that sound odd with `not`.
    """
    if "person" in kinds and chance(random, 0.35):
        return random.choice(lexicon.PRONOUNS) if chance(random, 0.65) else random.choice(lexicon.NAMES)
    return noun_phrase(random, kinds, without=NEGATIVE, definite=definite, other_than=other_than)


def other(random: Random, kinds: Sequence[str], subject: Subject, definite: bool = False) -> Phrase:
    """Draw an object that differs from the subject. The grammar has no reflexive pronouns."""
    if "person" in kinds and chance(random, 0.25):
        pronouns = [pronoun for pronoun in lexicon.PRONOUNS if not (pronoun.first_person and is_first_person(subject))]
        names = [name for name in lexicon.NAMES if name != subject]
        return random.choice(pronouns) if chance(random, 0.6) else random.choice(names)
    return noun_phrase(random, kinds, definite=definite)


def noun_phrase(
    random: Random,
    kinds: Sequence[str],
    *,
    without: Sequence[str] = (),
    definite: bool = False,
    other_than: Adjective | None = None,
) -> NounPhrase:
    """Draw a phrase with a noun of these kinds. It has none of the determiners in `without`."""
    noun = random.choice([noun for kind in kinds for noun in nouns()[kind]])
    plural = noun.german_plural is not None and chance(random, 0.28)
    weights = PLURAL if plural else MASS if noun.german_plural is None else SINGULAR
    without = (*without, *POSSESSIVE) if noun.kind == "place" else without
    allowed = {
        key: weight for key, weight in weights.items() if key not in without and (key in DEFINITE or not definite)
    }
    key = weighted(random, allowed)
    fitting = [adjective for adjective in adjectives() if noun.kind in adjective.kinds and adjective != other_than]
    adjective = random.choice(fitting) if chance(random, 0.35) else None
    owner = _owner(random) if key == "the" and noun.kind in OWNERS_OF and chance(random, 0.12) else None
    return NounPhrase(determiner=_determiner(random, key), noun=noun, plural=plural, adjective=adjective, owner=owner)


def _determiner(random: Random, key: str) -> Determiner:
    if key != "'s":
        return determiners()[key]
    name = random.choice(lexicon.NAMES).text
    return Determiner(english=f"{name}'s", german=f"{name}s", declension="none", adjectives="strong")


def _owner(random: Random) -> NounPhrase:
    noun = random.choice(nouns()["person"])
    adjective = random.choice([a for a in adjectives() if "person" in a.kinds]) if chance(random, 0.3) else None
    key = random.choice(("the", "this", "my", "our"))
    return NounPhrase(determiner=determiners()[key], noun=noun, plural=chance(random, 0.25), adjective=adjective)


def place(random: Random) -> Prepositional:
    """Draw a place: in the garden, im Garten."""
    phrase, words = _at_a_place(random, tables.LOCATIONS)
    return Prepositional(english=words[0], german=words[1], case="dative", phrase=phrase)


def direction(random: Random) -> Prepositional:
    """Draw a direction: into the garden, in den Garten; to the station, zum Bahnhof."""
    phrase, words = _at_a_place(random, tables.DIRECTIONS)
    case: Case = "dative" if words[1] == "zu" else "accusative"
    return Prepositional(english=words[0], german=words[1], case=case, phrase=phrase)


def _at_a_place(random: Random, table: str) -> tuple[NounPhrase, tuple[str, str]]:
    phrase = noun_phrase(random, ("place", "room"), without=("no", "every", "all", "many", ""))
    return phrase, prepositions(table)[phrase.noun.english]


def companion(random: Random, subject: Subject) -> Prepositional:
    """Draw a companion: with (mit and the dative) or without (ohne and the accusative) somebody."""
    phrase = other(random, ("person", "animal"), subject, definite=True)
    if chance(random, 0.7):
        return Prepositional(english="with", german="mit", case="dative", phrase=phrase)
    return Prepositional(english="without", german="ohne", case="accusative", phrase=phrase)


def is_first_person(phrase: Subject) -> bool:
    return phrase in (lexicon.I, lexicon.WE)


def says_no(phrase: object) -> bool:
    return isinstance(phrase, NounPhrase) and phrase.determiner.english in NEGATIVE


def is_animate(phrase: object) -> bool:
    """Return whether the phrase can have a companion."""
    return not isinstance(phrase, NounPhrase) or phrase.noun.kind in ("person", "animal")
