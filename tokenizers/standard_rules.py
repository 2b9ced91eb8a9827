"""The rules of normalization for new models: the standard rules, and the rules of a user, which are added to them."""

import unicodedata
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import yaml

from nmt.config.plain_yaml import parse_yaml
from nmt.errors import ConfigError
from nmt.system.files import reason
from nmt.tokenizers.normalization import Normalizer, Normalizers
from nmt.tokenizers.normalization_rules import Context, Ranges, Rules, contains, parse_range

_ADVICE = "docs/howto/train.md shows the format"


def _ranges(text: str) -> Ranges:
    return tuple(map(parse_range, text.split()))


# Python treats the separators 1C to 1F as white space. U+2800 is an empty Braille cell.
_LINE_SPACES = _ranges("9-D 1C-1F 85 2028-2029")
_SPACES = (*_LINE_SPACES, *_ranges("20 A0 1680 2000-200A 202F 205F 2800 3000"))

# Control characters, and all characters that Unicode calls "default ignorable": soft hyphen, grapheme joiner, Hangul
# fillers, invisible Khmer vowels, Mongolian selectors, zero-width space and joiners, direction controls, word joiner,
# invisible operators, byte order mark, variation selectors, format controls of shorthand and music, and tags. In
# addition: annotation marks, the mark of an embedded object, and noncharacters.
_INVISIBLE = _ranges(
    "0-8 E-1B 7F-84 86-9F AD 34F 61C 115F-1160 17B4-17B5 180B-180F 200B-200F 202A-202E 2060-206F 3164 FDD0-FDEF "
    "FE00-FE0F FEFF FFA0 FFF0-FFFC FFFE-FFFF 1BCA0-1BCA3 1D173-1D17A E0000-E0FFF"
)

# Letters and marks of scripts whose letters change their form next to a joiner.
_INDIC = _ranges(
    "900-963 971-983 985-9E3 9F0-9F1 A01-A65 A70-A75 A81-AE3 AF9-B63 B71-BE5 C00-C63 C80-CE3 CF1-CF3 D00-D63 D7A-DE5 "
    "1780-17B3 17B6-17D3 1A20-1A7F 1B00-1B4B A800-A827 A880-A8C5 A8E0-A8FF A980-A9C0 11000-11FFF"
)
_VIRAMAS = _ranges("94D 9CD A4D ACD B4D BCD C4D CCD D4D DCA")
_CURSIVE = _ranges(
    "610-61A 620-669 66E-6D3 6D5-6DC 6DF-6E8 6EA-6FC 6FF 710-77F 7CA-7F5 840-85B 860-887 889-88F 897-8E1 8E3-8FF 1807 "
    "1820-18AA A840-A871 FB50-FBB1 FBD3-FD3D FD50-FDC7 FDF0-FDF9 FE70-FEFC 10AC0-10AE6 10B80-10BAF 10D00-10D3F "
    "10EC0-10EFF 10F30-10FCB 1E900-1E94B"
)
_MONGOLIAN = _ranges("1820-18AA")
_SOUTHEAST_ASIAN = _ranges(
    "E01-E3A E40-E4E E81-EDF 1000-103F 1050-109F 1780-17B3 17B6-17D3 1980-19DF 1A20-1AAD AA60-AADF"
)

# Characters that Unicode lists as emoji, except digits and ordinary signs such as ©. The characters of _TEXT_EMOJI look
# like text unless U+FE0F follows. After any other character, U+FE0F changes nothing.
_TEXT_EMOJI = _ranges(
    "2194-2199 21A9-21AA 2328 23CF 23ED-23EF 23F1-23F2 23F8-23FA 25AA-25AB 25B6 25C0 25FB-25FC 2600-2604 260E 2611 "
    "2618 261D 2620 2622-2623 2626 262A 262E-262F 2638-263A 2640 2642 265F-2660 2663 2665-2666 2668 267B 267E 2692 "
    "2694-2697 2699 269B-269C 26A0 26A7 26B0-26B1 26C8 26CF 26D1 26D3 26E9 26F0-26F1 26F4 26F7-26F9 2702 2708-2709 "
    "270C-270D 270F 2712 2714 2716 271D 2721 2733-2734 2744 2747 2763-2764 27A1 2934-2935 2B05-2B07 3030 303D 3297 "
    "3299 1F170-1F171 1F17E-1F17F 1F202 1F237 1F321 1F324-1F32C 1F336 1F37D 1F396-1F397 1F399-1F39B 1F39E-1F39F "
    "1F3CB-1F3CE 1F3D4-1F3DF 1F3F3 1F3F5 1F3F7 1F43F 1F441 1F4FD 1F549-1F54A 1F56F-1F570 1F573-1F579 1F587 "
    "1F58A-1F58D 1F590 1F5A5 1F5A8 1F5B1-1F5B2 1F5BC 1F5C2-1F5C4 1F5D1-1F5D3 1F5DC-1F5DE 1F5E1 1F5E3 1F5E8 1F5EF "
    "1F5F3 1F5FA 1F6CB 1F6CD-1F6CF 1F6E0-1F6E5 1F6E9 1F6F0 1F6F3"
)
_JOINED_EMOJI = _ranges(
    "2194-2199 231A-231B 23E9-23F3 2600-2685 2690-2705 2708-2712 2714 2716 271D 2721 2728 2733-2734 2744 2747 274C "
    "274E 2753-2755 2757 2763-2767 2795-2797 27A1 27B0 27BF 2934-2935 2B05-2B07 2B1B-2B1C 2B50 2B55 1F000-1FAFF"
)

_NON_JOINER_AND_JOINER, _JOINER = _ranges("200C-200D"), _ranges("200D")
_KEPT = (
    Context(characters=_NON_JOINER_AND_JOINER, before=_INDIC, after=_INDIC),
    Context(characters=_JOINER, before=_VIRAMAS),  # a half form, also at the end of a word
    Context(characters=_NON_JOINER_AND_JOINER, before=_CURSIVE, after=_CURSIVE),
    Context(characters=_ranges("180B-180D 180F"), before=_MONGOLIAN),  # variants of letters
    Context(characters=_ranges("180E"), before=_MONGOLIAN, after=_MONGOLIAN),  # before a separate final vowel
    Context(characters=_JOINER, before=(*_JOINED_EMOJI, (0xFE0F, 0xFE0F)), after=_JOINED_EMOJI),
    Context(characters=_ranges("FE0F"), before=_TEXT_EMOJI),
    Context(characters=_ranges("FE0F"), before=_ranges("23 2A 30-39"), after=_ranges("20E3")),  # keycaps
    Context(characters=_ranges("E0020-E007F"), before=_ranges("1F3F4 E0020-E007E")),  # flags of regions
)
# In languages that write words without spaces, a zero-width space allows a line break. It is kept on the target side.
# On the source side, it is removed, because some texts have it and others do not.
_KEPT_IN_TARGETS = Context(characters=_ranges("200B"), before=_SOUTHEAST_ASIAN, after=_SOUTHEAST_ASIAN)

# Quotes, apostrophes, and letters that look like an apostrophe, such as the ʻokina. Keyboards lack most of them, so
# people use them interchangeably. Their position within or around a word shows which one is meant.
_QUOTES = {"'": "‘’‚‛‹›`´′‵ʹʻʼʽ՚׳ꞌꞋ❛❜\u1fbd\u1fef\u1ffd\u0374", '"': "“”„‟«»″‶ʺ˝ˮ״〝〞〟❝❞"}
_HYPHENS = {"-": "\u2010\u2011"}  # the hyphen and the no-break hyphen
# Pairs of letters that Unicode also has as a single character.
_DOUBLE_LETTERS = "\u0132\u0133\u013f\u0140\u01c4\u01c5\u01c6\u01c7\u01c8\u01c9\u01ca\u01cb\u01cc\u01f1\u01f2\u01f3"
_LIGATURES = _ranges("FB00-FB06 FB13-FB17")
# Malayalam consonants without a vowel. Before Unicode 5.1, they were written as consonant, virama and joiner.
_CHILLUS = {"ണ": "ൺ", "ന": "ൻ", "ര": "ർ", "ല": "ൽ", "ള": "ൾ", "ക": "ൿ"}

# Blocks with variants of other characters. The variants differ only in width, font, or the form of joined letters.
_VARIANT_BLOCKS = _ranges("2102-2134 213C-2149 FB20-FB29 FB50-FDFF FE50-FEFF FF01-FFEE 1D400-1D7FF 1EE00-1EEFF")
_RIAL = 0xFDFC  # a currency sign, which Unicode defines as a variant of the word rial
_VARIANTS = ("<wide>", "<narrow>", "<small>", "<font>", "<initial>", "<medial>", "<final>", "<isolated>")


def build_normalizers(choice: str) -> Normalizers:
    """Build normalizers. `choice` is the value of `tokenizer.normalization`.

    Raises:
        ConfigError: the file with rules that `choice` names is missing, or its rules cannot be used.
    """
    if choice == "none":
        return Normalizers()
    if choice in ("nfc", "nfkc"):
        form = Normalizer(Rules(form="NFC" if choice == "nfc" else "NFKC"))
        return Normalizers(source=form, target=form)
    source, target = source_rules(), target_rules()
    if choice != "standard":
        source, target = _add_user_rules(Path(choice), source, target)
    return Normalizers(source=Normalizer(source), target=Normalizer(target))


def source_rules() -> Rules:
    """Return the standard rules of the source side. They make different spellings of the same text equal."""
    quotes = {character: plain for plain, characters in _QUOTES.items() for character in characters}
    hyphens = {character: plain for plain, characters in _HYPHENS.items() for character in characters}
    variants = {key: quotes.get(value, value) for key, value in _find_variants().items()}
    letters = {key: unicodedata.normalize("NFKC", key) for key in _DOUBLE_LETTERS} | {"ŉ": "'n"}
    return Rules(
        spaces=_SPACES,
        remove=_INVISIBLE,
        keep=_KEPT,
        form="NFC",
        replace={**variants, **letters, **_spellings(), **hyphens, **quotes},
        collapse=True,
        trim=_SPACES,
    )


def target_rules() -> Rules:
    """Return the standard rules of the target side. They keep no-break spaces, quotes and all other visible text."""
    return Rules(
        spaces=_LINE_SPACES,
        remove=_INVISIBLE,
        keep=(*_KEPT, _KEPT_IN_TARGETS),
        form="NFC",
        replace=_spellings(),
        collapse=True,
        trim=_SPACES,
    )


def _spellings() -> dict[str, str]:
    """Return replacements of spellings that look the same: Latin and Armenian ligatures, and Malayalam chillus."""
    ligatures = [chr(code) for first, last in _LIGATURES for code in range(first, last + 1)]
    chillus = {f"{consonant}\u0d4d\u200d": chillu for consonant, chillu in _CHILLUS.items()}
    return {key: unicodedata.normalize("NFKC", key) for key in ligatures} | chillus


def _find_variants() -> dict[str, str]:
    """Map each character of `_VARIANT_BLOCKS` that Unicode defines as a variant to the text that it is a variant of.

    Unicode guarantees that these definitions never change. Forms that include a space are left out.
    """
    variants = {}
    for code in (code for first, last in _VARIANT_BLOCKS for code in range(first, last + 1)):
        kind, *codes = unicodedata.decomposition(chr(code)).split() or [""]
        text = "".join(chr(int(each, 16)) for each in codes)
        if kind in _VARIANTS and " " not in text and code != _RIAL:
            variants[chr(code)] = unicodedata.normalize("NFC", text)
    return variants


def _add_user_rules(path: Path, source: Rules, target: Rules) -> tuple[Rules, Rules]:
    """Add the rules of a file to the rules of both sides. Raises ConfigError: the file is missing or has faults."""
    try:
        content = parse_yaml(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(
            f"tokenizer.normalization: {path}: cannot be read ({reason(error)}); "
            "choose standard, none, nfc or nfkc, or name a file with rules"
        ) from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: not valid YAML ({' '.join(str(error).split())}); {_ADVICE}") from error
    try:
        if not isinstance(content, dict):
            raise ValueError("it must hold the keys form, replace, remove, keep, source and target")
        sides = {side: content.pop(side, None) or {} for side in ("source", "target")}
        for extra in (content, sides["source"]):
            source = _change(source, extra)
        for extra in (content, sides["target"]):
            target = _change(target, extra)
    except ValueError as error:
        raise ConfigError(f"{path}: {error}; {_ADVICE}") from error
    return source, target


def _change(rules: Rules, extra: Any) -> Rules:
    """Add rules of a user to other rules. For the same characters, the rules of the user take precedence."""
    if not isinstance(extra, dict) or not extra.keys() <= {"form", "replace", "remove", "keep"}:
        raise ValueError("the allowed keys are form, replace, remove, keep, and these under source and target")
    form, replace = extra.get("form", rules.form), extra.get("replace") or {}
    if form not in ("NFC", "NFKC"):
        raise ValueError(f"form must be NFC or NFKC, not {form!r}")
    if not isinstance(replace, dict) or not all(
        isinstance(text, str) and key for item in replace.items() for key, text in [(item[0], item[0]), item]
    ):
        raise ValueError("replace must map texts to texts; put them into quotes")
    texts = {name: extra.get(name) or "" for name in ("remove", "keep")}
    for name, text in texts.items():
        if not isinstance(text, str):
            raise ValueError(f"{name} must be a string of characters, not {text!r}; put it into quotes")
    replace = {unicodedata.normalize("NFC", key): value for key, value in replace.items()}
    for key, value in replace.items():
        if loop := next((other for other in replace if other in value), None):
            raise ValueError(f"replace: {key!r} becomes {value!r}, which contains {loop!r}, another text to replace")
    # The other rules must not change characters that the user wants to have in the text.
    wanted = {*texts["keep"], *"".join(replace.values())}
    own = {**replace, **dict.fromkeys(texts["remove"], "")}
    return Rules(
        spaces=_leave_out(rules.spaces, {*wanted, *own} - {" "}),
        remove=_leave_out(rules.remove, {*wanted, *own}),
        keep=rules.keep,
        form=form,
        replace={key: value for key, value in rules.replace.items() if key not in wanted} | own,
        collapse=rules.collapse,
        trim=rules.trim,
    )


def _leave_out(ranges: Ranges, characters: Iterable[str]) -> Ranges:
    """Return ranges without some characters."""
    for code in sorted({ord(character) for character in characters if contains(ranges, character)}):
        parts = [
            [(first, code - 1), (code + 1, last)] if first <= code <= last else [(first, last)]
            for first, last in ranges
        ]
        ranges = tuple((first, last) for part in parts for first, last in part if first <= last)
    return ranges
