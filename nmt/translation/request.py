"""The records of a text on its way through the translator: `Request`, `Segment`, `Translation`."""

from dataclasses import KW_ONLY, dataclass, field

from nmt.search.options import Options, SearchOptions
from nmt.search.sentence import Sentence


@dataclass(frozen=True)
class Request:
    """One text to translate, with the settings for this text.

    >>> Request("A man rides a horse.", to="de")
    Request(text='A man rides a horse.', to='de', tag=None, split=None, options=None, name=None)
    """

    text: str
    """Plain text of any length, read as one line."""
    _: KW_ONLY
    to: str | None = None
    """The target language. It is required if the model has several."""
    tag: str | None = None
    """A tag of training corpora, in whose style the text is translated. The default is the style of the corpora without
    a tag."""
    split: bool | None = None
    """Whether to translate each sentence separately. A model trained on sentences omits most of a longer paragraph. By
    default, sentences are separated if the model was trained on lines of single sentences
    (`data.several_sentences`)."""
    options: Options | None = None
    """Options of search or sampling. The default is beam search with the defaults of `SearchOptions`."""
    name: str | None = None
    """The name of this text in warnings. The default is "line N", where N is its position in the call, from 1."""

    def __post_init__(self) -> None:
        if not isinstance(self.text, str):
            raise TypeError(f"the text of a Request is {type(self.text).__name__}, not a str")

    def segment(self, source: tuple[int, ...], *, capitals: str | None = None) -> "Segment":
        """Return the segment for a part of the text, given as source ids, with tags first and EOS last."""
        return Segment(source=source, options=self.options or SearchOptions(), capitals=capitals)


@dataclass(frozen=True, kw_only=True)
class Segment(Sentence):
    """The unit that a search translates, which is a whole text, a sentence, or a part of a long sentence.

    It carries everything that its request asks of search. Equal segments of a call are searched once.
    """

    options: Options
    """The options of search or sampling."""
    capitals: str | None = None
    """The target language if the translation is to be written in capitals, and otherwise None."""

    @property
    def ids(self) -> tuple[int, ...]:
        """The source ids, with tags first and without EOS."""
        return self.source[:-1]


@dataclass(frozen=True, kw_only=True)
class Translation:
    """One translation of one text. If the text was translated in parts, their translations are concatenated."""

    text: str
    """Plain text, always a single line."""
    score: float
    """The score by which n-best lists are ordered. With a length penalty of 1, the score is the mean log-probability of
    a token. Samples are not ordered by score."""
    source_tokens: list[str]
    """The tokens of the source, with its tags first."""
    tokens: list[str]
    """The tokens of the translation."""
    alignment: list[int]
    """For each token of the translation, the index of the source token with the largest attention weight. The list is
    empty unless the options ask for attention."""
    attention: list[list[float]] = field(default_factory=list)
    """For each token of the translation, its attention weights over `source_tokens`. They sum to less than 1, because
    EOS of the source has the remaining weight. The list is empty unless the options ask for attention."""
