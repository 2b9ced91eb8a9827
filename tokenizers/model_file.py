"""Functions that read pieces and scores from SentencePiece .model files, and append symbols to these files.

A .model file is a protobuf message. The sentencepiece package contains generated classes for this message. They require
the protobuf package, and different versions of the classes require different versions of protobuf. This module needs no
package, because it reads only a few fields of the message.
"""

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

# Fields and values of sentencepiece_model.proto.
_PIECE, _TRAINER, _NORMALIZER, _DENORMALIZER = 1, 2, 3, 5  # of ModelProto
_TEXT, _SCORE, _TYPE = 1, 2, 3  # of SentencePiece
_MODEL_TYPE, _SUFFIX = 3, 24  # of TrainerSpec
_RULES, _DUMMY_PREFIX, _REMOVE_SPACES, _ESCAPE_SPACES = 2, 3, 4, 5  # of NormalizerSpec
NORMAL, USER_DEFINED, UNUSED, BYTE = 1, 4, 5, 6  # of SentencePiece.Type
_KINDS = {1: "unigram", 2: "bpe", 3: "word", 4: "char"}  # of TrainerSpec.ModelType

_VARINT, _FIXED64, _LENGTH, _FIXED32 = 0, 1, 2, 5  # wire types of protobuf
_USER_DEFINED_TYPE = bytes([_TYPE << 3 | _VARINT, USER_DEFINED])


@dataclass(frozen=True, kw_only=True)
class Piece:
    """A token of a SentencePiece model. Its position among the pieces is its id."""

    text: str
    score: float
    type: int


@dataclass(frozen=True, kw_only=True)
class SubwordModel:
    """The contents of a .model file that are needed for segmentation."""

    kind: str  # unigram, bpe, word or char
    pieces: dict[str, tuple[int, float]]  # the id and the score of each ordinary piece
    symbols: dict[str, int]  # the id of each string that is always one token
    byte_ids: list[int]  # the ids of the 256 byte tokens; empty if the model has no byte fallback


def read_pieces(model: bytes) -> tuple[str, list[Piece]]:
    """Read the kind and all pieces of a .model file. Raises ValueError: the content is damaged."""
    kind, pieces = 1, []
    try:
        for field, value in _fields(model):
            if field == _PIECE:
                pieces.append(_piece(_bytes(value)))
            elif field == _TRAINER:
                kind = next((_int(inner) for number, inner in _fields(_bytes(value)) if number == _MODEL_TYPE), kind)
        return _KINDS[kind], pieces
    except (IndexError, KeyError, TypeError, UnicodeDecodeError, struct.error) as error:
        raise ValueError("it is damaged") from error


def read_model(model: bytes) -> SubwordModel:
    """Read the content of a .model file. Raises ValueError: the content is damaged."""
    kind, pieces = read_pieces(model)
    return SubwordModel(
        kind=kind,
        pieces={piece.text: (id_, piece.score) for id_, piece in enumerate(pieces) if piece.type == NORMAL},
        symbols={piece.text: id_ for id_, piece in enumerate(pieces) if piece.type == USER_DEFINED},
        byte_ids=[id_ for id_, piece in enumerate(pieces) if piece.type == BYTE],
    )


def find_own_treatment(model: bytes) -> str | None:
    """Return the setting by which a model treats text in another way than the models that nmt trains, as NAME=VALUE.

    Return None if the model normalizes no text, and writes a space before the first word. Models that were trained with
    the default settings of SentencePiece normalize text.
    """
    found = {"remove_extra_whitespaces": True, "add_dummy_prefix": True, "escape_whitespaces": True}
    usual = {"remove_extra_whitespaces": False, "add_dummy_prefix": True, "escape_whitespaces": True}
    names = {_REMOVE_SPACES: "remove_extra_whitespaces", _DUMMY_PREFIX: "add_dummy_prefix"}
    names |= {_ESCAPE_SPACES: "escape_whitespaces"}
    for field, value in _fields(model):
        if field == _PIECE and _piece(_bytes(value)).type == UNUSED:
            return "unused pieces"
        if field not in (_TRAINER, _NORMALIZER, _DENORMALIZER):
            continue
        for inner, content in _fields(_bytes(value)):
            if field == _TRAINER and inner == _SUFFIX and content:
                return "treat_whitespace_as_suffix=true"
            if field != _TRAINER and inner == _RULES and content:
                return "its own normalization rules"
            if field == _NORMALIZER and inner in names:
                found[names[inner]] = bool(content)
    return next((f"{name}={str(found[name]).lower()}" for name in found if found[name] != usual[name]), None)


def append_symbols(model: bytes, symbols: Sequence[str]) -> bytes:
    """Append symbols to the content of a .model file. A symbol is a string that is always one token.

    Spaces in symbols must be written as ▁, as SentencePiece does. The ids of the symbols follow all earlier ids.
    """
    # In protobuf, further entries of a repeated field can be appended to a complete message.
    return model + b"".join(_entry(_PIECE, _entry(_TEXT, symbol.encode()) + _USER_DEFINED_TYPE) for symbol in symbols)


def _entry(field: int, content: bytes) -> bytes:
    """Encode a protobuf field that contains bytes, text or a message."""
    size, digits = len(content), bytearray()
    while size >= 0x80:
        digits.append(size & 0x7F | 0x80)
        size >>= 7
    return bytes([field << 3 | _LENGTH, *digits, size]) + content


def _piece(message: bytes) -> Piece:
    text, score, type_ = "", 0.0, NORMAL
    for field, value in _fields(message):
        if field == _TEXT:
            text = _bytes(value).decode()
        elif field == _SCORE:
            (score,) = struct.unpack("<f", _bytes(value))
        elif field == _TYPE:
            type_ = _int(value)
    return Piece(text=text, score=score, type=type_)


def _fields(message: bytes) -> Iterator[tuple[int, int | bytes]]:
    """Yield the number and the value of each field of a message."""
    position = 0
    while position < len(message):
        tag, position = _varint(message, position)
        field, wire = tag >> 3, tag & 7
        if wire == _VARINT:
            number, position = _varint(message, position)
            yield field, number
            continue
        if wire == _LENGTH:
            size, position = _varint(message, position)
        else:
            size = {_FIXED32: 4, _FIXED64: 8}[wire]
        yield field, message[position : position + size]
        position += size


def _varint(message: bytes, position: int) -> tuple[int, int]:
    """Decode a protobuf varint. Each byte has seven bits of the number, and the lowest bits come first.

    Returns:
        The number, and the position after its last byte.
    """
    number = shift = 0
    while True:
        byte = message[position]
        number |= (byte & 0x7F) << shift
        position, shift = position + 1, shift + 7
        if byte < 0x80:
            return number, position


def _bytes(value: int | bytes) -> bytes:
    if isinstance(value, int):
        raise TypeError("a number where bytes belong")
    return value


def _int(value: int | bytes) -> int:
    if isinstance(value, bytes):
        raise TypeError("bytes where a number belongs")
    return value
