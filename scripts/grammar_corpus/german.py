"""Functions that write trees as German words.

A German clause has two places for its verbs, which are called brackets. In a main clause, the finite verb is in the
left bracket, as the second element. The rest of the verb (prefix, participle, infinitive) is in the right bracket, at
the end. In a subordinate clause, the conjunction is in the left bracket. All verbs are in the right bracket, and the
finite verb is the last one.
"""

from typing import Literal, assert_never

from grammar_corpus.lexicon import BE, WILL
from grammar_corpus.trees import (
    Adjective,
    Adverb,
    Case,
    Clause,
    Determiner,
    Gap,
    Infinitive,
    Name,
    Noun,
    NounPhrase,
    Phrase,
    Prepositional,
    Pronoun,
    Relative,
    Sentence,
    Subject,
    Subordinate,
)

Column = Literal["masculine", "feminine", "neuter", "plural"]
COLUMNS: tuple[Column, ...] = ("masculine", "feminine", "neuter", "plural")

# Each line is a case. The columns are the genders and the plural.
ARTICLES = {
    "nominative": "der die das die",
    "accusative": "den die das die",
    "dative": "dem der dem den",
    "genitive": "des der des der",
}
RELATIVE_PRONOUNS = {**ARTICLES, "dative": "dem der dem denen"}
ENDINGS = {  # of dieser
    "nominative": "er e es e",
    "accusative": "en e es e",
    "dative": "em er em en",
    "genitive": "es er es er",
}
EIN_ENDINGS = {**ENDINGS, "nominative": "- e - e", "accusative": "en e - e"}
WEAK = {
    "nominative": "e e e en",
    "accusative": "en e e en",
    "dative": "en en en en",
    "genitive": "en en en en",
}
STRONG = {**ENDINGS, "genitive": "en er en er"}

CONTRACTIONS = {
    ("in", "dem"): "im",
    ("in", "das"): "ins",
    ("an", "dem"): "am",
    ("an", "das"): "ans",
    ("zu", "dem"): "zum",
    ("zu", "der"): "zur",
}


def sentence(tree: Sentence) -> list[str]:
    """Return the words of a sentence. Punctuation marks are separate words."""
    if tree.question is not None:
        return [*adverb(tree.question), *_verb_first(tree.clause), "?"]
    if tree.front is None:
        words = [*phrase(tree.clause.subject, "nominative"), *_verb_first(tree.clause, with_subject=False)]
    else:
        words = [*_front(tree.front), *_verb_first(tree.clause)]
    return [*words, *_after(tree.after), "."]


def _front(front: Adverb | Prepositional | Subordinate) -> list[str]:
    match front:
        case Adverb():
            return adverb(front)
        case Prepositional():
            return prepositional(front)
        case Subordinate():
            return [front.german, *_verb_last(front.clause), ","]
    assert_never(front)


def _after(after: Subordinate | Infinitive | None) -> list[str]:
    if isinstance(after, Subordinate):
        return [",", after.german, *_verb_last(after.clause)]
    if isinstance(after, Infinitive):
        return [",", *(["um"] if after.purpose else []), *_middle(after.clause), *_zu_infinitive(after.clause)]
    return []


def _verb_first(tree: Clause, with_subject: bool = True) -> list[str]:
    """Return the words of a main clause from its finite verb on."""
    subject = phrase(tree.subject, "nominative") if with_subject else []
    finite, end = _verbs(tree)
    return [finite, *subject, *_middle(tree), *end, *_extraposed(tree)]


def _verb_last(tree: Clause) -> list[str]:
    """Return the words of a subordinate clause after its conjunction."""
    finite, end = _verbs(tree)
    verbs = [tree.verb.prefix + finite] if end == [tree.verb.prefix] else [*end, finite]
    return [*phrase(tree.subject, "nominative"), *_middle(tree), *verbs, *_extraposed(tree)]


def _middle(tree: Clause) -> list[str]:
    """Return the words between the brackets without the subject.

    Their order is: pronouns, time, objects, negation, places, predicate.
    """
    objects: list[tuple[Phrase | None, Case]] = [(tree.dative, "dative"), (tree.accusative, "accusative")]
    pronouns = [word for item, case in objects if isinstance(item, Pronoun) for word in phrase(item, case)]
    others = [word for item, case in objects if not isinstance(item, Pronoun) for word in phrase(item, case, False)]
    return [
        *pronouns,
        *adverb(tree.adverb),
        *others,
        *(["nicht"] if tree.negated else []),
        *prepositional(tree.companion),
        *prepositional(tree.place),
        *prepositional(tree.direction),
        *([tree.predicate.german] if tree.predicate else []),
    ]


def _extraposed(tree: Clause) -> list[str]:
    """Return the relative clause of an object, which follows the last verb."""
    if isinstance(tree.accusative, NounPhrase) and tree.accusative.relative:
        return _relative(tree.accusative.relative, _column(tree.accusative))
    return []


def _verbs(tree: Clause) -> tuple[str, list[str]]:
    """Return the finite verb, and the verbs or the prefix at the end of a main clause."""
    verb = tree.verb
    modal = WILL if tree.tense == "future" else tree.modal
    if modal:
        return _modal(tree), [verb.prefix + verb.german]
    if verb is BE:
        return _sein(tree.subject, tree.tense == "past"), []
    if tree.tense == "past":
        return _sein(tree.subject) if verb.with_sein else _haben(tree.subject), [verb.participle]
    return _present(tree), [verb.prefix] if verb.prefix else []


def _modal(tree: Clause) -> str:
    modal = tree.modal or WILL
    if _plural(tree.subject):
        return modal.german_plural
    return "werde" if modal is WILL and _first_person(tree.subject) else modal.german_singular


def _present(tree: Clause) -> str:
    if _plural(tree.subject):
        return tree.verb.german
    return _first_singular(tree.verb.german) if _first_person(tree.subject) else tree.verb.third


def _first_singular(infinitive: str) -> str:
    """Return the first person singular: ich kaufe, ich lächle (lächeln), ich wandere (wandern), ich weiß (wissen)."""
    if infinitive == "wissen":
        return "weiß"
    if infinitive.endswith("eln"):
        return infinitive[:-3] + "le"
    return infinitive.removesuffix("n" if infinitive.endswith("ern") else "en") + "e"


def _zu_infinitive(tree: Clause) -> list[str]:
    verb = tree.verb
    return [f"{verb.prefix}zu{verb.german}"] if verb.prefix else ["zu", verb.german]


def _sein(subject: Subject, past: bool = False) -> str:
    if _plural(subject):
        return "waren" if past else "sind"
    if past:
        return "war"
    return "bin" if _first_person(subject) else "ist"


def _haben(subject: Subject) -> str:
    if _plural(subject):
        return "haben"
    return "habe" if _first_person(subject) else "hat"


def _plural(subject: Subject) -> bool:
    return not isinstance(subject, Name) and subject.plural


def _first_person(subject: Subject) -> bool:
    return isinstance(subject, Pronoun) and subject.first_person


def phrase(tree: Subject | None, case: Case, with_relative: bool = True) -> list[str]:
    """Return the words of a noun phrase, a pronoun or a name in a case. None and a gap have no words."""
    match tree:
        case Pronoun():
            return [{"nominative": tree.nominative, "accusative": tree.accusative, "dative": tree.dative}[case]]
        case Name():
            return [tree.text]
        case NounPhrase():
            return _noun_phrase(tree, case, with_relative)
        case Gap() | None:
            return []
    assert_never(tree)


def _noun_phrase(tree: NounPhrase, case: Case, with_relative: bool) -> list[str]:
    column = _column(tree)
    adjective = [_adjective(tree.adjective, tree.determiner, case, column)] if tree.adjective else []
    owner = phrase(tree.owner, "genitive")
    relative = _relative(tree.relative, column) if tree.relative and with_relative else []
    return [
        *_determiner(tree.determiner, case, column),
        *adjective,
        _noun(tree.noun, case, tree.plural),
        *owner,
        *relative,
    ]


def _column(tree: NounPhrase) -> Column:
    return "plural" if tree.plural else tree.noun.gender


def _cell(table: dict[str, str], case: Case, column: Column) -> str:
    return table[case].split()[COLUMNS.index(column)].removeprefix("-")


def _determiner(determiner: Determiner, case: Case, column: Column) -> list[str]:
    match determiner.declension:
        case "der":
            return [_cell(ARTICLES, case, column)]
        case "dies":
            return [determiner.german + _cell(ENDINGS, case, column)]
        case "ein":
            return [determiner.german + _cell(EIN_ENDINGS, case, column)]
    return [determiner.german] if determiner.german else []


def _adjective(adjective: Adjective, determiner: Determiner, case: Case, column: Column) -> str:
    """Return an adjective with its ending.

    The ending is weak after a word that shows the case, and strong otherwise. It is also strong where `ein` has no
    ending.
    """
    strong = determiner.adjectives == "strong"
    if determiner.adjectives == "mixed":
        strong = not _cell(EIN_ENDINGS, case, column)
    return adjective.stem + _cell(STRONG if strong else WEAK, case, column)


def _noun(noun: Noun, case: Case, plural: bool) -> str:
    if plural:
        assert noun.german_plural is not None
        return noun.german_plural + ("n" if case == "dative" and not noun.german_plural.endswith(("n", "s")) else "")
    if case == "genitive" or (case != "nominative" and _weak_noun(noun)):
        return noun.genitive
    return noun.german


def _weak_noun(noun: Noun) -> bool:
    """Return whether a noun has the weak declension: der Junge, den Jungen, dem Jungen, des Jungen."""
    return noun.gender == "masculine" and noun.genitive.endswith("n")


def _relative(tree: Relative, column: Column) -> list[str]:
    case: Case = {"subject": "nominative", "companion": "dative"}.get(tree.role, tree.role)  # type: ignore[assignment]
    preposition = ["mit"] if tree.role == "companion" else []
    return [",", *preposition, _cell(RELATIVE_PRONOUNS, case, column), *_verb_last(tree.clause), ","]


def prepositional(tree: Prepositional | None) -> list[str]:
    if tree is None:
        return []
    first, *rest = phrase(tree.phrase, tree.case)
    definite = isinstance(tree.phrase, NounPhrase) and tree.phrase.determiner.declension == "der"
    contracted = CONTRACTIONS.get((tree.german, first)) if definite else None
    return [contracted, *rest] if contracted else [tree.german, first, *rest]


def adverb(tree: Adverb | None) -> list[str]:
    return tree.german.split() if tree else []
