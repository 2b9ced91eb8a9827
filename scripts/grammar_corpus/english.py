"""Functions that write trees as English words."""

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

PREPOSITIONS = ("for", "at", "to")


def sentence(tree: Sentence) -> list[str]:
    """Return the words of a sentence. Punctuation marks are separate words."""
    if tree.question is not None:
        return [*adverb(tree.question), *clause(tree.clause, inverted=True), "?"]
    words = [*_front(tree.front), *clause(tree.clause)]
    if isinstance(tree.after, Subordinate):
        words += [tree.after.english, *clause(tree.after.clause)]
    if isinstance(tree.after, Infinitive):
        words += ["in", "order"] if tree.after.purpose else []
        words += ["to", *_bare(tree.after.clause)]
    return [*words, "."]


def _front(front: Adverb | Prepositional | Subordinate | None) -> list[str]:
    if isinstance(front, Subordinate):
        return [front.english, *clause(front.clause), ","]
    return prepositional(front) if isinstance(front, Prepositional) else adverb(front)


def clause(tree: Clause, inverted: bool = False) -> list[str]:
    """Return the words of a clause with its subject. `inverted` puts the auxiliary first, as in questions."""
    subject = phrase(tree.subject, as_subject=True)
    auxiliary, verb = _verb(tree, inverted)
    negation = ["not"] if tree.negated else []
    early = adverb(tree.adverb) if tree.adverb and tree.adverb.before_verb else []
    first = [*auxiliary, *subject, *negation] if inverted else [*subject, *_cannot([*auxiliary, *negation])]
    return [*first, *early, *_complements(tree, verb)]


def _bare(tree: Clause) -> list[str]:
    """Return the words of a clause without a subject. The verb has its base form."""
    return _complements(tree, tree.verb.english.split())


def _complements(tree: Clause, verb: list[str]) -> list[str]:
    late = adverb(tree.adverb) if tree.adverb and not tree.adverb.before_verb else []
    return [
        *_with_objects(verb, tree),
        *([tree.predicate.english] if tree.predicate else []),
        *prepositional(tree.direction),
        *prepositional(tree.companion),
        *prepositional(tree.place),
        *late,
    ]


def _with_objects(verb: list[str], tree: Clause) -> list[str]:
    """Return the verb with its objects.

    A pronoun precedes a particle (takes him along). Any other object follows it (takes along the dog).
    """
    objects = [*phrase(tree.dative), *phrase(tree.accusative)]
    if verb and isinstance(tree.accusative, Pronoun) and _particle(tree):
        return [*verb[:-1], *objects, verb[-1]]
    return [*verb, *objects]


def _particle(tree: Clause) -> bool:
    words = tree.verb.english.split()
    return len(words) > 1 and words[-1] not in PREPOSITIONS


def _verb(tree: Clause, inverted: bool) -> tuple[list[str], list[str]]:
    """Return the finite auxiliary, if there is one, and the rest of the verb."""
    base = tree.verb.english.split()
    if tree.modal and tree.modal.english != "want to":
        return tree.modal.english.split(), base
    if tree.tense == "future":
        return ["will"], base
    if tree.verb is BE:
        return [_be(tree)], []
    chain = [*tree.modal.english.split(), *base] if tree.modal else base
    if tree.negated or inverted:
        return [_do(tree)], chain
    return [], [*_inflect(tree, chain)]


def _inflect(tree: Clause, chain: list[str]) -> list[str]:
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


def _cannot(words: list[str]) -> list[str]:
    return ["cannot"] if words == ["can", "not"] else words


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
            return _noun_phrase(tree)
    return []


def _noun_phrase(tree: NounPhrase) -> list[str]:
    noun = tree.noun.english_plural if tree.plural else tree.noun.english
    words = [*([tree.adjective.english] if tree.adjective else []), noun]
    owner = ["of", *phrase(tree.owner)] if tree.owner else []
    relative = _relative(tree.relative, person=tree.noun.kind == "person") if tree.relative else []
    return [*_determiner(tree, words[0]), *words, *owner, *relative]


def _determiner(tree: NounPhrase, following: str) -> list[str]:
    singular, _, plural = tree.determiner.english.partition("/")
    word = plural if plural and tree.plural else singular
    if word == "a" and following[0] in "aeiou":
        return ["an"]
    return [word] if word else []


def _relative(tree: Relative, person: bool) -> list[str]:
    if tree.role == "companion":
        return ["with", "whom", *clause(tree.clause)]
    pronoun = ("who" if tree.role == "subject" else "whom") if person else "that"
    return [pronoun, *clause(tree.clause)]


def prepositional(tree: Prepositional | None) -> list[str]:
    return [tree.english, *phrase(tree.phrase)] if tree else []


def adverb(tree: Adverb | None) -> list[str]:
    return tree.english.split() if tree else []
