"""Random clauses."""

from collections.abc import Sequence
from dataclasses import replace
from random import Random
from typing import Any

from grammar_corpus import lexicon, phrases
from grammar_corpus.drawing import chance, weighted
from grammar_corpus.entries import adjectives, adverbs, verbs
from grammar_corpus.nouns import PASSING
from grammar_corpus.trees import Adverb, Clause, Gap, Modal, NounPhrase, Relative, Role, Subject, Tense, Verb

FRAMES = {
    "intransitive": 16,
    "motion": 10,
    "transitive": 42,
    "dative": 8,
    "ditransitive": 10,
    "copula": 11,
    "weather": 3,
}
VERBS = {
    "intransitive": lexicon.INTRANSITIVE,
    "motion": lexicon.MOTION,
    "transitive": lexicon.TRANSITIVE,
    "dative": lexicon.DATIVE,
    "ditransitive": lexicon.DITRANSITIVE,
}
TENSES: dict[Tense, float] = {"present": 50, "past": 36, "future": 14}
GAPS: dict[Role, tuple[str, ...]] = {  # the frames in which a relative pronoun can have the role
    "subject": ("intransitive", "transitive", "dative", "ditransitive"),
    "accusative": ("transitive",),
    "dative": ("dative",),
    "companion": ("intransitive",),
}
SOCIABLE = [
    verb
    for table in (lexicon.INTRANSITIVE, lexicon.MOTION)
    for verb in verbs(table)
    if verb.english not in lexicon.ALONE
]
"""Activities that people do together."""


def clause(
    random: Random,
    frames: Sequence[str] = tuple(FRAMES),
    *,
    tense: Tense | None = None,
    negatable: bool = True,
    lasting: bool = True,
) -> Clause:
    """Draw a clause with everything that it can contain, except relative clauses.

    `lasting` says whether the clause may be about something that does not change.
    """
    frame = weighted(random, {frame: FRAMES[frame] for frame in frames})
    tense = tense or any_tense(random)
    negated = negatable and chance(random, 0.1)
    if frame == "weather":
        bare = Clause(subject=lexicon.IT, verb=random.choice(verbs(lexicon.WEATHER)), tense=tense)
    elif frame == "copula":
        bare = _copula(random, tense, negated, lasting)
    else:
        verb = _verb(random, VERBS[frame], tense)
        subject = phrases.subject(random, verb.subjects, definite=negated)
        bare = with_modal(random, _predicate(random, frame, verb, subject, tense, negated))
    return with_circumstances(random, bare)


def any_tense(random: Random) -> Tense:
    return weighted(random, TENSES)


def clause_before(random: Random, table: str) -> Clause:
    """Draw a clause such as `often says`, which another clause must follow."""
    tense = any_tense(random)
    verb = _verb(random, table, tense)
    subject = phrases.subject(random, verb.subjects)
    return with_adverb(random, Clause(subject=subject, verb=verb, tense=tense))


def infinitive(random: Random) -> Clause:
    """Draw a clause without a subject: buy a book, help the child."""
    frame = random.choice(("transitive", "dative", "ditransitive"))
    verb = _verb(random, VERBS[frame], "present", subject_kind="person")
    return Clause(subject=Gap(), verb=verb, **_objects(random, frame, verb, lexicon.I))


def _copula(random: Random, tense: Tense, negated: bool, lasting: bool) -> Clause:
    adjective = random.choice([adjective for adjective in adjectives() if lasting or adjective.english in PASSING])
    subject = phrases.subject(random, adjective.kinds, definite=negated, other_than=adjective)
    return Clause(subject=subject, verb=lexicon.BE, tense=tense, negated=negated, predicate=adjective)


def _verb(
    random: Random, table: str, tense: Tense, subject_kind: str | None = None, object_kind: str | None = None
) -> Verb:
    return random.choice(
        [
            verb
            for verb in verbs(table)
            if (tense != "past" or verb.english_past)
            and (subject_kind is None or subject_kind in verb.subjects)
            and (object_kind is None or object_kind in verb.objects)
        ]
    )


def _predicate(random: Random, frame: str, verb: Verb, subject: Subject, tense: Tense, negated: bool) -> Clause:
    rest = _objects(random, frame, verb, subject, definite=negated)
    return Clause(subject=subject, verb=verb, tense=tense, negated=negated, **rest)


def _objects(random: Random, frame: str, verb: Verb, subject: Subject, definite: bool = False) -> dict[str, Any]:
    match frame:
        case "motion":
            return {"direction": phrases.direction(random)}
        case "transitive":
            return {"accusative": phrases.other(random, verb.objects, subject, definite)}
        case "dative":
            return {"dative": phrases.other(random, verb.objects, subject, definite)}
        case "ditransitive":
            unclear = phrases.AMBIGUOUS_AFTER_PRONOUN
            return {
                "dative": phrases.other(random, ("person",), subject, definite=True),
                "accusative": phrases.noun_phrase(random, verb.objects, without=unclear, definite=definite),
            }
    return {}


def with_modal(random: Random, clause: Clause) -> Clause:
    """Add a modal verb to some clauses. With `not`, the verb must have the same meaning in both languages."""
    fitting: list[Modal] = [modal for modal in lexicon.MODALS if modal.negatable or not clause.negated]
    if clause.tense != "present" or not chance(random, 0.22):
        return clause
    return replace(clause, modal=random.choice(fitting))


def with_circumstances(random: Random, clause: Clause) -> Clause:
    """Add a companion or a place, and an adverb, to some clauses."""
    if not (clause.negated or clause.direction or clause.predicate) and chance(random, 0.28):
        clause = replace(clause, place=phrases.place(random))
    elif not clause.negated and _takes_company(clause) and chance(random, 0.1):
        clause = replace(clause, companion=phrases.companion(random, clause.subject))
    return with_adverb(random, clause)


def _takes_company(clause: Clause) -> bool:
    return clause.verb in SOCIABLE and phrases.is_animate(clause.subject)


def with_adverb(random: Random, clause: Clause) -> Clause:
    """Add an adverb of time or of frequency to some clauses."""
    lasting = clause.predicate and clause.predicate.english not in PASSING
    if lasting or not chance(random, 0.45):
        return clause
    times = [adverb for adverb in adverbs(lexicon.TIMES) if clause.tense in adverb.tenses]
    choices = [adverb for adverb in times if not (clause.negated and adverb.english in lexicon.UNDENIED)]
    if chance(random, 0.35) and not _negative(clause):
        frequencies = adverbs(lexicon.FREQUENCIES, before_verb=True)
        choices = [adverb for adverb in frequencies if clause.tense in adverb.tenses] or choices
    return replace(clause, adverb=random.choice(choices))


def _negative(clause: Clause) -> bool:
    """Return whether the clause is negative already, so that `never` would be a second negation."""
    return clause.negated or phrases.says_no(clause.accusative) or phrases.says_no(clause.dative)


def with_relatives(random: Random, clause: Clause) -> Clause:
    """Add a relative clause to the subject, or to an object that ends the clause, in some clauses."""
    if isinstance(clause.subject, NounPhrase) and chance(random, 0.15):
        return replace(clause, subject=_with_relative(random, clause.subject))
    if isinstance(clause.accusative, NounPhrase) and _ends_in_object(clause) and chance(random, 0.35):
        return replace(clause, accusative=_with_relative(random, clause.accusative))
    return clause


def _ends_in_object(clause: Clause) -> bool:
    return not (clause.place or clause.companion or is_late(clause.adverb))


def is_late(adverb: Adverb | None) -> bool:
    """Return whether the adverb is at the end of the English clause."""
    return adverb is not None and not adverb.before_verb


def _with_relative(random: Random, phrase: NounPhrase) -> NounPhrase:
    """Add a relative clause to a phrase. The owner is removed, because the relative clause could refer to the owner."""
    kind = phrase.noun.kind
    roles = [role for role, frames in GAPS.items() if any(_candidates(frame, role, kind) for frame in frames)]
    role = random.choice(roles) if roles else None
    if role is None or phrases.says_no(phrase):
        return phrase
    return replace(phrase, owner=None, relative=Relative(role=role, clause=_relative_clause(random, role, phrase)))


def _candidates(frame: str, role: Role, kind: str) -> list[Verb]:
    """Return the verbs with which a noun of this kind can have the role."""
    if role == "companion":
        return [verb for verb in verbs(VERBS[frame]) if kind == "person" and verb in SOCIABLE]
    return [verb for verb in verbs(VERBS[frame]) if kind in (verb.subjects if role == "subject" else verb.objects)]


def _relative_clause(random: Random, role: Role, phrase: NounPhrase) -> Clause:
    tense: Tense = random.choice(("present", "past"))
    frame = random.choice([frame for frame in GAPS[role] if _candidates(frame, role, phrase.noun.kind)])
    fitting = [verb for verb in _candidates(frame, role, phrase.noun.kind) if verb.english_past]
    verb = random.choice(fitting)
    if role == "subject":
        inner = _predicate(random, frame, verb, Gap(plural=phrase.plural), tense, negated=False)
        return replace(inner, place=phrases.place(random)) if frame == "intransitive" else inner
    return Clause(subject=phrases.subject(random, _company(verb, role)), verb=verb, tense=tense)


def _company(verb: Verb, role: Role) -> tuple[str, ...]:
    return ("person",) if role == "companion" else verb.subjects
