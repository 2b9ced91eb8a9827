"""Request and Translation: what goes into the translator for each text, and what comes out."""

from dataclasses import KW_ONLY, dataclass, field

from nmt.search.options import Options


@dataclass(frozen=True)
class Request:
    """One text to translate, with everything that is asked for it.

    >>> Request("A man rides a horse.", to="de")
    Request(text='A man rides a horse.', to='de', tag=None, split=False, options=None, name=None)
    """

    text: str
    """Plain text of any length, read as one line."""
    _: KW_ONLY
    to: str | None = None
    """The target language, for models with several."""
    tag: str | None = None
    """Translate in the manner of the training corpora with this tag; by default, of those without a tag."""
    split: bool = False
    """Translate each sentence separately. A model trained on sentences omits most of a longer paragraph. Sentences end at full
    stops and similar marks before a space, so abbreviations split too."""
    options: Options | None = None
    """How to search or sample; by default a beam search with the defaults of `SearchOptions`."""
    name: str | None = None
    """What warnings call this text; by default "line N", its position in the call, from 1."""


@dataclass(frozen=True, kw_only=True)
class Translation:
    """One translation of one text. If the text was translated in parts, this is their concatenation."""

    text: str
    """Plain text, always a single line."""
    score: float
    """The score that orders n-best lists: with a length penalty of 1 the mean log-probability of a token. Samples are not
    ordered by it."""
    source_tokens: list[str]
    """The tokens of the source: its tags, then its text."""
    tokens: list[str]
    """The tokens of the translation."""
    alignment: list[int]
    """For each token of the translation, the index of the source token with the largest attention weight. Empty unless the
    options ask for attention."""
    attention: list[list[float]] = field(default_factory=list)
    """For each token of the translation, its attention weights over `source_tokens`. A row sums to less than 1, because the
    end of the sentence gets the rest. Empty unless the options ask for attention."""
