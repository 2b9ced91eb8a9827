"""Functions that read the tables of nouns.py and lexicon.py."""

from functools import cache
from typing import Any

from grammar_corpus import lexicon
from grammar_corpus import nouns as tables
from grammar_corpus.trees import Adjective, Adverb, Determiner, Noun, Verb

GENDERS: dict[str, Any] = {"der": "masculine", "die": "feminine", "das": "neuter"}


@cache
def nouns() -> dict[str, tuple[Noun, ...]]:
    """Return the nouns by kind."""
    return {kind: tuple(_noun(kind, *row) for row in _rows(table)) for kind, table in tables.NOUNS.items()}


@cache
def adjectives() -> tuple[Adjective, ...]:
    return tuple(_adjective(*row) for row in _rows(tables.ADJECTIVES))


@cache
def determiners() -> dict[str, Determiner]:
    """Return the determiners by their English singular. The key is an empty string for a noun without a determiner."""
    listed = [_determiner(*row) for row in _rows(lexicon.DETERMINERS)]
    return {determiner.english.split("/")[0]: determiner for determiner in listed}


@cache
def verbs(table: str) -> tuple[Verb, ...]:
    return tuple(_verb(*row) for row in _rows(table))


@cache
def adverbs(table: str, before_verb: bool = False) -> tuple[Adverb, ...]:
    return tuple(
        Adverb(english=english, german=german, tenses=tuple(rest.split()), before_verb=before_verb)
        for english, german, rest in _rows(table)
    )


@cache
def word_pairs(table: str) -> tuple[tuple[str, str], ...]:
    """Return pairs of an English and a German word. `-` in the table means an empty string."""
    return tuple((english.removeprefix("-"), german.removeprefix("-")) for english, german in _rows(table))


@cache
def prepositions(table: str) -> dict[str, tuple[str, str]]:
    """Return the English and the German preposition by the English name of the place."""
    return {place: (english, german) for english, german, places in _rows(table) for place in places.split()}


def _rows(table: str) -> list[list[str]]:
    return [[cell.strip() for cell in line.split("|")] for line in table.strip().splitlines()]


def _noun(kind: str, english: str, german: str) -> Noun:
    singular, _, plural = english.partition("/")
    article, nominative, *endings = german.split()
    genitive, german_plural = (nominative + e.removeprefix("-") if e.startswith("-") else e for e in endings)
    return Noun(
        english=singular,
        english_plural=plural or add_s(singular),
        gender=GENDERS[article],
        german=nominative,
        genitive=genitive,
        german_plural=None if german_plural == "0" else german_plural,
        kind=kind,
    )


def add_s(word: str) -> str:
    """Return the English plural of a noun or third person of a verb: boys, cities, washes, goes."""
    if word.endswith("y") and word[-2] not in "aeiou":
        return word[:-1] + "ies"
    return word + ("es" if word.endswith(("s", "sh", "ch", "x", "o")) else "s")


def _adjective(english: str, german: str, kinds: str) -> Adjective:
    base, _, stem = german.partition("/")
    return Adjective(english=english, german=base, stem=stem or base, kinds=tuple(kinds.split()))


def _determiner(english: str, german: str, rest: str) -> Determiner:
    declension, adjectives_after = rest.split()
    return Determiner(
        english=english.removeprefix("-"),
        german=german.removeprefix("-"),
        declension=declension,  # type: ignore[arg-type]
        adjectives=adjectives_after,  # type: ignore[arg-type]
    )


def _verb(english: str, german: str, subjects: str, objects: str = "") -> Verb:
    base, past = (form.replace("_", " ") for form in english.split())
    infinitive, third, *perfect = german.split()
    prefix, _, bare = infinitive.rpartition("-")
    return Verb(
        english=base,
        english_past=None if past == "-" else past,
        german=bare,
        third=third,
        participle=perfect[-1],
        prefix=prefix,
        with_sein=perfect[0] == "ist",
        subjects=tuple(subjects.split()),
        objects=tuple(objects.split()),
    )
