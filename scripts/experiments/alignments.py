"""Score the alignments of a model against gold alignments.

The model translates each source with the reference as prefix, so that its attention belongs to the words of the
reference. The alignment error rate is 1 - 2 |A ∩ G| / (|A| + |G|), for the links A of the model and G of the gold.

    scripts/make-corpus corpus --alignments
    scripts/score-alignments runs/quickstart --source corpus/test.en --reference corpus/test.de --gold corpus/test.align
"""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass

from nmt.commands.process import run
from nmt.data.text_files import read_lines
from nmt.search.options import SearchOptions
from nmt.translation.alignment import find_words
from nmt.translation.request import Request, Translation
from nmt.translation.translator import Translator

Links = set[tuple[int, int]]


@dataclass
class Counts:
    """The numbers of links of a model, of the gold, and of both."""

    found: int = 0
    gold: int = 0
    both: int = 0

    def add(self, found: Links, gold: Links) -> None:
        self.found += len(found)
        self.gold += len(gold)
        self.both += len(found & gold)

    def __str__(self) -> str:
        found, gold = max(1, self.found), max(1, self.gold)
        error = 1 - 2 * self.both / max(1, self.found + self.gold)
        return f"error {error:.4f}, precision {self.both / found:.4f}, recall {self.both / gold:.4f}"


def read_links(path: str, reverse: bool) -> list[Links]:
    """Read alignments in Pharaoh form, and turn them around if `reverse` is true."""
    lines = []
    for line in read_lines(path):
        pairs = [tuple(map(int, link.split("-"))) for link in line.split()]
        lines.append({(second, first) if reverse else (first, second) for first, second in pairs})
    return lines


def link_tokens(translation: Translation, source_spans: Sequence[tuple[int, int]], source: str) -> Links:
    """Return the words that are linked if each token is linked to the source token with the largest weight."""
    sources, targets = find_words(source), find_words(translation.text)
    links = Links()
    for span, place in zip(translation.spans, translation.alignment, strict=True):
        for i, first in enumerate(sources):
            for j, second in enumerate(targets):
                if _overlap(source_spans[place], first) and _overlap(span, second):
                    links.add((i, j))
    return links


def _overlap(first: tuple[int, int], second: tuple[int, int]) -> bool:
    return first[0] < second[1] and second[0] < first[1]


def score_alignments(
    translator: Translator, sources: Sequence[str], references: Sequence[str], gold: list[Links]
) -> None:
    """Print the scores of the alignment of words, and of the simple alignment by tokens."""
    options = SearchOptions(beam=1, attention=True)
    requests = [
        Request(source, prefix=reference, split=False, protect=False, options=options)
        for source, reference in zip(sources, references, strict=True)
    ]
    words, tokens, forced = Counts(), Counts(), 0
    for request, (translation,), links in zip(requests, translator.nbest(requests), gold, strict=True):
        if translation.text != request.prefix:
            continue
        forced += 1
        words.add(set(translation.word_alignment), links)
        tokens.add(link_tokens(translation, translator.segmenter.locate(request), request.text), links)
    print(f"words:  {words}")
    print(f"tokens: {tokens}")
    print(f"{forced} of {len(requests)} references")


def run_script() -> int:
    parser = argparse.ArgumentParser(prog="score-alignments", description="Score alignments against gold alignments.")
    parser.add_argument("model")
    parser.add_argument("--source", required=True)
    parser.add_argument("--reference", required=True)
    parser.add_argument("--gold", required=True, help="a line for each pair: 0-0 1-2 ...")
    parser.add_argument("--reverse", action="store_true", help="the gold has the words of the reference first")
    options = parser.parse_args()

    def body() -> None:
        translator = Translator.load(options.model)
        gold = read_links(options.gold, options.reverse)
        score_alignments(translator, list(read_lines(options.source)), list(read_lines(options.reference)), gold)

    return run("score-alignments", body)
