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
from grammar_corpus.words import Word, mark, merge

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


def sentence(tree: Sentence) -> list[Word]:
    """Return the words of a sentence. Punctuation marks are separate words."""
    if tree.question is not None:
        return [*adverb(tree.question, tree), *_verb_first(tree.clause), Word("?")]
    if tree.front is None:
        words = [*_subject(tree.clause), *_verb_first(tree.clause, with_subject=False)]
    else:
        words = [*_front(tree.front, tree), *_verb_first(tree.clause)]
    return [*words, *_after(tree.after), Word(".")]


def _front(front: Adverb | Prepositional | Subordinate, tree: Sentence) -> list[Word]:
    match front:
        case Adverb():
            return adverb(front, tree)
        case Prepositional():
            return prepositional(front)
        case Subordinate():
            return [*mark(front.german, front, "conjunction"), *_verb_last(front.clause), Word(",")]
    assert_never(front)


def _after(after: Subordinate | Infinitive | None) -> list[Word]:
    if isinstance(after, Subordinate):
        return [Word(","), *mark(after.german, after, "conjunction"), *_verb_last(after.clause)]
    if isinstance(after, Infinitive):
        purpose = mark("um" if after.purpose else "", after, "purpose")
        return [Word(","), *purpose, *_middle(after.clause), *_zu_infinitive(after.clause)]
    return []


def _subject(tree: Clause) -> list[Word]:
    return mark(phrase(tree.subject, "nominative"), tree, "subject")


def _verb_first(tree: Clause, with_subject: bool = True) -> list[Word]:
    """Return the words of a main clause from its finite verb on."""
    subject = _subject(tree) if with_subject else []
    finite, end = _verbs(tree)
    return [finite, *subject, *_middle(tree), *end, *_extraposed(tree)]


def _verb_last(tree: Clause) -> list[Word]:
    """Return the words of a subordinate clause after its conjunction."""
    finite, end = _verbs(tree)
    verbs = [Word(tree.verb.prefix + finite, finite.parts)] if end == [tree.verb.prefix] else [*end, finite]
    return [*_subject(tree), *_middle(tree), *verbs, *_extraposed(tree)]


def _middle(tree: Clause) -> list[Word]:
    """Return the words between the brackets without the subject.

    Their order is: pronouns, time, objects, negation, places, predicate.
    """
    objects: list[tuple[Phrase | None, Case]] = [(tree.dative, "dative"), (tree.accusative, "accusative")]
    pronouns, others = (
        [
            word
            for item, case in objects
            if isinstance(item, Pronoun) == wanted
            for word in mark(phrase(item, case, False), tree, case)
        ]
        for wanted in (True, False)
    )
    return [
        *pronouns,
        *adverb(tree.adverb, tree),
        *others,
        *mark("nicht" if tree.negated else "", tree, "not"),
        *prepositional(tree.companion),
        *prepositional(tree.place),
        *prepositional(tree.direction),
        *mark(tree.predicate.german if tree.predicate else "", tree, "predicate"),
    ]


def _extraposed(tree: Clause) -> list[Word]:
    """Return the relative clause of an object, which follows the last verb."""
    if isinstance(tree.accusative, NounPhrase) and tree.accusative.relative:
        return _relative(tree.accusative.relative, _column(tree.accusative))
    return []


def _verbs(tree: Clause) -> tuple[Word, list[Word]]:
    """Return the finite verb, and the verbs or the prefix at the end of a main clause."""
    verb = tree.verb
    modal = WILL if tree.tense == "future" else tree.modal
    part, auxiliary = [(id(tree), "verb")], [(id(tree), "auxiliary")]
    if modal:
        return Word(_modal(tree), [(id(tree), "modal")]), [Word(verb.prefix + verb.german, part)]
    if verb is BE:
        return Word(_sein(tree.subject, tree.tense == "past"), part), []
    if tree.tense == "past":
        finite = _sein(tree.subject) if verb.with_sein else _haben(tree.subject)
        return Word(finite, auxiliary), [Word(verb.participle, part)]
    return Word(_present(tree), part), mark(verb.prefix, tree, "particle")


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


def _zu_infinitive(tree: Clause) -> list[Word]:
    verb = tree.verb
    words = [*mark("zu", tree, "to"), *mark(verb.german, tree, "verb")]
    return [merge(f"{verb.prefix}zu{verb.german}", words)] if verb.prefix else words


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
            return [*_noun_phrase(tree, case, with_relative)]
        case Gap() | None:
            return []
    assert_never(tree)


def _noun_phrase(tree: NounPhrase, case: Case, with_relative: bool) -> list[Word]:
    column = _column(tree)
    adjective = _adjective(tree.adjective, tree.determiner, case, column) if tree.adjective else ""
    owner = _noun_phrase(tree.owner, "genitive", with_relative=True) if tree.owner else []
    relative = _relative(tree.relative, column) if tree.relative and with_relative else []
    return [
        *mark(_determiner(tree.determiner, case, column), tree, "determiner"),
        *mark(adjective, tree, "adjective"),
        *mark(_noun(tree.noun, case, tree.plural), tree, "noun"),
        *owner,
        *relative,
    ]


def _column(tree: NounPhrase) -> Column:
    return "plural" if tree.plural else tree.noun.gender


def _cell(table: dict[str, str], case: Case, column: Column) -> str:
    return table[case].split()[COLUMNS.index(column)].removeprefix("-")


def _determiner(determiner: Determiner, case: Case, column: Column) -> str:
    match determiner.declension:
        case "der":
            return _cell(ARTICLES, case, column)
        case "dies":
            return determiner.german + _cell(ENDINGS, case, column)
        case "ein":
            return determiner.german + _cell(EIN_ENDINGS, case, column)
    return determiner.german


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


def _relative(tree: Relative, column: Column) -> list[Word]:
    case: Case = {"subject": "nominative", "companion": "dative"}.get(tree.role, tree.role)  # type: ignore[assignment]
    preposition = mark("mit" if tree.role == "companion" else "", tree, "with")
    pronoun = mark(_cell(RELATIVE_PRONOUNS, case, column), tree, "pronoun")
    return [Word(","), *preposition, *pronoun, *_verb_last(tree.clause), Word(",")]


def prepositional(tree: Prepositional | None) -> list[Word]:
    if tree is None:
        return []
    words = [*mark(tree.german, tree, "preposition"), *mark(phrase(tree.phrase, tree.case), tree, "object")]
    definite = isinstance(tree.phrase, NounPhrase) and tree.phrase.determiner.declension == "der"
    contracted = CONTRACTIONS.get((words[0], words[1])) if definite else None
    return [merge(contracted, words[:2]), *words[2:]] if contracted else words


def adverb(tree: Adverb | None, owner: object) -> list[Word]:
    """Return the words of an adverb of the node `owner`."""
    words = tree.german.split() if tree else []
    return [*mark(words[:-1], owner, "adverb, first words"), *mark(words[-1:], owner, "adverb")]
