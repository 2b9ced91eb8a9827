"""The part of the native library that translates text (nmt.h), as an object for tests."""

import ctypes
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from nmt.native.library import require

OK, BAD_FILE, BAD_ARGUMENT, NO_FILE, BAD_TEXT, BAD_LANGUAGE = 0, 2, 3, 6, 7, 8


class TranslationOptions(ctypes.Structure):
    """The C structure `nmt_translation_options` of nmt.h."""

    _fields_ = [
        ("to", ctypes.c_char_p),
        *((name, ctypes.c_int32) for name in ("split", "guard", "beam")),
        *((name, ctypes.c_int32) for name in ("min_length", "max_length_extra", "no_repeat_ngram_size")),
        *((name, ctypes.c_double) for name in ("max_length_factor", "length_penalty", "coverage_penalty")),
    ]


class CError(Exception):
    """A function returned `status`. The message is that of the library."""

    def __init__(self, status: int) -> None:
        library = require()
        library.nmt_message.restype = ctypes.c_char_p
        super().__init__(library.nmt_message(status).decode())
        self.status = status


class CModel:
    """A model file that is open in the library."""

    def __init__(self, file: Path | bytes) -> None:
        """Open a file, or its content. Raises CError."""
        self._library, self._model = require(), ctypes.c_void_p()
        reference = ctypes.byref(self._model)
        if isinstance(file, bytes):
            status = self._library.nmt_open_model_content(file, ctypes.c_int64(len(file)), reference)
        else:
            status = self._library.nmt_open_model(str(file).encode(), reference)
        _check(status)

    def translate(self, text: str | bytes, **options: Any) -> str:
        """Return the translation of a text. `options` are fields of `TranslationOptions`."""
        given = TranslationOptions()
        self._library.nmt_set_defaults(ctypes.byref(given))
        for name, value in options.items():
            setattr(given, name, value)
        data = text if isinstance(text, bytes) else text.encode()
        return self._take_text("nmt_translate", data, ctypes.byref(given))

    def prepare(self, line: str) -> str:
        """Return a line as the network reads it."""
        return self._take_text("nmt_prepare", line.encode())

    def encode(self, text: str) -> list[int]:
        """Return the tokens of a text."""
        ids, count = ctypes.POINTER(ctypes.c_int32)(), ctypes.c_int64()
        _check(self._library.nmt_encode(self._model, text.encode(), ctypes.byref(ids), ctypes.byref(count)))
        found = ids[: count.value]
        self._library.nmt_free(ids)
        return found

    def decode(self, ids: Sequence[int]) -> str:
        """Return the text of tokens."""
        return self._take_text("nmt_decode", (ctypes.c_int32 * len(ids))(*ids), ctypes.c_int64(len(ids)))

    @property
    def targets(self) -> list[str]:
        """The target languages."""
        self._library.nmt_target_language.restype = ctypes.c_char_p
        found: list[str] = []
        while (name := self._library.nmt_target_language(self._model, len(found))) is not None:
            found.append(name.decode())
        return found

    def _take_text(self, function: str, *arguments: Any) -> str:
        text = ctypes.c_char_p()
        _check(getattr(self._library, function)(self._model, *arguments, ctypes.byref(text)))
        found = (text.value or b"").decode()
        self._library.nmt_free(text)
        return found

    def __del__(self) -> None:
        self._library.nmt_close_model(self._model)


def _check(status: int) -> None:
    if status != OK:
        raise CError(status)
