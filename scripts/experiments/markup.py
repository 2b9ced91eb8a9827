"""Score what becomes of tags, and of things that are not words, in the translations of a model.

Random nested tags are put around the words of 300 lines, and a thing into each of 200 lines.

    scripts/score-markup runs/m30k --source val.en --reference val.de

With --gold, it also scores how many words are in the tags of the words that a gold alignment gives them.
"""

import argparse
import html
import time
from random import Random
from typing import Any

from lxml import etree

from experiments.alignments import Links, read_links
from nmt.commands.process import run
from nmt.data.text_files import read_lines
from nmt.metrics.metric import Scoring
from nmt.metrics.standard import build_metric
from nmt.translation.alignment import find_words
from nmt.translation.translator import Translator

THINGS = (
    "https://example.org/path?a=1&b=2", "someone@example.org", "{0}", "%1$s", "{{name}}", "${x}", "🐴", "2,345.67",
    "2024-05-31", "12:30", "5000 km", "`x = 1`", "report.pdf", "#tag", "@user",
)  # fmt: skip
TAGS = ("b", "i", "em", "strong", "span", "a", "u", "x")
EMPTY = ("", "<br/> ", '<img src="a.png"/> ', '<x id="1"></x> ')
ATTRIBUTES = ("", ' class="a &amp; b"', " rel=\"&lt;x&gt;\" id='q'")


def add_tags(random: Random, words: list[str], depth: int = 0) -> str:
    """Put nested tags around words at random, and empty elements between them."""
    if len(words) < 2 or depth > 2:
        return " ".join(html.escape(word, quote=False) for word in words)
    first = random.randrange(len(words))
    last = random.randrange(first + 1, len(words) + 1)
    name, attributes, empty = random.choice(TAGS), random.choice(ATTRIBUTES), random.choice(EMPTY)
    parts = [
        add_tags(random, words[:first], depth + 1),
        f"{empty}<{name}{attributes}>{add_tags(random, words[first:last], depth + 1)}</{name}>",
        add_tags(random, words[last:], depth + 1),
    ]
    return " ".join(filter(None, parts))


def score_tags(translator: Translator, lines: list[str]) -> None:
    """Print how many translations are well-formed, have the plain text, and have all kinds of tags."""
    random = Random(1)
    tagged = [add_tags(random, line.split()) for line in lines]
    start = time.process_time()
    plain = translator.translate(lines)
    between = time.process_time()
    translated = translator.translate(tagged, markup="html")
    end = time.process_time()
    well_formed = same = kept = 0
    for source, target, text in zip(tagged, translated, plain, strict=True):
        before = etree.fromstring(f"<r>{source}</r>")
        try:
            after = etree.fromstring(f"<r>{target}</r>")
        except etree.XMLSyntaxError:
            continue
        well_formed += 1
        same += " ".join("".join(after.itertext()).split()) == text
        kept += {element.tag for element in before.iter()} == {element.tag for element in after.iter()}
    print(f"well-formed {well_formed}, text as without tags {same}, all kinds of tags {kept}, of {len(lines)}")
    print(f"CPU seconds: plain {between - start:.2f}, with tags {end - between:.2f}")


def number_tags(random: Random, words: list[str], stacks: list[tuple[str, ...]], first: int = 0) -> str:
    """Put nested tags with numbers around words at random. Write the tags of each word to `stacks`."""
    if len(words) < 2 or len(stacks[first]) > 2:
        return " ".join(words)
    start = random.randrange(len(words))
    end = random.randrange(start + 1, len(words) + 1)
    number = str(random.randrange(10**9))
    for place in range(first + start, first + end):
        stacks[place] = (*stacks[place], number)
    parts = [
        number_tags(random, words[:start], stacks, first),
        f'<b n="{number}">{number_tags(random, words[start:end], stacks, first + start)}</b>',
        number_tags(random, words[end:], stacks, first + end),
    ]
    return " ".join(filter(None, parts))


def find_stacks(element: Any, stack: tuple[str, ...] = ()) -> list[tuple[str, tuple[str, ...]]]:
    """Return the characters of an element, each with its tags."""
    characters = [(character, stack) for character in element.text or ""]
    for child in element:
        characters += find_stacks(child, (*stack, child.get("n")))
        characters += [(character, stack) for character in child.tail or ""]
    return characters


def score_gold(translator: Translator, lines: list[str], references: list[str], gold: list[Links]) -> None:
    """Print how many words of translations are in the tags of a source word that the gold aligns them to."""
    random = Random(1)
    right = total = equal = 0
    for line, reference, links in zip(lines, references, gold, strict=True):
        stacks: list[tuple[str, ...]] = [()] * len(line.split())
        tagged = number_tags(random, line.split(), stacks)
        characters = find_stacks(etree.fromstring(f"<r>{translator.translate(tagged, markup='html')[0]}</r>"))
        if "".join(character for character, _ in characters) != reference:
            continue  # the gold belongs to the words of the reference
        equal += 1
        for place, (start, _) in enumerate(find_words(reference)):
            right += characters[start][1] in {stacks[source] for source, target in links if target == place}
            total += 1
    print(f"words in the tags that the gold asks for: {right} of {total} ({right / total:.2%})")
    print(f"in the {equal} of {len(lines)} translations that equal the reference")


def score_things(translator: Translator, lines: list[str], references: list[str]) -> None:
    """Print how many things are kept, and the score of the other words."""
    random, metric = Random(1), build_metric("bleu", Scoring())
    plain = metric.score(translator.translate(lines), [references])
    things = [random.choice(THINGS) for _ in lines]
    changed = []
    for line, thing in zip(lines, things, strict=True):
        words = line.split()
        words.insert(random.randrange(len(words)), thing)
        changed.append(" ".join(words))
    for protect in (True, False):
        translated = translator.translate(changed, protect=protect)
        kept = sum(text.count(thing) == 1 for text, thing in zip(translated, things, strict=True))
        rest = [text.replace(thing, " ") for text, thing in zip(translated, things, strict=True)]
        rest = [" ".join(text.split()).replace(" .", ".").replace(" ,", ",") for text in rest]
        value = metric.score(rest, [references])
        print(
            f"protect={protect}: kept {kept} of {len(lines)}, BLEU of the rest {value:.2f}, without things {plain:.2f}"
        )


def run_script() -> int:
    parser = argparse.ArgumentParser(prog="score-markup", description="Score tags and things in translations.")
    parser.add_argument("model")
    parser.add_argument("--source", required=True)
    parser.add_argument("--reference", required=True)
    parser.add_argument("--gold", help="alignments of the first 300 lines: 0-0 1-2 ...")
    parser.add_argument("--reverse", action="store_true", help="the gold has the words of the reference first")
    options = parser.parse_args()

    def body() -> None:
        translator = Translator.load(options.model)
        lines, references = list(read_lines(options.source)), list(read_lines(options.reference))
        score_tags(translator, lines[:300])
        if options.gold:
            score_gold(translator, lines[:300], references[:300], read_links(options.gold, options.reverse)[:300])
        score_things(translator, lines[:200], references[:200])

    return run("score-markup", body)
