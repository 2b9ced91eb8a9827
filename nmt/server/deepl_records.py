"""The records of DeepL's API. Parameters that are not listed are ignored."""

from dataclasses import dataclass
from typing import Any, Literal


@dataclass(frozen=True, kw_only=True)
class DeepLSettings:
    """How texts and documents are translated."""

    target_lang: str
    """The target language, in any case."""
    source_lang: str | None = None
    """The source language. By default, it is detected for each text or document."""
    formality: str | None = None
    """Models have no formality, so `more` and `less` are refused, and other values have no effect."""
    glossary_id: str | None = None
    """A glossary. It needs `source_lang`."""


@dataclass(frozen=True, kw_only=True)
class DeepLRequest(DeepLSettings):
    """Texts to translate. In forms, `text` is repeated, and lists of tags are separated by commas."""

    text: list[str]
    """At most 50 texts."""
    split_sentences: Literal["0", "1", "nonewlines"] | bool | None = None
    """`0` translates lines as a whole, and `nonewlines` ignores line breaks."""
    glossary_ids: list[str] | None = None
    """At most 5 glossaries."""
    tag_handling: Literal["xml", "html"] | None = None
    """The markup of the texts."""
    ignore_tags: list[str] | str | None = None
    """Elements whose content is not translated."""
    model_type: str | None = None
    """It is only repeated in the answer."""
    tag_handling_version: str | None = None
    """It is only repeated in the answer."""


@dataclass(frozen=True, kw_only=True)
class DeepLTranslation:
    """A translation."""

    detected_source_language: str
    text: str
    billed_characters: int
    model_type_used: str | None = None
    tag_handling_version: str | None = None


@dataclass(frozen=True, kw_only=True)
class DeepLAnswer:
    """The translations."""

    translations: list[DeepLTranslation]


@dataclass(frozen=True, kw_only=True)
class DeepLLanguagesRequest:
    """Which languages are listed."""

    type: Literal["source", "target"] = "source"
    """Source languages or target languages."""


@dataclass(frozen=True, kw_only=True)
class DeepLLanguage:
    """A language."""

    language: str
    name: str
    supports_formality: bool


@dataclass(frozen=True, kw_only=True)
class DeepLResourceRequest:
    """What the languages are for."""

    resource: str = "translate_text"
    """`translate_text`, `translate_document` or `glossary`. Other resources have no languages."""


@dataclass(frozen=True, kw_only=True)
class DeepLLanguageV3:
    """A language, and what it can be used for."""

    lang: str
    name: str
    usable_as_source: bool
    usable_as_target: bool
    status: str
    features: dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class DeepLUsage:
    """How much the client has translated in this month."""

    character_count: int
    character_limit: int


@dataclass(frozen=True, kw_only=True)
class DeepLPair:
    """A pair of languages."""

    source_lang: str
    """The source language."""
    target_lang: str
    """The target language."""


@dataclass(frozen=True, kw_only=True)
class DeepLPairs:
    """The pairs of languages that glossaries can have."""

    supported_languages: list[DeepLPair]


@dataclass(frozen=True, kw_only=True)
class DeepLDictionaryRequest(DeepLPair):
    """The terms of a glossary for one pair of languages."""

    entries: str
    """The terms, one on each line."""
    entries_format: Literal["tsv", "csv"] = "tsv"
    """How source and target are separated."""


@dataclass(frozen=True, kw_only=True)
class DeepLGlossaryRequest(DeepLDictionaryRequest):
    """A new glossary for one pair of languages."""

    name: str
    """Its name."""


@dataclass(frozen=True, kw_only=True)
class DeepLDictionary(DeepLPair):
    """A pair of languages of a glossary."""

    entry_count: int


@dataclass(frozen=True, kw_only=True)
class DeepLGlossary(DeepLDictionary):
    """A glossary for one pair of languages."""

    glossary_id: str
    name: str
    ready: bool
    creation_time: str


@dataclass(frozen=True, kw_only=True)
class DeepLGlossaries:
    """All glossaries of the client."""

    glossaries: list[DeepLGlossary]


@dataclass(frozen=True, kw_only=True)
class DeepLMultiGlossaryRequest:
    """A new glossary for several pairs of languages."""

    name: str
    """Its name."""
    dictionaries: list[DeepLDictionaryRequest]
    """The terms for each pair."""


@dataclass(frozen=True, kw_only=True)
class DeepLGlossaryChange:
    """A change of a glossary. New terms are added to the existing terms."""

    name: str | None = None
    """A new name."""
    dictionaries: list[DeepLDictionaryRequest] | None = None
    """New terms."""


@dataclass(frozen=True, kw_only=True)
class DeepLMultiGlossary:
    """A glossary for several pairs of languages."""

    glossary_id: str
    name: str
    creation_time: str
    dictionaries: list[DeepLDictionary]


@dataclass(frozen=True, kw_only=True)
class DeepLMultiGlossaries:
    """All glossaries of the client."""

    glossaries: list[DeepLMultiGlossary]


@dataclass(frozen=True, kw_only=True)
class DeepLEntries(DeepLPair):
    """The terms of a glossary for one pair of languages."""

    entries: str
    entries_format: str


@dataclass(frozen=True, kw_only=True)
class DeepLDictionaries:
    """The terms of a glossary."""

    dictionaries: list[DeepLEntries]
