"""The records of nmt's own API."""

from dataclasses import dataclass
from typing import Literal

from nmt.search.options import MbrOptions, SampleOptions, SearchOptions
from nmt.translation.terms import Term


@dataclass(frozen=True, kw_only=True)
class Choice:
    """The languages, and the model."""

    source: str | None = None
    """The source language. It can be left out if the server has only one choice. `/v1/translate` detects `auto`."""
    target: str | None = None
    """The target language. It can be left out if the server has only one choice."""
    model: str | None = None
    """The name of a model. By default, the first model for the two languages translates."""
    tag: str | None = None
    """A tag of training corpora, in whose style the text is translated."""


@dataclass(frozen=True, kw_only=True)
class TranslateRequest(Choice):
    """Texts to translate, and how."""

    text: str | list[str]
    """The text, or a list of texts. Lines are translated one by one, and stay lines."""
    split: bool | None = None
    """Whether each sentence is translated separately. The default depends on the training data of the model."""
    guard: bool | None = None
    """Whether translations with an obvious fault, such as a loop, are searched again."""
    protect: bool | None = None
    """Whether URLs, numbers, placeholders and other things that are not words are copied."""
    markup: Literal["html", "xml"] | None = None
    """The markup of the text. The default is plain text."""
    prefix: str | None = None
    """The beginning of the translation. It can end within a word. The text must be a single line."""
    terms: list[Term] | None = None
    """Words with a fixed translation."""
    glossary: str | None = None
    """The id of a glossary that is stored on the server. Its terms are used after `terms`."""
    search: SearchOptions | None = None
    """The options of beam search."""
    sample: SampleOptions | None = None
    """Draw samples instead, with these options."""
    mbr: MbrOptions | None = None
    """Minimum Bayes risk decoding instead, with these options."""
    details: bool = False
    """Whether the response has tokens, alignments, characters of tokens and probabilities of words."""
    attention: bool = False
    """Whether the response has attention weights, too."""
    stream: bool = False
    """Whether translations are sent as server-sent events, each as soon as it is ready."""


@dataclass(frozen=True, kw_only=True)
class TermReport:
    """A term that applies to a text."""

    source: str
    target: str
    used: bool
    """Whether the translation contains the target."""


@dataclass(frozen=True, kw_only=True)
class WordRecord:
    """A word of a translation."""

    start: int
    """Where it starts in `text`, counted in Unicode code points."""
    end: int
    probability: float
    """The product of the probabilities of its tokens."""
    confidence: float
    """The share of words with this probability that are also in the human translation, as measured on the validation
    text of the model. It tells how sure the model is, not whether this word is right."""


@dataclass(frozen=True, kw_only=True)
class TranslationRecord:
    """One translation of a text."""

    text: str
    score: float
    """With a length penalty of 1, the mean log-probability of a token."""
    searched_again: list[str]
    """The faults for which parts of the text were searched again: `loop`, `length` or `omission`."""
    faults: list[str]
    """The faults that are left."""
    terms: list[TermReport] | None = None
    """The terms that apply to the text."""
    copied: list[str] | None = None
    """Things that were copied, such as URLs."""
    source_tokens: list[str] | None = None
    tokens: list[str] | None = None
    alignment: list[int] | None = None
    """For each token, the index of the source token with the largest attention weight."""
    spans: list[list[int]] | None = None
    """For each token, the start and the end of its characters in `text`, counted in Unicode code points."""
    confidence: float | None = None
    """The mean confidence of the words."""
    words: list[WordRecord] | None = None
    """The words, separated by white space, and the confidence in them. They are missing for text with markup or copied
    things, and if PyTorch translates."""
    attention: list[list[float]] | None = None
    """For each token, the attention weights of the source tokens."""


@dataclass(frozen=True, kw_only=True)
class TextResult:
    """The translations of one text."""

    source: str
    """The source language."""
    target: str
    """The target language."""
    models: list[str]
    """The names of the models that translated it, one after the other."""
    detected: float | None = None
    """The probability of the source language, if it was detected."""
    translations: list[TranslationRecord]
    """The translations, the best first, or the samples."""


@dataclass(frozen=True, kw_only=True)
class TranslateAnswer:
    """The results of all texts."""

    results: list[TextResult]


@dataclass(frozen=True, kw_only=True)
class ScoreRequest(Choice):
    """Translations to score."""

    text: str | list[str]
    """The text, or a list of texts."""
    translation: str | list[str]
    """A translation of each text."""


@dataclass(frozen=True, kw_only=True)
class ScoreRecord:
    """The probability of a translation. A probability of zero has null as its logarithm."""

    log_probability: float | None
    """Log P of the translation, in nats, including its end."""
    per_token: float | None
    per_word: float | None
    tokens: list[str]
    token_log_probabilities: list[float | None]
    """Log P of each token and of the end of the sentence."""


@dataclass(frozen=True, kw_only=True)
class ScoreAnswer:
    """The scores of all translations."""

    scores: list[ScoreRecord]


@dataclass(frozen=True, kw_only=True)
class AlternativesRequest(Choice):
    """A text, and the beginning of its translation."""

    text: str
    """The text, a single line."""
    prefix: str = ""
    """The translation up to the position. It can end within a word."""
    count: int = 5
    """The maximum number of words."""


@dataclass(frozen=True, kw_only=True)
class AlternativeRecord:
    """A word that can be next."""

    word: str
    probability: float
    text: str
    """The best translation that contains the word at this position."""


@dataclass(frozen=True, kw_only=True)
class AlternativesAnswer:
    """The most probable next words, the most probable first."""

    alternatives: list[AlternativeRecord]


@dataclass(frozen=True, kw_only=True)
class DetectRequest:
    """Texts whose languages are detected."""

    text: str | list[str]


@dataclass(frozen=True, kw_only=True)
class LanguageGuess:
    """A language that a text can be in."""

    language: str
    probability: float


@dataclass(frozen=True, kw_only=True)
class DetectAnswer:
    """For each text, the languages that it can be in, the most probable first."""

    results: list[list[LanguageGuess]]


@dataclass(frozen=True, kw_only=True)
class ModelRecord:
    """A model that is loaded."""

    name: str
    sources: list[str]
    targets: list[str]
    tags: list[str]
    detects_languages: bool


@dataclass(frozen=True, kw_only=True)
class PairRecord:
    """A pair of languages between which the server translates."""

    source: str
    target: str
    models: list[str]
    """The models that translate, one after the other."""


@dataclass(frozen=True, kw_only=True)
class ModelsAnswer:
    """The models and the pairs of languages."""

    models: list[ModelRecord]
    pairs: list[PairRecord]
