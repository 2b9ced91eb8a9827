"""The records that pass through the translator: `Request`, `Segment`, `Translation` and others."""

import math
from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass, field, replace
from typing import Any, Literal, TypedDict

from nmt.errors import ConfigError
from nmt.search.options import MbrOptions, Options, SampleOptions, SearchOptions
from nmt.search.sentence import Sentence, TermIds
from nmt.translation.terms import Term, TermUse

_DEFAULT = SearchOptions()


@dataclass(frozen=True)
class Request:
    """A text to translate, with the settings for this text.

    >>> Request("A man rides a horse.", to="de", prefix="Ein M").prefix
    'Ein M'
    """

    text: str
    """Plain text of any length. It is treated as one line."""
    _: KW_ONLY
    to: str | None = None
    """The target language. It is required if the model has several target languages."""
    tag: str | None = None
    """A tag of training corpora. The text is translated in the style of these corpora. By default, it is translated in
    the style of the corpora without a tag."""
    split: bool | None = None
    """Whether to translate each sentence separately. By default, sentences are translated separately if the model was
    trained on lines of single sentences (`data.several_sentences`). Such a model omits most of a longer paragraph."""
    options: Options | MbrOptions | None = None
    """Options of search, sampling or minimum Bayes risk decoding. The default is beam search with the defaults of
    `SearchOptions`."""
    prefix: str | None = None
    """The beginning of the translation, in the target language. It can end anywhere, also within a word. A text with a
    prefix is not split into sentences. If it is translated in parts, because it is very long, the translation of the
    first part begins with the prefix."""
    guard: bool | None = None
    """Whether a translation with an obvious fault, such as a loop, is searched again, and text without letters stays as
    it is (nmt/translation/guards.py). By default, this is so, except for models of versions before 0.3."""
    terms: Sequence[Term] | None = None
    """Words with a fixed translation, for example a whole glossary. A term applies where its source is in the text."""
    markup: Literal["html", "xml"] | None = None
    """The markup of the text. Its tags are carried over into the translation, and what is not text is kept. By default,
    the text is plain text. Needs the extra `markup`."""
    protect: bool | None = None
    """Whether things that are not words, such as URLs and placeholders, are copied into the translation. By default,
    they are. With a prefix, they are not."""
    numbers: Literal["keep", "locale"] | None = None
    """`locale` writes the numbers that are copied with the separators of the target language: 1,234.5 becomes 1.234,5
    in German. By default, they are kept."""
    name: str | None = None
    """The name of this text in warnings. The default is "line N". N is the position of the text in the call, from 1."""

    def __post_init__(self) -> None:
        if not isinstance(self.text, str):
            raise TypeError(f"the text of a Request is {type(self.text).__name__}, not a str")
        if self.markup not in (None, "html", "xml"):
            raise ConfigError(f"markup {self.markup}: choose html or xml, or leave it out for plain text")
        if self.numbers not in (None, "keep", "locale"):
            raise ConfigError(f"numbers {self.numbers}: choose keep or locale")
        if self.numbers == "locale" and self.protect is False:
            raise ConfigError("numbers locale: only for numbers that are copied; leave out protect=False")

    def segment(self, source: tuple[int, ...], *, length_penalty: float | None, **settings: Any) -> "Segment":
        """Return the segment for a part of the text. Its source ids begin with tags and end with EOS.

        `length_penalty` is that of the model. It applies if the options have none.
        """
        mbr = self.options if isinstance(self.options, MbrOptions) else None
        options = (self.options.search if isinstance(self.options, MbrOptions) else self.options) or _DEFAULT
        if length_penalty is not None and isinstance(options, SearchOptions) and options.length_penalty is None:
            options = replace(options, length_penalty=length_penalty)
        return Segment(source=source, options=options, mbr=mbr, **settings)


class RequestSettings(TypedDict, total=False):
    """Fields of `Request` that can be given for all texts of a call, as in `translator.translate(texts, to="de")`.

    `Request` says what each means. The settings of a `Request` take precedence.
    """

    to: str | None
    tag: str | None
    split: bool | None
    guard: bool | None
    terms: Sequence[Term] | None
    markup: Literal["html", "xml"] | None
    protect: bool | None
    numbers: Literal["keep", "locale"] | None


@dataclass(frozen=True, kw_only=True)
class Segment(Sentence):
    """The unit that a search translates: a whole text, a sentence, or a part of a long sentence.

    A segment contains all settings of its request that matter to search. Equal segments of a call are searched once.
    """

    options: Options
    """The options of search or sampling."""
    mbr: MbrOptions | None = None
    """The options of minimum Bayes risk decoding, if it follows the search."""
    capitals: str | None = None
    """The target language if the translation must be written in capitals. Otherwise, None."""
    guarded: bool = False
    """Whether the segment is searched again if its translation has an obvious fault."""
    verbatim: str | None = None
    """The text of the segment if it is not translated but stays as it is. Otherwise, None."""
    read_terms: tuple[tuple[Term, TermIds], ...] = ()
    """The terms in the source ids, which the model inflects, and what constrains search if it does not use them."""
    found_terms: tuple[Term, ...] = ()
    """The terms whose source is in the text, including terms that the vocabulary cannot spell."""

    @property
    def nbest(self) -> int:
        """The maximum number of translations of the segment."""
        if self.mbr:
            return self.mbr.nbest
        return self.options.samples if isinstance(self.options, SampleOptions) else self.options.nbest

    @property
    def ids(self) -> tuple[int, ...]:
        """The source ids without EOS. Tags come first."""
        return self.source[:-1]


@dataclass(frozen=True, kw_only=True)
class Word:
    """A word of a translation."""

    start: int
    """Where it starts in the text, in characters."""
    end: int
    probability: float
    """The product of the probabilities of its tokens."""
    confidence: float
    """The share of words with this probability that are also in the human translation, as measured on the validation
    text. If the model was not calibrated, it is the probability."""

    def move(self, characters: int) -> "Word":
        """Return the word in a text that has further characters before it."""
        return replace(self, start=self.start + characters, end=self.end + characters)


@dataclass(frozen=True, kw_only=True)
class Translation:
    """One translation of a text. If a text is translated in parts, the translations of its parts are concatenated."""

    text: str
    """The translation, on a single line if the text is on a single line."""
    score: float
    """The score of the translation. N-best lists are ordered by score, but samples are not. With a length penalty of 1,
    the score is the mean log-probability of a token."""
    source_tokens: list[str]
    """The tokens of the source. Tags come first."""
    tokens: list[str]
    """The tokens of the translation."""
    alignment: list[int]
    """For each token of the translation, the index of the source token with the largest attention weight. The list is
    empty unless the options ask for attention."""
    attention: list[list[float]] = field(default_factory=list)
    """For each token of the translation, the attention weights of `source_tokens`. Their sum is less than 1, because
    EOS of the source has the remaining weight. The list is empty unless the options ask for attention."""
    spans: list[tuple[int, int]] = field(default_factory=list)
    """For each token of the translation, the start and the end of its characters in `text`. The list is empty unless
    the options ask for attention, and for texts with markup or copied things."""
    word_alignment: list[tuple[int, int]] = field(default_factory=list)
    """Pairs of a source word and a word of the translation that attention aligns, as positions from 0. Words are
    separated by spaces. In languages written without spaces, each token is a word. The list is empty unless the options
    ask for attention, and for texts with markup."""
    token_log_probabilities: list[float] = field(default_factory=list, compare=False)
    """Log P of each of `tokens`, in nats. The list is empty if PyTorch searched the translation."""
    words: list[Word] = field(default_factory=list, compare=False)
    """The words of `text`. In languages written without spaces, each token is a word. The list is empty unless the
    options ask for attention, for texts with markup or copied things, and if PyTorch searched the translation."""
    searched_again: tuple[str, ...] = ()
    """The faults for which the text, or parts of it, were searched again: `loop`, `length` or `omission`."""
    faults: tuple[str, ...] = ()
    """The faults that the second search did not repair."""
    terms: list[TermUse] = field(default_factory=list)
    """The terms that apply to the text, and whether the translation uses them."""
    copied: list[str] = field(default_factory=list)
    """The things of the text that were copied into the translation, such as URLs."""

    @property
    def confidence(self) -> float | None:
        """The mean confidence of `words`: the share of them that are expected to be in the human translation. It is
        None without words."""
        return math.fsum(word.confidence for word in self.words) / len(self.words) if self.words else None


@dataclass(frozen=True, kw_only=True)
class Alternative:
    """A word that can be next in a translation, as `Translator.alternatives` finds it."""

    word: str
    """The word. If the prefix ends within a word, it is the whole word."""
    probability: float
    """The probability of the tokens of the word after the words before it, among all tokens. Longer words that were
    found and begin with the same tokens are excluded, so all alternatives together have a probability of at most 1."""
    text: str
    """The best translation that contains the word at this position."""


@dataclass(frozen=True, kw_only=True)
class PairScore:
    """The probability of a given translation, as `Translator.score` computes it.

    >>> score = PairScore(tokens=["▁Ein", "▁Hund"], token_log_probabilities=[-0.5, -1.0, -0.0], words=2)
    >>> score.log_probability, score.per_token, score.per_word
    (-1.5, -0.5, -0.75)
    """

    tokens: list[str]
    """The tokens of the translation, without EOS."""
    token_log_probabilities: list[float]
    """Log P of each token and of EOS, in nats. A token that no search can produce has −∞."""
    words: int
    """The number of words of the translation, separated by spaces."""

    @property
    def log_probability(self) -> float:
        """Log P of the translation, including EOS."""
        return math.fsum(self.token_log_probabilities)

    @property
    def per_token(self) -> float:
        """The mean log P of a token. EOS counts as a token."""
        return self.log_probability / len(self.token_log_probabilities)

    @property
    def per_word(self) -> float:
        """Log P divided by the number of words. An empty translation counts as one word."""
        return self.log_probability / max(1, self.words)
