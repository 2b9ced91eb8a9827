"""SentencePiece tokenizers: unigram (Kudo 2018) and BPE (Sennrich et al. 2016).

With byte fallback, decoding the ids of any text restores the text exactly.
"""

import io
import itertools
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import sentencepiece

from nmt.config.schema import TokenizerConfig
from nmt.errors import ConfigError, DataError, ModelError
from nmt.system.files import reason
from nmt.system.opening import read_file
from nmt.system.signals import call_interruptibly
from nmt.tokenizers.base import (
    MAX_TOKENIZER_BYTES,
    SILENT_IDS,
    SPELLED_SPACE,
    UNKNOWN_TEXT,
    Spans,
    Tokenizer,
    replace_surrogates,
)
from nmt.types import BOS, EOS, PAD, SPECIAL_TOKENS, UNK

if TYPE_CHECKING:
    from nmt.tokenizers.segmentation import Sampler  # only training needs it

_SPACE = "▁"  # U+2581, which SentencePiece writes for a space
_ESCAPE = "\uebb5"  # a private-use character that is unlikely to occur in text
_ESCAPED = re.compile(f"{_ESCAPE}([01])")
_UNKNOWN_PIECE = f" {UNKNOWN_TEXT} "  # SentencePiece adds spaces
_BYTE = "<0x"  # the beginning of the names of byte tokens
_CONTINUATION = 0x80  # the two highest bits of every byte of a character in UTF-8 after its first byte
_SKIPPED_IN_TRAINING = "▅"  # U+2585; SentencePiece does not train on lines that contain this character

# The learned vocabulary depends on the number of threads. A constant number gives the same vocabulary on every machine.
_THREADS = 8
_MAX_LINE_BYTES = 1 << 30  # in bytes, the highest value that SentencePiece allows; longer lines are skipped silently


class SubwordTokenizer(Tokenizer):
    """A tokenizer that uses a SentencePiece model.

    The tokenizer does not normalize text and keeps every space. With byte fallback, `decode(encode(text))` is equal to
    `text` for every text. Without byte fallback, unknown characters decode to ⁇.
    """

    ending: ClassVar[str] = ".model"

    def __init__(self, model: bytes, *, sampling: float = 0.0) -> None:
        """Build a tokenizer from the content of a .model file.

        Args:
            model: the content of the file.
            sampling: the strength of sampling (see `sample`). 0 switches sampling off.

        Raises:
            ValueError: the model cannot be used.
        """
        self._model = model
        self._sampling = sampling
        self._processor = _processor(model)

    def __reduce__(self) -> tuple[Any, ...]:
        # The sampler is not pickled, because its caches are large.
        return partial(SubwordTokenizer, sampling=self._sampling), (self._model,)

    @property
    def size(self) -> int:
        return int(self._processor.get_piece_size())

    def encode(self, text: str) -> list[int]:
        ids: list[int] = self._processor.encode(_escape(text))
        return ids

    def encode_lines(self, texts: Sequence[str]) -> list[list[int]]:
        ids: list[list[int]] = self._processor.encode([_escape(text) for text in texts])
        return ids

    def sample(self, texts: Sequence[str], seeds: Sequence[int]) -> list[list[int]]:
        """Segment each text at random and return the ids. The segmentation depends only on the text and its seed.

        A unigram model draws from all segmentations, in proportion to P(segmentation) to the power of `sampling` (Kudo
        2018, section 3.2, l = ∞). BPE skips each merge with probability `sampling` (Provilkov et al. 2020).
        """
        if not self._sampling:
            return self.encode_lines(texts)
        return self._sampler.sample([self._processor.normalize(_escape(text)) for text in texts], seeds)

    @cached_property
    def _sampler(self) -> "Sampler":
        from nmt.tokenizers.model_file import read_model
        from nmt.tokenizers.segmentation import Sampler

        return Sampler(read_model(self._model), self._sampling)  # cached, because it is slow to build

    def decode(self, ids: Sequence[int]) -> str:
        text: str = self._processor.decode([int(id_) for id_ in ids if id_ not in SILENT_IDS])
        return _ESCAPED.sub(lambda match: _SPACE if match[1] == "1" else _ESCAPE, text)

    def spell(self, text: str) -> bytes:
        return _spell(self._processor.normalize(_escape(text)))

    @cached_property
    def spellings(self) -> list[bytes]:
        processor = self._processor
        pieces = enumerate(self.tokens(range(self.size)))
        return [
            b""
            if processor.is_control(id_) or processor.is_unknown(id_)
            else bytes([int(piece[3:5], 16)]).replace(SPELLED_SPACE, b"")
            if processor.is_byte(id_)
            else _spell(piece)
            for id_, piece in pieces
        ]

    def tokens(self, ids: Sequence[int]) -> list[str]:
        pieces: list[str] = self._processor.id_to_piece([int(id_) for id_ in ids])
        return pieces

    def encode_spans(self, text: str) -> Spans:
        escaped = _escape(text)
        pieces = self._processor.encode(escaped, out_type=str)
        return self._find_spans(lambda: self._processor.encode(escaped), pieces, len(text))

    def decode_spans(self, ids: Sequence[int]) -> Spans:
        spoken = [UNK if id_ in SILENT_IDS else int(id_) for id_ in ids]
        names = {UNK: _UNKNOWN_PIECE} | dict.fromkeys(SILENT_IDS, "")
        pieces = [names.get(id_, piece) for id_, piece in zip(ids, self.tokens(spoken), strict=True)]
        return self._find_spans(lambda: spoken, pieces, len(self.decode(ids)))

    def _find_spans(self, list_ids: Callable[[], list[int]], pieces: Sequence[str], length: int) -> Spans:
        """Return the part of a text that each piece covers. The text has `length` characters.

        `list_ids` returns the ids of the pieces. Most texts do not need them.
        """
        whole = "".join(pieces)
        if _ESCAPE not in whole and _BYTE not in whole:  # a fast path for most texts
            added = 1 if whole.startswith(_SPACE) else 0  # SentencePiece adds a space before the text
            sizes = itertools.accumulate(map(len, pieces), initial=-added)
            ends = [min(max(0, end), length) for end in sizes]
            return list(itertools.pairwise(ends))
        text, spans, character = "", Spans(), b""
        for id_, piece in zip(list_ids(), pieces, strict=True):
            if not piece.startswith(_BYTE) or not self._processor.is_byte(id_):
                spans.append((len(text), len(text) + len(piece)))
                text, character = text + piece, b""
                continue
            byte = int(piece[3:5], 16)
            if character and byte & 0xC0 == _CONTINUATION:  # another byte of the same character
                spans.append(spans[-1])
                character += bytes([byte])
                text = text[:-1] + (character.decode(errors="replace")[:1])
            else:
                spans.append((len(text), len(text) + 1))
                text, character = text + "\ufffd", bytes([byte])
        # Two characters can be an escape of one.
        steps = [1] * len(text)
        steps[:1] = [0 if text.startswith(_SPACE) else 1] * bool(text)
        for match in _ESCAPED.finditer(text):
            steps[match.start()] = 0
        places = [min(place, length) for place in itertools.accumulate(steps, initial=0)]
        return [(places[start], places[end]) for start, end in spans]

    def add_symbols(self, symbols: tuple[str, ...]) -> "SubwordTokenizer":
        """Return a tokenizer with additional symbols. Their ids follow all earlier ids.

        Raises:
            ConfigError: a symbol is a token already, or cannot be a token.
        """
        spelled, known = _symbols(symbols), set(self.tokens(range(self.size)))
        for symbol, piece in zip(symbols, spelled, strict=True):
            if piece in known:
                raise ConfigError(f"tokenizer.symbols: {symbol!r} is a token of the vocabulary already; choose another")
        from nmt.tokenizers.model_file import append_symbols

        return SubwordTokenizer(append_symbols(self._model, spelled), sampling=self._sampling)

    def save(self, path: Path) -> None:
        path.write_bytes(self._model)

    @classmethod
    def load(cls, path: Path, sampling: float = 0.0) -> "SubwordTokenizer":
        """Read a file that `save` wrote. Raises ModelError: the file is missing or damaged."""
        try:
            return cls(read_file(path, MAX_TOKENIZER_BYTES), sampling=sampling)
        except ValueError as error:
            raise ModelError(
                f"{path}: not a readable tokenizer ({reason(error)}); copy the model folder again"
            ) from error

    @classmethod
    def adopt(cls, path: Path, key: str, config: TokenizerConfig) -> "SubwordTokenizer":
        """Read a .model file that the configuration names. `key` is the key of the configuration for messages.

        Raises:
            ConfigError: the file is missing, or its model does not fit the configuration.
        """
        try:
            model = path.read_bytes()
            _processor(model)
            from nmt.tokenizers.model_file import read_model

            kind = read_model(model).kind
            if kind != config.kind:
                raise ValueError(f"its kind is {kind} but tokenizer.kind is {config.kind}")
            return cls(model, sampling=config.sampling)
        except (OSError, ValueError) as error:
            raise ConfigError(
                f"{key}: {path}: not a usable SentencePiece .model ({reason(error)}); "
                "name another file, or remove the key to train a model"
            ) from error

    @classmethod
    def train(cls, config: TokenizerConfig, lines: Iterable[str], what: str) -> "SubwordTokenizer":
        """Learn a vocabulary from lines of text. `what` names these lines in error messages.

        Raises:
            ConfigError: the vocabulary size is too small for the lines, or a symbol cannot be a token.
            DataError: the lines contain no text.
        """
        return cls(_train(config, lines, what), sampling=config.sampling)


def _spell(text: str) -> bytes:
    """Return a text of SentencePiece as a spelling."""
    return text.encode().replace(_SPACE.encode(), SPELLED_SPACE)


def _escape(text: str) -> str:
    """Replace each ▁ in a text, because SentencePiece would decode it to a space.

    `SubwordTokenizer.decode` restores the original text.
    """
    if text.isascii():
        return text
    return replace_surrogates(text).replace(_ESCAPE, f"{_ESCAPE}0").replace(_SPACE, f"{_ESCAPE}1")


def _processor(model: bytes) -> Any:
    """Build the SentencePiece processor of a model.

    Raises:
        ValueError: the model is damaged, or the ids of its special tokens differ from nmt/types.py.
    """
    if not model:
        raise ValueError("the file is empty")
    try:
        processor = sentencepiece.SentencePieceProcessor(model_proto=model)
    except RuntimeError:
        raise ValueError("it is damaged") from None
    found = (processor.pad_id(), processor.unk_id(), processor.bos_id(), processor.eos_id())
    if found != (PAD, UNK, BOS, EOS):
        raise ValueError(
            f"its pad, unk, bos, eos ids are {', '.join(map(str, found))} but must be {PAD}, {UNK}, {BOS}, {EOS}: "
            f"train it with --pad_id={PAD} --unk_id={UNK} --bos_id={BOS} --eos_id={EOS}"
        )
    return processor


def _train(config: TokenizerConfig, lines: Iterable[str], what: str) -> bytes:
    model = io.BytesIO()
    failures: list[BaseException] = []
    try:
        train = partial(
            sentencepiece.SentencePieceTrainer.train,
            sentence_iterator=_training_text(lines, failures),
            model_writer=model,
            model_type=config.kind,
            vocab_size=config.vocabulary_size,
            hard_vocab_limit=False,  # little text may yield a smaller vocabulary
            character_coverage=config.character_coverage,
            byte_fallback=config.byte_fallback,
            user_defined_symbols=_symbols(config.symbols),
            pad_id=PAD,
            unk_id=UNK,
            bos_id=BOS,
            eos_id=EOS,
            pad_piece=SPECIAL_TOKENS[PAD],
            unk_piece=SPECIAL_TOKENS[UNK],
            bos_piece=SPECIAL_TOKENS[BOS],
            eos_piece=SPECIAL_TOKENS[EOS],
            normalization_rule_name="identity",
            remove_extra_whitespaces=False,
            input_sentence_size=0,
            shuffle_input_sentence=False,
            max_sentence_length=_MAX_LINE_BYTES,
            num_threads=_THREADS,
            minloglevel=2,
        )
        call_interruptibly(train)  # training can take minutes
    except RuntimeError as error:
        raise (failures[0] if failures else _explain(str(error), config.vocabulary_size, what)) from error
    return model.getvalue()


def _training_text(lines: Iterable[str], failures: list[BaseException]) -> Iterator[str]:
    """Yield lines in the form in which SentencePiece reads them.

    If reading a line raises an error, the error is appended to `failures`, because SentencePiece reports only its text.
    """
    try:
        for line in lines:
            yield _escape(line).replace(_SKIPPED_IN_TRAINING, " ")
    except BaseException as error:
        failures.append(error)
        raise


def _symbols(symbols: tuple[str, ...]) -> list[str]:
    """Return symbols as SentencePiece writes them. Raises ConfigError: a symbol is empty, special or repeated."""
    for symbol in symbols:
        if not symbol or symbol in SPECIAL_TOKENS:
            raise ConfigError(f"tokenizer.symbols: {symbol!r} cannot be a symbol; remove it or choose another string")
        if symbols.count(symbol) > 1:
            raise ConfigError(f"tokenizer.symbols: {symbol!r} is listed twice; remove one")
    return [_escape(symbol).replace(" ", _SPACE) for symbol in symbols]


def _explain(message: str, asked: int, what: str) -> ConfigError | DataError:
    """Translate an error message of SentencePiece into an error that names keys of the configuration."""
    if match := re.search(r"smaller than required_chars\. \d+ vs (\d+)", message):
        return ConfigError(
            f"tokenizer.vocabulary_size: {asked} is too small for {what}: its characters and the tokens that "
            f"are always present need {match[1]}; choose {match[1]} or more, or lower tokenizer.character_coverage"
        )
    if "sentences_.empty()" in message:
        return DataError(f"{what}: contains no text to learn a vocabulary from; check the files")
    return ConfigError(f"tokenizer: SentencePiece cannot learn from {what} with these settings ({message.strip()})")
