"""The corpus of the quickstart: correct German, one translation per sentence, and disjoint parts."""

import itertools
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPTS = Path(__file__).parents[2] / "scripts"
sys.path.insert(0, str(SCRIPTS))

from grammar_corpus import entries, lexicon  # noqa: E402
from grammar_corpus.corpus import alignment, draws, pairs, translation, trees  # noqa: E402
from grammar_corpus.nouns import DIRECTIONS, LOCATIONS  # noqa: E402
from grammar_corpus.trees import (  # noqa: E402
    Adverb,
    Clause,
    Gap,
    Infinitive,
    Modal,
    Name,
    NounPhrase,
    Prepositional,
    Relative,
    Sentence,
    Subject,
    Subordinate,
    Verb,
)

TABLES = ("INTRANSITIVE", "MOTION", "TRANSITIVE", "DATIVE", "DITRANSITIVE", "STATEMENT", "ATTEMPT", "WEATHER")
VERBS = [verb for table in TABLES for verb in entries.verbs(getattr(lexicon, table))]
NOUNS = [noun for kind in entries.nouns().values() for noun in kind]
TODAY = Adverb(english="today", german="heute")
MORNING = Adverb(english="in the morning", german="am Morgen")
HE, SHE, ME, WE, THEY = lexicon.HE, lexicon.SHE, lexicon.I, lexicon.WE, lexicon.THEY
ANNA = Name("Anna")


def verb(english: str) -> Verb:
    return next(verb for verb in VERBS if verb.english == english)


def modal(english: str) -> Modal:
    return next(modal for modal in lexicon.MODALS if modal.english == english)


def np(
    words: str, plural: bool = False, owner: NounPhrase | None = None, relative: Relative | None = None
) -> NounPhrase:
    """`the old man`, `a cat`, `cold water`: a determiner and an adjective if there are any, and a singular noun."""
    *before, last = words.split()
    return NounPhrase(
        determiner=entries.determiners()[before[0] if before and before[0] in entries.determiners() else ""],
        adjective=next((adjective for adjective in entries.adjectives() if adjective.english in before), None),
        noun=next(noun for noun in NOUNS if noun.english == last),
        plural=plural,
        owner=owner,
        relative=relative,
    )


def at(words: str) -> Prepositional:
    phrase = np(words)
    english, german = entries.prepositions(LOCATIONS)[phrase.noun.english]
    return Prepositional(english=english, german=german, case="dative", phrase=phrase)


def to(words: str) -> Prepositional:
    phrase = np(words)
    english, german = entries.prepositions(DIRECTIONS)[phrase.noun.english]
    return Prepositional(
        english=english, german=german, case="dative" if german == "zu" else "accusative", phrase=phrase
    )


def buys(**more: object) -> Clause:
    """The teacher buys a red car."""
    return Clause(**{"subject": np("the teacher"), "verb": verb("buy"), "accusative": np("a red car"), **more})  # type: ignore[arg-type]


def calls(**more: object) -> Clause:
    """Anna calls him."""
    return Clause(**{"subject": ANNA, "verb": verb("call"), "accusative": HE, **more})  # type: ignore[arg-type]


def does(subject: Subject, english: str, **more: object) -> Clause:
    return Clause(subject=subject, verb=verb(english), **more)  # type: ignore[arg-type]


def because(clause: Clause) -> Subordinate:
    return Subordinate(english="because", german="weil", clause=clause)


WHO_SLEPT = Relative(role="subject", clause=does(Gap(), "fall asleep", tense="past"))
WHOM_PAUL_THANKS = Relative(role="dative", clause=does(Name("Paul"), "thank"))
WHOM_I_SEE = Relative(role="accusative", clause=does(ME, "see"))

# Both sides written by hand.
EXPECTED = [
    # verb second, the participle at the end
    (
        Sentence(front=TODAY, clause=buys(tense="past")),
        "Today the teacher bought a red car.",
        "Heute hat der Lehrer ein rotes Auto gekauft.",
    ),
    # time before the object
    (
        Sentence(clause=buys(adverb=TODAY)),
        "The teacher buys a red car today.",
        "Der Lehrer kauft heute ein rotes Auto.",
    ),
    # the finite verb at the end of a subordinate clause
    (
        Sentence(clause=does(lexicon.IT, "rain"), after=because(buys(tense="past"))),
        "It rains because the teacher bought a red car.",
        "Es regnet, weil der Lehrer ein rotes Auto gekauft hat.",
    ),
    (
        Sentence(front=because(calls()), clause=buys()),
        "Because Anna calls him, the teacher buys a red car.",
        "Weil Anna ihn anruft, kauft der Lehrer ein rotes Auto.",
    ),
    # separable verbs
    (Sentence(clause=calls()), "Anna calls him.", "Anna ruft ihn an."),
    (Sentence(clause=calls(tense="past")), "Anna called him.", "Anna hat ihn angerufen."),
    (Sentence(clause=does(ME, "pick up", accusative=SHE)), "I pick her up.", "Ich hole sie ab."),
    # modal verbs and the future
    (Sentence(clause=calls(modal=modal("want to"))), "Anna wants to call him.", "Anna will ihn anrufen."),
    (
        Sentence(clause=does(WE, "laugh"), after=because(calls(modal=modal("must")))),
        "We laugh because Anna must call him.",
        "Wir lachen, weil Anna ihn anrufen muss.",
    ),
    (
        Sentence(clause=does(ME, "arrive", tense="future", place=at("the station"))),
        "I will arrive at the station.",
        "Ich werde am Bahnhof ankommen.",
    ),
    # the perfect with sein
    (
        Sentence(clause=does(ME, "go", tense="past", direction=to("the dark forest"))),
        "I went into the dark forest.",
        "Ich bin in den dunklen Wald gegangen.",
    ),
    # negation
    (
        Sentence(clause=does(np("the child"), "see", accusative=np("the bear"), negated=True)),
        "The child does not see the bear.",
        "Das Kind sieht den Bären nicht.",
    ),
    (
        Sentence(clause=does(SHE, "drink", accusative=np("no hot coffee"))),
        "She drinks no hot coffee.",
        "Sie trinkt keinen heißen Kaffee.",
    ),
    # cases
    (
        Sentence(clause=does(np("every boy"), "help", dative=np("the poor lion"))),
        "Every boy helps the poor lion.",
        "Jeder Junge hilft dem armen Löwen.",
    ),
    (
        Sentence(clause=does(THEY, "give", dative=np("many old man", plural=True), accusative=np("cold water"))),
        "They give many old men cold water.",
        "Sie geben vielen alten Männern kaltes Wasser.",
    ),
    (
        Sentence(clause=does(np("the dog", owner=np("my old neighbour")), "sleep", place=at("a small garden"))),
        "The dog of my old neighbour sleeps in a small garden.",
        "Der Hund meines alten Nachbarn schläft in einem kleinen Garten.",
    ),
    # relative clauses
    (
        Sentence(clause=does(ME, "call", tense="past", accusative=np("the woman", relative=WHOM_PAUL_THANKS))),
        "I called the woman whom Paul thanks.",
        "Ich habe die Frau angerufen, der Paul dankt.",
    ),
    (
        Sentence(clause=does(np("the child", relative=WHO_SLEPT), "wake up")),
        "The child who fell asleep wakes up.",
        "Das Kind, das eingeschlafen ist, wacht auf.",
    ),
    (
        Sentence(clause=does(SHE, "need", accusative=np("the key", relative=WHOM_I_SEE))),
        "She needs the key that I see.",
        "Sie braucht den Schlüssel, den ich sehe.",
    ),
    # infinitives
    (
        Sentence(
            clause=does(HE, "try", tense="past"),
            after=Infinitive(purpose=False, clause=does(Gap(), "close", accusative=np("the door"))),
        ),
        "He tried to close the door.",
        "Er hat versucht, die Tür zuzumachen.",
    ),
    (
        Sentence(
            clause=does(ME, "hike", direction=to("the market")),
            after=Infinitive(purpose=True, clause=does(Gap(), "buy", accusative=np("bread"))),
        ),
        "I hike to the market in order to buy bread.",
        "Ich wandere zum Markt, um Brot zu kaufen.",
    ),
    # questions and predicates
    (
        Sentence(clause=buys(tense="past"), question=Adverb(english="why", german="warum")),
        "Why did the teacher buy a red car?",
        "Warum hat der Lehrer ein rotes Auto gekauft?",
    ),
    (
        Sentence(clause=calls(), question=Adverb(english="", german="")),
        "Does Anna call him?",
        "Ruft Anna ihn an?",
    ),
    (
        Sentence(
            clause=Clause(
                subject=np("the car", plural=True), verb=lexicon.BE, tense="past", predicate=np("new car").adjective
            )
        ),
        "The cars were new.",
        "Die Autos waren neu.",
    ),
]


@pytest.mark.parametrize(("tree", "english", "german"), EXPECTED, ids=[english for _, english, _ in EXPECTED])
def test_translation(tree: Sentence, english: str, german: str) -> None:
    assert translation(tree) == (english, german)


# The words of both sides, and the links written by hand.
ALIGNED = [
    # a verb and its particle, or a single verb; an auxiliary on one side only
    (Sentence(clause=calls()), "Anna calls him", "Anna ruft ihn an", "0-0 1-1 1-3 2-2"),
    (Sentence(clause=does(ME, "pick up", accusative=SHE)), "I pick her up", "Ich hole sie ab", "0-0 1-1 2-2 3-3"),
    (
        Sentence(clause=does(ME, "pick up", accusative=SHE, tense="past")),
        "I picked her up",
        "Ich habe sie abgeholt",
        "0-0 1-1 1-3 2-2 3-3",
    ),
    (
        Sentence(clause=does(HE, "pick up", accusative=HE, negated=True)),
        "He does not pick him up",
        "Er holt ihn nicht ab",
        "0-0 1-1 2-3 3-1 4-2 5-4",
    ),
    (
        Sentence(clause=does(HE, "buy", accusative=np("a hat"), tense="past", negated=True)),
        "He did not buy a hat",
        "Er hat einen Hut nicht gekauft",
        "0-0 1-1 2-4 3-5 4-2 5-3",
    ),
    (
        Sentence(clause=does(HE, "call", accusative=SHE, modal=modal("want to"), negated=True)),
        "He does not want to call her",
        "Er will sie nicht anrufen",
        "0-0 1-1 2-3 3-1 4-1 5-4 6-2",
    ),
    # one word for two
    (
        Sentence(clause=does(ME, "call", accusative=HE, modal=modal("can"), negated=True, adverb=MORNING)),
        "I cannot call him in the morning",
        "Ich kann ihn am Morgen nicht anrufen",
        "0-0 1-1 1-5 2-6 3-2 4-3 5-3 6-4",
    ),
    (
        Sentence(clause=does(ME, "go", direction=to("the market"))),
        "I go to the market",
        "Ich gehe zum Markt",
        "0-0 1-1 2-2 3-2 4-3",
    ),
    (
        Sentence(
            clause=does(HE, "try"),
            after=Infinitive(purpose=False, clause=does(Gap(), "close", accusative=np("the door"))),
        ),
        "He tries to close the door",
        "Er versucht die Tür zuzumachen",
        "0-0 1-1 2-4 3-4 4-2 5-3",
    ),
    (
        Sentence(
            clause=does(ME, "hike", direction=to("the market")),
            after=Infinitive(purpose=True, clause=does(Gap(), "buy", accusative=np("bread"))),
        ),
        "I hike to the market in order to buy bread",
        "Ich wandere zum Markt um Brot zu kaufen",
        "0-0 1-1 2-2 3-2 4-3 5-4 6-4 7-6 8-7 9-5",
    ),
    # the genitive, with and without a determiner
    (
        Sentence(clause=does(np("the dog", owner=np("my old neighbour")), "sleep")),
        "The dog of my old neighbour sleeps",
        "Der Hund meines alten Nachbarn schläft",
        "0-0 1-1 2-2 3-2 4-3 5-4 6-5",
    ),
    # the same pronoun twice, and a relative clause
    (
        Sentence(clause=does(THEY, "see", accusative=np("the woman", relative=WHOM_PAUL_THANKS))),
        "They see the woman whom Paul thanks",
        "Sie sehen die Frau der Paul dankt",
        "0-0 1-1 2-2 3-3 4-4 5-5 6-6",
    ),
    (
        Sentence(front=because(calls(tense="past")), clause=buys(tense="future")),
        "Because Anna called him the teacher will buy a red car",
        "Weil Anna ihn angerufen hat wird der Lehrer ein rotes Auto kaufen",
        "0-0 1-1 2-3 2-4 3-2 4-6 5-7 6-5 7-11 8-8 9-9 10-10",
    ),
]


@pytest.mark.parametrize(("tree", "english", "german", "links"), ALIGNED, ids=[case[1] for case in ALIGNED])
def test_alignment(tree: Sentence, english: str, german: str, links: str) -> None:
    assert [re.sub("[.,?]", "", line) for line in translation(tree)] == [english, german]
    assert alignment(tree) == links


def test_each_word_is_aligned() -> None:
    """Only the German commas are in one language alone."""
    for (source, target), tree in trees(3000, seed=5).items():
        links = [tuple(map(int, link.split("-"))) for link in alignment(tree).split()]
        assert {i for i, _ in links} == set(range(len(source.split())))
        assert {j for _, j in links} == set(range(len(target.split())))


@pytest.mark.parametrize(
    ("words", "plural", "german"),
    [
        ("the old book", False, "das alte Buch"),
        ("this old book", False, "dieses alte Buch"),
        ("a old book", False, "ein altes Buch"),
        ("my old book", True, "meine alten Bücher"),
        ("all old book", True, "alle alten Bücher"),
        ("two old book", True, "zwei alte Bücher"),
        ("many old book", True, "viele alte Bücher"),
        ("old book", True, "alte Bücher"),
        ("fresh bread", False, "frisches Brot"),
        ("a expensive hat", False, "einen teuren Hut"),
        ("no expensive jacket", False, "keine teure Jacke"),
    ],
)
def test_adjective_endings(words: str, plural: bool, german: str) -> None:
    """Weak, mixed and strong, all in the accusative."""
    tree = Sentence(clause=does(ME, "buy", accusative=np(words, plural)))
    assert translation(tree)[1] == f"Ich kaufe {german}."


@pytest.mark.parametrize(
    ("subject", "english", "german"),
    [
        (ME, "smile", "Ich lächle."),
        (ME, "feed", "Ich füttere."),
        (ME, "wake up", "Ich wache auf."),
        (HE, "sleep", "Er schläft."),
        (THEY, "sleep", "Sie schlafen."),
        (ANNA, "work", "Anna arbeitet."),
    ],
)
def test_verb_endings(subject: Subject, english: str, german: str) -> None:
    assert translation(Sentence(clause=does(subject, english)))[1] == german


@pytest.fixture(scope="module")
def drawn() -> list[tuple[str, str]]:
    return list(itertools.islice(draws(seed=7), 12000))


def test_each_english_sentence_has_one_translation(drawn: list[tuple[str, str]]) -> None:
    translations: dict[str, str] = {}
    for english, german in drawn:
        assert translations.setdefault(english, german) == german


def test_subordinate_clauses_end_in_a_finite_verb(drawn: list[tuple[str, str]]) -> None:
    finite = {"hat", "habe", "haben", "ist", "bin", "sind", "war", "waren", "wird", "werde", "werden", "kann", "können"}
    finite |= {"muss", "müssen", "soll", "sollen", "darf", "dürfen", "will", "wollen"}
    finite |= {verb.prefix + form for verb in VERBS for form in (verb.third, verb.german, verb.german[:-1])}
    finite |= {"lächle", "wandere", "füttere", "weiß"}
    clauses = [found for _, german in drawn if (found := re.search(r", (?:weil|dass|ob|obwohl) ([^,]*)\.$", german))]
    assert len(clauses) > 1000
    for clause in clauses:
        assert clause.group(1).split()[-1] in finite


def test_verb_is_second_after_an_adverb(drawn: list[tuple[str, str]]) -> None:
    """In English the subject comes second: `Soon the child sleeps`."""
    finite = {"hat", "habe", "haben", "ist", "bin", "sind", "wird", "werde", "werden"}
    sentences = [german.split() for english, german in drawn if english.startswith(("Yesterday", "Soon", "Tomorrow"))]
    assert len(sentences) > 100
    assert {words[1] for words in sentences} <= finite | {"war", "waren"}
    assert all(words[0] in ("Gestern", "Bald", "Morgen") for words in sentences)


def test_sentences_are_well_formed(drawn: list[tuple[str, str]]) -> None:
    for line in itertools.chain(*drawn):
        assert re.fullmatch(r"[A-ZÄÖÜ][A-Za-zÄÖÜäöüß']*(,? [A-Za-zÄÖÜäöüß']+)*[.?]", line), line


def test_word_order_differs(drawn: list[tuple[str, str]]) -> None:
    """Something to learn: many translations end in the verb that is the second word in English."""
    ends = {verb.participle for verb in VERBS} | {verb.prefix + verb.german for verb in VERBS}
    assert sum(german.rstrip(".?").split()[-1] in ends for _, german in drawn) > 0.35 * len(drawn)


def test_every_word_is_used(drawn: list[tuple[str, str]]) -> None:
    seen = {word.strip(".,?").lower() for english, _ in drawn for word in english.split()}
    words = [noun.english for noun in NOUNS] + [adjective.english for adjective in entries.adjectives()]
    words += [verb.english.split()[0] for verb in VERBS]
    assert set(words) <= seen
    assert len(set(words)) > 200


def test_tables_agree() -> None:
    kinds = set(entries.nouns())
    assert all(kinds >= {*verb.subjects, *verb.objects} for verb in VERBS)
    assert all(kinds >= set(adjective.kinds) for adjective in entries.adjectives())
    places = {noun.english for kind in ("place", "room") for noun in entries.nouns()[kind]}
    assert places == set(entries.prepositions(LOCATIONS)) == set(entries.prepositions(DIRECTIONS))
    assert all(noun.german[0].isupper() for noun in NOUNS)


def test_pairs_are_distinct_and_the_same_for_a_seed() -> None:
    first = pairs(2000, seed=3)
    assert len(first) == len({source for source, _ in first}) == len({target for _, target in first}) == 2000
    assert pairs(2000, seed=3) == first
    assert pairs(2000, seed=4) != first


def test_command(tmp_path: Path) -> None:
    """The parts have the requested sizes, share no sentence, and do not depend on the order of hashes."""
    for hash_seed in ("1", "2"):
        command = [
            sys.executable,
            str(SCRIPTS / "make-corpus"),
            str(tmp_path / hash_seed),
            "--train=900",
            "--valid=60",
            "--test=40",
            "--alignments",
        ]
        subprocess.run(command, check=True, env={**os.environ, "PYTHONHASHSEED": hash_seed})
    files = sorted(path.name for path in (tmp_path / "1").iterdir())
    assert files == [f"{part}.{side}" for part in ("test", "train", "valid") for side in ("align", "de", "en")]
    for name in files:
        assert (tmp_path / "1" / name).read_bytes() == (tmp_path / "2" / name).read_bytes()
    for language in ("en", "de"):
        lines = {
            part: (tmp_path / "1" / f"{part}.{language}").read_text().splitlines()
            for part in ("train", "valid", "test")
        }
        assert {part: len(found) for part, found in lines.items()} == {"train": 900, "valid": 60, "test": 40}
        assert len(set(itertools.chain(*lines.values()))) == 1000


def test_default_sizes() -> None:
    text = (SCRIPTS / "grammar_corpus" / "main.py").read_text()
    assert all(f"default={size}" in text for size in (12000, 500))
