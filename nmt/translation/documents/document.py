"""The records and base classes of documents."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from nmt.tokenizers.base import replace_surrogates
from nmt.translation.markup import CONTROL
from nmt.translation.tagged import TaggedText

MAX_BYTES = 256 << 20  # the limit of a file, and of a part of a file that is parsed


@dataclass(frozen=True, kw_only=True)
class Context:
    """What a reader of documents may need besides the file."""

    name: str
    """The name of the file in messages."""
    source: str
    """The source language."""
    target: str
    """The target language."""
    retranslate: bool = False
    """Whether texts that have a translation already are translated again."""
    keys: Sequence[str] = ()
    """The keys whose values are translated in formats with keys. If there are none, all values are."""


class Slot(Protocol):
    """A place in a document with texts: a paragraph, an attribute or a string."""

    @property
    def texts(self) -> Sequence[TaggedText]:
        """The texts."""

    def write(self, translations: Sequence[TaggedText]) -> None:
        """Put translations, which belong to `texts`, into the document."""


class Document(ABC):
    """A file that was read. `texts` are to be translated."""

    texts: Sequence[TaggedText]

    @abstractmethod
    def write(self, translations: Sequence[TaggedText]) -> bytes:
        """Return the content of the file with translations. They belong to `texts`, in order. Call this once."""


class SlotDocument(Document):
    """A document that is a list of slots."""

    def __init__(self, slots: Iterable[Slot]) -> None:
        self._slots = list(slots)
        self.texts = [text for slot in self._slots for text in slot.texts]

    def write(self, translations: Sequence[TaggedText]) -> bytes:
        left = iter(translations)
        for slot in self._slots:
            slot.write([next(left) for _ in slot.texts])
        return self.serialize()

    @abstractmethod
    def serialize(self) -> bytes:
        """Return the content of the file, after all slots are written."""


def make_plain(text: str) -> TaggedText:
    """Return a text without tags and objects."""
    return TaggedText(text=text, stacks=[()] * len(text))


def show_plain(text: TaggedText) -> str:
    """Return the text of a translation, with its objects that are text."""
    return "".join(item for _, item in text.runs() if isinstance(item, str))


def clean(text: str) -> str:
    """Replace characters that XML does not allow."""
    return replace_surrogates(text).translate(CONTROL)


class AttributeSlot:
    """The value of an attribute of an XML element."""

    def __init__(self, element: Any, name: str) -> None:
        self._element, self._name = element, name
        value = element.get(name, "")
        self._lead = value[: len(value) - len(value.lstrip())]
        self._trail = value[len(value.rstrip()) :]
        self.texts = [make_plain(value.strip())] if any(map(str.isalpha, value)) else []

    def write(self, translations: Sequence[TaggedText]) -> None:
        for translation in translations:
            self._element.set(self._name, self._lead + clean(show_plain(translation)) + self._trail)
