"""Trees: the meaning of sentences, independent of the language. english.py and german.py write them as words."""

from dataclasses import dataclass
from typing import Literal

Case = Literal["nominative", "accusative", "dative", "genitive"]
Tense = Literal["present", "past", "future"]
Role = Literal["subject", "accusative", "dative", "companion"]


@dataclass(frozen=True, kw_only=True)
class Noun:
    english: str
    english_plural: str
    gender: Literal["masculine", "feminine", "neuter"]
    german: str
    genitive: str
    german_plural: str | None
    """None: a mass noun such as water."""
    kind: str
    """Person, animal, food, ...: the kind decides which verbs and adjectives go with the noun."""


@dataclass(frozen=True, kw_only=True)
class Adjective:
    english: str
    german: str
    stem: str
    """The stem, to which endings are added: teuer, but ein teures Auto."""
    kinds: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Determiner:
    english: str
    german: str
    declension: Literal["der", "dies", "ein", "none"]
    """The declension of the word: like the article der, like dieser, like ein, or none."""
    adjectives: Literal["weak", "mixed", "strong"]


@dataclass(frozen=True, kw_only=True)
class Verb:
    english: str
    """Base form; words after the first are a particle (throw away) or a preposition (look for)."""
    english_past: str | None
    """None if the past looks like the present. The translation would be a guess, so the grammar avoids this form."""
    german: str
    """Infinitive without the separable prefix."""
    third: str
    """Third person singular, present, without the prefix."""
    participle: str
    """With the prefix."""
    prefix: str = ""
    with_sein: bool = False
    """Whether the perfect is formed with sein."""
    subjects: tuple[str, ...] = ()
    objects: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Modal:
    english: str
    german_singular: str
    german_plural: str
    negatable: bool
    """Whether `not` means the same in both languages."""


@dataclass(frozen=True, kw_only=True)
class Adverb:
    english: str
    german: str
    tenses: tuple[str, ...] = ("present", "past", "future")
    before_verb: bool = False
    """Whether English puts it before the main verb: often, never."""


@dataclass(frozen=True, kw_only=True)
class Pronoun:
    subject: str
    object: str
    nominative: str
    accusative: str
    dative: str
    first_person: bool = False
    plural: bool = False


@dataclass(frozen=True)
class Name:
    text: str


@dataclass(frozen=True, kw_only=True)
class Gap:
    """A subject without words: of an infinitive, or of a relative clause whose pronoun represents it."""

    plural: bool = False


@dataclass(frozen=True, kw_only=True)
class NounPhrase:
    determiner: Determiner
    noun: Noun
    plural: bool = False
    adjective: Adjective | None = None
    owner: "NounPhrase | None" = None
    relative: "Relative | None" = None


Phrase = NounPhrase | Pronoun | Name
Subject = Phrase | Gap


@dataclass(frozen=True, kw_only=True)
class Prepositional:
    english: str
    german: str
    case: Case
    phrase: Phrase


@dataclass(frozen=True, kw_only=True)
class Clause:
    subject: Subject
    verb: Verb
    tense: Tense = "present"
    modal: Modal | None = None
    negated: bool = False
    dative: Phrase | None = None
    accusative: Phrase | None = None
    predicate: Adjective | None = None
    direction: Prepositional | None = None
    companion: Prepositional | None = None
    place: Prepositional | None = None
    adverb: Adverb | None = None


@dataclass(frozen=True, kw_only=True)
class Relative:
    """A clause about a noun, which has the given role in the clause."""

    role: Role
    clause: Clause


@dataclass(frozen=True, kw_only=True)
class Subordinate:
    """A clause after a conjunction such as because, that or if."""

    english: str
    german: str
    clause: Clause


@dataclass(frozen=True, kw_only=True)
class Infinitive:
    """`to` or `in order to`, and a clause without a subject."""

    purpose: bool
    clause: Clause


@dataclass(frozen=True, kw_only=True)
class Sentence:
    clause: Clause
    front: Adverb | Prepositional | Subordinate | None = None
    """Everything before the subject."""
    after: Subordinate | Infinitive | None = None
    """What follows the clause."""
    question: Adverb | None = None
    """Where, when or why. An empty adverb means a question whose answer is yes or no."""
