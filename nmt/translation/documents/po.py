"""Message catalogs of gettext (.po)."""

import re
from collections.abc import Callable
from functools import partial
from typing import Any

from nmt.errors import ConfigError, DataError
from nmt.metrics.languages import language_code
from nmt.translation.documents.document import Context, Document, Slot, SlotDocument
from nmt.translation.documents.encoding import decode
from nmt.translation.documents.string_value import StringSlot

_WIDTHS = (78, 79, 80, 0)  # where programs wrap lines; 0 is nowhere
_CHARSET = re.compile(rb"charset=([\w.:-]+)")
_ONE = "nplurals=1; plural=0;"
_SLAVIC = "nplurals=3; plural=(n%10==1 && n%100!=11 ? 0 : n%10>=2 && n%10<=4 && (n%100<10 || n%100>=20) ? 1 : 2);"
_PLURALS = {  # of languages whose forms differ from English, as the manual of gettext lists them
    **dict.fromkeys(("ja", "ko", "zh", "th", "vi", "id", "ms", "lo", "km", "my"), _ONE),
    **dict.fromkeys(("fr", "pt-br", "tr"), "nplurals=2; plural=(n > 1);"),
    **dict.fromkeys(("ru", "uk", "be", "sr", "hr", "bs"), _SLAVIC),
    "pl": "nplurals=3; plural=(n==1 ? 0 : n%10>=2 && n%10<=4 && (n%100<10 || n%100>=20) ? 1 : 2);",
    **dict.fromkeys(("cs", "sk"), "nplurals=3; plural=(n==1) ? 0 : (n>=2 && n<=4) ? 1 : 2;"),
    "lt": "nplurals=3; plural=(n%10==1 && n%100!=11 ? 0 : n%10>=2 && (n%100<10 || n%100>=20) ? 1 : 2);",
    "lv": "nplurals=3; plural=(n%10==1 && n%100!=11 ? 0 : n != 0 ? 1 : 2);",
    "ro": "nplurals=3; plural=(n==1 ? 0 : (n==0 || (n%100 > 0 && n%100 < 20)) ? 1 : 2);",
    "sl": "nplurals=4; plural=(n%100==1 ? 0 : n%100==2 ? 1 : n%100==3 || n%100==4 ? 2 : 3);",
    "ga": "nplurals=3; plural=n==1 ? 0 : n==2 ? 1 : 2;",
    "ar": "nplurals=6; plural=n==0 ? 0 : n==1 ? 1 : n==2 ? 2 : n%100>=3 && n%100<=10 ? 3 : n%100>=11 ? 4 : 5;",
}
_DEFAULT = "nplurals=2; plural=(n != 1);"


def read_po(data: bytes, context: Context) -> Document:
    """Read a message catalog. Messages without a translation are translated, and marked as fuzzy.

    Raises:
        ConfigError: polib is not installed.
        DataError: the file is damaged.
    """
    return _Catalog(data, context)


class _Catalog(SlotDocument):
    def __init__(self, data: bytes, context: Context) -> None:
        try:
            import polib
        except ImportError as error:
            raise ConfigError("catalogs need polib; install it with: pip install 'nmt[documents]'") from error
        declared = _CHARSET.search(data)
        charset = _known(data, declared[1].decode()) if declared else None
        text, self._form = decode(data.decode(charset).encode() if charset else data, context.name)
        self._charset = charset or self._form.encoding
        # polib takes a text without line breaks for the name of a file.
        if "\n" not in text or "msgid" not in text:
            raise DataError(f"{context.name}: is not a message catalog; check its ending")
        try:
            self._file: Any = polib.pofile(text)
            # The width that leaves the file as it is.
            self._file.wrapwidth = next((width for width in _WIDTHS if _format(self._file, width) == text), _WIDTHS[0])
        except (OSError, ValueError, IndexError, AttributeError, UnicodeError) as error:
            raise DataError(f"{context.name}: is not a message catalog ({error}); repair the file") from error
        slots: list[Slot] = []
        entries = [entry for entry in self._file if not entry.obsolete]
        plural = self._file.metadata.get("Plural-Forms", "")
        if any(entry.msgid_plural for entry in entries) and "nplurals=" not in plural.replace(" ", ""):
            language = context.target.lower().replace("_", "-")
            plural = _PLURALS.get(language) or _PLURALS.get(language_code(language)) or _DEFAULT
            self._file.metadata["Plural-Forms"] = plural
        count = int((re.search(r"nplurals\s*=\s*(\d)", plural) or ["", "2"])[1])
        for entry in entries:
            done = any(entry.msgstr_plural.values()) if entry.msgid_plural else entry.msgstr
            if not done or context.retranslate:
                entry.msgstr_plural = dict.fromkeys(range(count), "") if entry.msgid_plural else {}
                slots += _make_slots(entry, count)
        self._file.metadata["Language"] = context.target.replace("-", "_")
        super().__init__(slots)

    def serialize(self) -> bytes:
        text = _format(self._file, self._file.wrapwidth)
        try:
            text.encode(self._charset)
        except UnicodeEncodeError:
            self._charset = "utf-8"
            self._file.metadata["Content-Type"] = "text/plain; charset=UTF-8"
            text = _format(self._file, self._file.wrapwidth)
        return self._form.mark + text.replace("\n", self._form.line_break).encode(self._charset)


def _known(data: bytes, charset: str) -> str | None:
    """Return a charset if it is known and the data is in it."""
    try:
        data.decode(charset)
    except (LookupError, ValueError):
        return None
    return charset


def _format(file: Any, width: int) -> str:
    file.wrapwidth = width
    text = str(file)
    return text if text.endswith("\n") else f"{text}\n"


def _make_slots(entry: Any, count: int) -> list[Slot]:
    """Return the slots of a message: one, or one for each form of the plural."""

    def mark() -> None:
        if "fuzzy" not in entry.flags:
            entry.flags.append("fuzzy")

    def store(value: str) -> None:
        entry.msgstr = value
        mark()

    def store_form(value: str, form: int) -> None:
        entry.msgstr_plural[form] = value
        mark()

    if not entry.msgid_plural:
        return [StringSlot(entry.msgid, store)]
    stores: list[Callable[[str], None]] = [partial(store_form, form=form) for form in range(count)]
    return [
        StringSlot(entry.msgid if not form and count > 1 else entry.msgid_plural, store)
        for form, store in enumerate(stores)
    ]
