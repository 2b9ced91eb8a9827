"""Functions that write trees as English words."""

from collections.abc import Sequence

from grammar_corpus.entries import add_s
from grammar_corpus.lexicon import BE
from grammar_corpus.trees import (
    Adverb,
    Clause,
    Infinitive,
    Name,
    NounPhrase,
    Prepositional,
    Pronoun,
    Relative,
    Sentence,
    Subject,
    Subordinate,
)
from grammar_corpus.words import Word, mark, merge

PREPOSITIONS = ("for", "at", "to")


def sentence(tree: Sentence) -> list[Word]:
    """Return the words of a sentence. Punctuation marks are separate words."""
    if tree.question is not None:
        return [*adverb(tree.question, tree), *clause(tree.clause, inverted=True), Word("?")]
    words = [*_front(tree), *clause(tree.clause)]
    if isinstance(tree.after, Subordinate):
        words += [*mark(tree.after.english, tree.after, "conjunction"), *clause(tree.after.clause)]
    if isinstance(tree.after, Infinitive):
        words += mark("in order" if tree.after.purpose else "", tree.after, "purpose")
        words += [*mark("to", tree.after.clause, "to"), *_bare(tree.after.clause)]
    return [*words, Word(".")]


def _front(tree: Sentence) -> list[Word]:
    front = tree.front
    if isinstance(front, Subordinate):
        return [*mark(front.english, front, "conjunction"), *clause(front.clause), Word(",")]
    return prepositional(front) if isinstance(front, Prepositional) else adverb(front, tree)


def clause(tree: Clause, inverted: bool = False) -> list[Word]:
    """Return the words of a clause with its subject. `inverted` puts the auxiliary first, as in questions."""
    subject = mark(phrase(tree.subject, as_subject=True), tree, "subject")
    auxiliary, verb = _verb(tree, inverted)
    negation = mark("not" if tree.negated else "", tree, "not")
    early = adverb(tree.adverb, tree) if tree.adverb and tree.adverb.before_verb else []
    first = [*auxiliary, *subject, *negation] if inverted else [*subject, *_cannot([*auxiliary, *negation])]
    return [*first, *early, *_complements(tree, verb)]


def _bare(tree: Clause) -> list[Word]:
    """Return the words of a clause without a subject. The verb has its base form."""
    return _complements(tree, _mark_verb(tree, tree.verb.english.split()))


def _complements(tree: Clause, verb: list[Word]) -> list[Word]:
    late = adverb(tree.adverb, tree) if tree.adverb and not tree.adverb.before_verb else []
    return [
        *_with_objects(verb, tree),
        *mark(tree.predicate.english if tree.predicate else "", tree, "predicate"),
        *prepositional(tree.direction),
        *prepositional(tree.companion),
        *prepositional(tree.place),
        *late,
    ]


def _with_objects(verb: list[Word], tree: Clause) -> list[Word]:
    """Return the verb with its objects.

    A pronoun precedes a particle (takes him along). Any other object follows it (takes along the dog).
    """
    objects = [
        *mark(phrase(tree.dative), tree, "dative"),
        *mark(phrase(tree.accusative), tree, "accusative"),
    ]
    if verb and isinstance(tree.accusative, Pronoun) and _particle(tree):
        return [*verb[:-1], *objects, verb[-1]]
    return [*verb, *objects]


def _particle(tree: Clause) -> bool:
    words = tree.verb.english.split()
    return len(words) > 1 and words[-1] not in PREPOSITIONS


def _verb(tree: Clause, inverted: bool) -> tuple[list[Word], list[Word]]:
    """Return the finite auxiliary, if there is one, and the rest of the verb."""
    base = _mark_verb(tree, tree.verb.english.split())
    if tree.modal and tree.modal.english != "want to":
        return mark(tree.modal.english, tree, "modal"), base
    if tree.tense == "future":
        return mark("will", tree, "modal"), base
    if tree.verb is BE:
        return mark(_be(tree), tree, "verb"), []
    modal = tree.modal.english.split() if tree.modal else []
    if tree.negated or inverted:
        return mark(_do(tree), tree, "modal" if modal else "auxiliary"), [*mark(modal, tree, "modal"), *base]
    if modal:
        return [], [*mark(_inflect(tree, modal), tree, "modal"), *base]
    return [], _mark_verb(tree, _inflect(tree, tree.verb.english.split()))


def _mark_verb(tree: Clause, words: Sequence[str]) -> list[Word]:
    return [*mark(words[:1], tree, "verb"), *mark(words[1:], tree, "particle")]


def _inflect(tree: Clause, chain: list[str]) -> list[str]:
    """Return a verb and its particle, or the modal verb before them, in the form of the tense and the subject."""
    if tree.tense == "past":
        assert tree.verb.english_past is not None
        return tree.verb.english_past.split()
    return [add_s(chain[0]), *chain[1:]] if _third_singular(tree.subject) else chain


def _be(tree: Clause) -> str:
    first = isinstance(tree.subject, Pronoun) and tree.subject.first_person and not tree.subject.plural
    if tree.tense == "past":
        return "was" if first or _third_singular(tree.subject) else "were"
    return "am" if first else "is" if _third_singular(tree.subject) else "are"


def _do(tree: Clause) -> str:
    if tree.tense == "past":
        return "did"
    return "does" if _third_singular(tree.subject) else "do"


def _cannot(words: list[Word]) -> list[Word]:
    return [merge("cannot", words)] if words == ["can", "not"] else words


def _third_singular(subject: Subject) -> bool:
    if isinstance(subject, Pronoun):
        return not subject.first_person and not subject.plural
    return isinstance(subject, Name) or not subject.plural


def phrase(tree: Subject | None, as_subject: bool = False) -> list[str]:
    """Return the words of a noun phrase, a pronoun in its case, or a name. None has no words."""
    match tree:
        case Pronoun():
            return [tree.subject if as_subject else tree.object]
        case Name():
            return [tree.text]
        case NounPhrase():
            return [*_noun_phrase(tree)]
    return []


def _noun_phrase(tree: NounPhrase) -> list[Word]:
    noun = tree.noun.english_plural if tree.plural else tree.noun.english
    adjective = tree.adjective.english if tree.adjective else ""
    words = [*mark(adjective, tree, "adjective"), *mark(noun, tree, "noun")]
    owner = [*mark("of", tree.owner, "of"), *_noun_phrase(tree.owner)] if tree.owner else []
    relative = _relative(tree.relative, person=tree.noun.kind == "person") if tree.relative else []
    return [*mark(_determiner(tree, words[0]), tree, "determiner"), *words, *owner, *relative]


def _determiner(tree: NounPhrase, following: str) -> str:
    singular, _, plural = tree.determiner.english.partition("/")
    word = plural if plural and tree.plural else singular
    if word == "a" and following[0] in "aeiou":
        return "an"
    return word


def _relative(tree: Relative, person: bool) -> list[Word]:
    if tree.role == "companion":
        return [*mark("with", tree, "with"), *mark("whom", tree, "pronoun"), *clause(tree.clause)]
    pronoun = ("who" if tree.role == "subject" else "whom") if person else "that"
    return [*mark(pronoun, tree, "pronoun"), *clause(tree.clause)]


def prepositional(tree: Prepositional | None) -> list[Word]:
    if tree is None:
        return []
    return [*mark(tree.english, tree, "preposition"), *mark(phrase(tree.phrase), tree, "object")]


def adverb(tree: Adverb | None, owner: object) -> list[Word]:
    """Return the words of an adverb of the node `owner`."""
    words = tree.english.split() if tree else []
    return [*mark(words[:-1], owner, "adverb, first words"), *mark(words[-1:], owner, "adverb")]
