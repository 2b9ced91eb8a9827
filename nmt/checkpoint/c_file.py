"""The model file of the C library: a network in int8, and all tables that translate text, in one file.

The file has a header, and parts in the order of `PARTS`, each of which begins at a multiple of eight bytes.
nmt/native/tables.h declares the same structures, and nmt/native/model_file.h reads the file.
"""

import itertools
import struct
from array import array
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor

from nmt.checkpoint.export import quantize_matrices
from nmt.checkpoint.folder import Model, dequantize
from nmt.checkpoint.manifest import MANIFEST, SCALE, SHORTLIST, WEIGHTS
from nmt.checkpoint.tensor_file import map_tensors
from nmt.checkpoint.tensors import load_tensors
from nmt.config.schema import Config
from nmt.metrics.languages import WITHOUT_SPACES, language_code
from nmt.native.library import INT8
from nmt.native.packing import PackedShortlist, describe_architecture, list_tensors
from nmt.system.opening import read_file
from nmt.tokenizers import unicode_tables
from nmt.tokenizers.base import MAX_TOKENIZER_BYTES
from nmt.tokenizers.case import TURKIC, Truecaser
from nmt.tokenizers.model_file import NORMAL, USER_DEFINED, Piece, read_pieces
from nmt.tokenizers.normalization_rules import Rules
from nmt.tokenizers.unicode_tables import LetterMap

MAGIC, VERSION, BYTE_ORDER = b"nmt-text", 1, 1

PARTS = (
    *("targets", "target_traits", "properties", "classes", "combining", "canonical", "compatible", "composed"),
    *("lower", "upper", "title", "folded", "replaced", "forms", "accents", "endings", "abbreviations"),
    *("source_pieces", "source_types", "source_scores", "source_order", "target_pieces", "target_types"),
    *("tensors", "weights", "frequent", "best"),
)
_FORMS = {None: 0, "NFC": 1, "NFKC": 2}
_KINDS = {"unigram": 1, "bpe": 2}
_WRITES_SPACES, _IS_TURKIC, _IS_GREEK = 1, 2, 4  # flags of target languages

# Words before a full stop that ends no sentence, as in nmt/web/engine/sentences.js.
_ABBREVIATIONS = (
    "mr mrs ms dr prof st jr sr vs inc ltd co corp mt rev gen col sgt capt lt gov sen rep fig no approx dept est "
    "bzw ca nr str evtl ggf inkl hr fr bspw vgl abs art bd hrsg sog geb gest tel mio mrd "
    "mme mlle mm av bd sra dra ud uds srta núm pág sig sigg dott ing"
)


def build_file(model: Model, folder: Path) -> bytes:
    """Return the content of the model file for the model in `folder`.

    Raises:
        ModelError: a weight is not finite, or a file of the folder cannot be used.
        ValueError: the library does not know a part of the rules of normalization or of the tables of words.
    """
    rules, truecaser = model.tokenizers.normalizers.source.rules, model.tokenizers.truecaser
    source, target = (_read_tokenizer(folder, model.config, side) for side in ("source", "target"))
    joint = model.config.tokenizer.joint
    parts = {
        **_write_languages(model.config, len(source[1])),
        **_write_characters(rules),
        **_write_words(truecaser),
        "abbreviations": _write_strings(sorted(set(_ABBREVIATIONS.split()), key=str.encode)),
        "source_pieces": _write_strings([piece.text for piece in source[1]]),
        "source_types": bytes(piece.type for piece in source[1]),
        "source_scores": array("f", [piece.score for piece in source[1]]).tobytes(),
        "source_order": _order_pieces(source[1]),
        "target_pieces": b"" if joint else _write_strings([piece.text for piece in target[1]]),
        "target_types": b"" if joint else bytes(piece.type for piece in target[1]),
    }
    tensors, weights = _write_weights(model.config, folder)
    sizes = (model.tokenizers.source.size, model.tokenizers.target.size)
    shortlist = _read_shortlist(folder)
    parts |= {"tensors": tensors, "weights": weights}
    parts |= {name: _write_tokens(getattr(shortlist, name, None), sizes[1]) for name in ("frequent", "best")}
    architecture = describe_architecture(model.config.model, *sizes, INT8, shortlist)
    settings = _write_settings(model, rules, truecaser, _KINDS[source[0]])
    return _assemble(bytes(architecture), settings, parts)


def _assemble(architecture: bytes, settings: bytes, parts: Mapping[str, bytes]) -> bytes:
    # After the architecture and the settings: the number of parts, padding to eight bytes, and their places.
    fixed = architecture + settings + struct.pack("<i", len(PARTS))
    fixed += bytes(-(len(fixed)) % 8)
    place, table, body = 24 + len(fixed) + 16 * len(PARTS), b"", b""
    for name in PARTS:
        table += struct.pack("<qq", place + len(body), len(parts[name]))
        body += parts[name] + bytes(-len(parts[name]) % 8)
    content = fixed + table + body
    return MAGIC + struct.pack("<iiQ", VERSION, BYTE_ORDER, _compute_checksum(content)) + content


def _compute_checksum(content: bytes) -> int:
    total = 14695981039346656037
    for (word,) in struct.iter_unpack("<Q", content):
        total = ((total ^ word) * 1099511628211) & 0xFFFFFFFFFFFFFFFF
        total ^= total >> 29
    return total


def _write_settings(model: Model, rules: Rules, truecaser: Truecaser | None, kind: int) -> bytes:
    data = model.config.data
    no_before = sum(1 << index for index, context in enumerate(rules.keep) if context.before is None)
    no_after = sum(1 << index for index, context in enumerate(rules.keep) if context.after is None)
    cased = (truecaser.title, truecaser.starts, truecaser.capitals) if truecaser else (False, False, False)
    penalty = model.config.validation.length_penalty
    return struct.pack(
        "<16i",
        *(rules != Rules(), _FORMS[rules.form], rules.collapse, len(rules.keep), no_before, no_after),
        *(truecaser is not None, *cased),
        *(data.single_sentences, data.several_sentences is not None, data.max_segment_tokens),
        *(kind, model.config.tokenizer.joint, round(1000 * (1.0 if penalty is None else penalty))),
    )


def _write_languages(config: Config, pieces: int) -> dict[str, bytes]:
    traits = array("i")
    for language in config.data.target_languages:
        code = language_code(language)
        flags = _WRITES_SPACES * (code not in WITHOUT_SPACES)
        plain = language.lower().replace("_", "-").split("-")[0]
        flags |= _IS_TURKIC * (plain in TURKIC) | _IS_GREEK * (plain == "el")
        tag = pieces + config.data.tags.index(f"<2{language}>") if config.data.target_tags else -1
        traits.extend((tag, flags))
    # A name ends with a byte of zero, so that C can use it as a string.
    names = _write_strings([f"{language}\0" for language in config.data.target_languages])
    return {"targets": names, "target_traits": traits.tobytes()}


def _write_characters(rules: Rules) -> dict[str, bytes]:
    runs = unicode_tables.flag_runs(rules)
    classes = list(dict.fromkeys(flags for _, flags in runs))
    if len(classes) > 256:
        raise ValueError("the rules of normalization distinguish too many kinds of characters")
    numbers = {flags: number for number, flags in enumerate(classes)}
    composed = itertools.chain.from_iterable(unicode_tables.compositions())
    compatible = unicode_tables.decompositions("NFKD") if rules.form == "NFKC" else []
    replaced = [text for item in sorted(rules.replace.items(), key=_spell_key) for text in item]
    return {
        "properties": array("I", [code << 8 | numbers[flags] for code, flags in runs]).tobytes(),
        "classes": array("Q", classes).tobytes(),
        "combining": array("I", [code << 8 | number for code, number in unicode_tables.combining_runs()]).tobytes(),
        "canonical": _write_map(unicode_tables.decompositions("NFD")),
        "compatible": _write_map(compatible),
        "composed": array("I", composed).tobytes(),
        "lower": _write_map(unicode_tables.map_characters(str.lower)),
        "upper": _write_map(unicode_tables.map_characters(str.upper)),
        "title": _write_map(unicode_tables.map_characters(str.title)),
        "folded": _write_map(unicode_tables.fold_letters()),
        "replaced": _write_strings(replaced),
    }


def _write_words(truecaser: Truecaser | None) -> dict[str, bytes]:
    found = truecaser or Truecaser()
    if any("\0" in form for forms in found.forms.values() for form in forms):
        raise ValueError("a word of the truecaser contains a character of zero")
    forms = {key: "\0".join(own) for key, own in found.forms.items()}
    return {
        "forms": _write_strings([text for item in sorted(forms.items(), key=_spell_key) for text in item]),
        "accents": _write_strings([text for item in sorted(found.accents.items(), key=_spell_key) for text in item]),
        "endings": _write_strings(sorted(found.endings, key=str.encode)),
    }


def _spell_key(item: tuple[str, str]) -> bytes:
    return item[0].encode()


def _write_strings(texts: Sequence[str]) -> bytes:
    """Write strings: their number, the end of each, and their bytes."""
    spelled = [text.encode() for text in texts]
    ends = itertools.accumulate(map(len, spelled))
    return array("I", [len(texts), *ends]).tobytes() + b"".join(spelled)


def _write_map(entries: LetterMap) -> bytes:
    """Write what replaces characters: entries, and the letters of all texts that are not a single letter."""
    words, pool = array("I", [len(entries)]), array("I")
    for code, text in entries:
        letters = [ord(letter) for letter in text]
        words.extend((code, len(letters) << 24 | (letters[0] if len(letters) == 1 else len(pool))))
        if len(letters) != 1:
            pool.extend(letters)
    return (words + pool).tobytes()


def _read_tokenizer(folder: Path, config: Config, side: str) -> tuple[str, list[Piece]]:
    path = folder / ("tokenizer.model" if config.tokenizer.joint else f"{side}.model")
    return read_pieces(read_file(path, MAX_TOKENIZER_BYTES))


def _order_pieces(pieces: Sequence[Piece]) -> bytes:
    """Write the ids of the pieces that can be found in text, in the order of their bytes."""
    found = [id_ for id_, piece in enumerate(pieces) if piece.type in (NORMAL, USER_DEFINED) and piece.text]
    return array("I", sorted(found, key=lambda id_: pieces[id_].text.encode())).tobytes()


def _write_weights(config: Config, folder: Path) -> tuple[bytes, bytes]:
    """Write the tensors of a network in the order in which pack.c reads them, and a table of their places."""
    path = folder / WEIGHTS
    weights = quantize_matrices(dequantize(load_tensors(path, MANIFEST[WEIGHTS].max_bytes)), path)
    places: dict[str, tuple[int, int, int, int]] = {}
    content = bytearray()

    def add(tensor: Tensor) -> int:
        place = len(content)
        data = tensor.contiguous().numpy().tobytes()
        content.extend(data + bytes(-len(data) % 8))
        return place

    names = list(list_tensors(config.model))
    for name in dict.fromkeys(names):
        tensor = weights[name]
        scales = add(weights[name + SCALE]) if tensor.dtype == torch.int8 else -1
        places[name] = (add(tensor), scales, tensor.numel(), tensor.shape[0])
    table = array("q", itertools.chain.from_iterable(places[name] for name in names))
    return table.tobytes(), bytes(content)


def _read_shortlist(folder: Path) -> PackedShortlist | None:
    if not (folder / SHORTLIST).exists():
        return None
    mapped = map_tensors(folder / SHORTLIST, MANIFEST[SHORTLIST].max_bytes)
    return PackedShortlist(frequent=mapped["frequent"].values, best=mapped["best"].values)


def _write_tokens(tokens: memoryview | None, vocabulary: int) -> bytes:
    """Write tokens with two bytes each, if the vocabulary is small enough, and otherwise with four."""
    values: Iterable[int] = tokens.cast("B").cast("i") if tokens is not None else ()
    return array("H" if vocabulary <= 1 << 16 else "i", values).tobytes()
