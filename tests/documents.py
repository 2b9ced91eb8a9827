"""What tests of documents share: translations by rule, so that the result of a document is known."""

from collections.abc import Sequence
from dataclasses import replace

from nmt.translation.documents.document import Context, Document
from nmt.translation.documents.formats import READERS
from nmt.translation.tagged import TaggedText


def open_document(ending: str, data: bytes | str, **settings: object) -> Document:
    """Read a document from memory, English to German unless `settings` have other fields of `Context`."""
    content = data.encode() if isinstance(data, str) else data
    fields = {"name": f"file{ending}", "source": "en", "target": "de", **settings}
    return READERS[ending](content, Context(**fields))  # type: ignore[arg-type]


def list_texts(document: Document) -> list[str]:
    return [text.text for text in document.texts]


def capitals(texts: Sequence[TaggedText]) -> list[TaggedText]:
    """Translate texts into capitals: each word stays in its place, with its tags."""
    return [replace(text, text="".join(map(_capital, text.text))) for text in texts]


def _capital(character: str) -> str:
    return character.upper() if len(character.upper()) == 1 else character


def translate(ending: str, data: bytes | str, **settings: object) -> bytes:
    """Return a document whose texts are in capitals."""
    document = open_document(ending, data, **settings)
    return document.write(capitals(document.texts))


def keep(ending: str, data: bytes | str, **settings: object) -> bytes:
    """Return a document whose texts are translated as they are."""
    document = open_document(ending, data, **settings)
    return document.write(document.texts)
