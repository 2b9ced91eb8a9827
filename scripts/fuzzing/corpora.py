"""Corpora with junk, given to nmt-train, and to nmt-translate, which must write a line for each line."""

import gzip
import json
import lzma
import random
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from fuzzing.case import Case, Outcome, import_for_training
from fuzzing.commands import CONFIG
from fuzzing.models import ENGLISH, GERMAN, ROOT
from fuzzing.mutations import damage
from nmt.commands import train as train_command
from nmt.commands import translate as translate_command
from nmt.translation.pipe import MAX_LINE_BYTES

MODEL = ROOT / "tests" / "models" / "0.1.0" / "input_feeding"

Text = list[bytes]
Pairs = list[tuple[bytes, bytes]]


def prepare(shared: Path) -> Callable[[random.Random, Path], Case]:  # noqa: ARG001
    """Return the function that makes a case."""
    import_for_training()

    def make(draw: random.Random, folder: Path) -> Case:
        return make_pipe(draw) if draw.random() < 0.5 else make_training(draw, folder)

    return make


# ---- lines


def draw_line(words: tuple[str, ...], draw: random.Random) -> bytes:
    """Return a line, mostly of words of the corpus."""
    line = " ".join(draw.choice(words) for _ in range(draw.randint(1, 6))).encode()
    match draw.randrange(12):
        case 0:
            return draw.choice((b"", b" ", b"\t", b"\xc2\xa0", b"\xe2\x80\x8b", b"\xef\xbb\xbf"))
        case 1:
            return draw.randbytes(draw.choice((1, 5, 60))).replace(b"\n", b" ").replace(b"\r", b" ")
        case 2:
            separator = draw.choice(
                (b"\x00", b"\x0b", b"\x0c", b"\x1c", b"\x1e", b"\x85", b"\xe2\x80\xa8", b"\xc2\x85", b"\r")
            )
            return separator.join((line, line))
        case 3:
            return line.decode().encode(draw.choice(("latin-1", "utf-16-be", "utf-8-sig"))).replace(b"\n", b" ")
        case 4:
            return draw.choice(
                (line + b"\xff\xfe", b"\xed\xa0\x80" + line, line + b"\xf4\x90\x80\x80", line[:-1] + b"\xc3")
            )
        case 5:
            return draw.choice(
                ("\u0301" * 50, "👩‍👩‍👧‍👦 🇩🇪", "ﷺ" * 9, "क्‍ष", "می‌خواهم", "İıſß", "\U000e0041", "１２３ ＡＢＣ")
            ).encode()
    return line


def draw_size(draw: random.Random) -> int:
    return draw.choice((0, 1, 2, 7, 40))


def end_lines(lines: Text, draw: random.Random) -> bytes:
    """Join lines by line ends that may be mixed. The last line may have none."""
    ends = draw.choice(((b"\n",), (b"\n",), (b"\r\n",), (b"\n", b"\r\n")))
    content = b"".join(line.replace(b"\n", b" ") + draw.choice(ends) for line in lines)
    return content.rstrip(b"\r\n") if draw.random() < 0.2 else content


# ---- nmt-translate


def make_pipe(draw: random.Random) -> Case:
    """Make a case of text on standard input."""
    lines = [draw_line(ENGLISH, draw) for _ in range(draw_size(draw))]
    what = f"{len(lines)} lines"
    if draw.random() < 0.1:
        size = draw.choice((MAX_LINE_BYTES - 1, MAX_LINE_BYTES, MAX_LINE_BYTES + 1, 3 * MAX_LINE_BYTES))
        lines.insert(draw.randrange(len(lines) + 1), draw.choice((b"x" * size, b" " * size, b"\x00" * size)))
        what += f", one of {size:,} bytes"
    content = end_lines(lines, draw)
    if draw.random() < 0.3:
        content, way = damage(content, draw)
        what += f", {way}"
    if draw.random() < 0.1:
        pack = draw.choice(
            (gzip.compress, lzma.compress, lambda text: text.decode("utf-8", "replace").encode("utf-16"))
        )
        content, what = pack(content), what + ", packed"
    arguments = [str(MODEL), "--threads", draw.choice(("1", "1", "2"))]
    arguments += draw.choice(([], [], ["--split"], ["--json"], ["--beam", "1"], ["--sample"], ["--batch-size", "1"]))
    expected = content.count(b"\n") + (not content.endswith(b"\n") and bool(content))

    def check(outcome: Outcome) -> str | None:
        found = outcome.stdout.count(b"\n")
        refused = outcome.status == 2 and re.search("UTF-16|gzip|zip|xz|compressed|binary", outcome.stderr)
        if outcome.status and not refused:
            return "refused"
        return f"lost lines: {found} of {expected}" if found != expected and not refused else None

    return Case(
        name=f"nmt-translate {' '.join(arguments[1:])}: {what}",
        act=lambda: translate_command.main(arguments),
        stdin=content,
        check=check,
        seconds=120,
        megabytes=1500,
    )


# ---- nmt-train


def make_training(draw: random.Random, folder: Path) -> Case:
    """Make a case of a training corpus."""
    count = draw.choice((0, 1, 20, 60))
    pairs = [(draw_line(ENGLISH, draw), draw_line(GERMAN, draw)) for _ in range(count)]
    if draw.random() < 0.1 and pairs:
        side = draw.choice((b"word " * 200_000, b"x" * 1_000_000, b" " * 1_000_000))
        pairs[draw.randrange(len(pairs))] = draw.choice(((side, side), (side, b"haus"), (b"house", side)))
    write = draw.choice((write_sides, write_sides, write_table, write_objects, write_mismatch))
    corpus, expected = write(pairs, folder, draw)
    kind = draw.choice(("words", "characters", "unigram", "bpe"))
    tokenizer = {"kind": kind, "vocabulary_size": 60 if kind in ("words", "characters") else 300}
    config = {**CONFIG, "tokenizer": tokenizer, "data": {**CONFIG["data"], "train": corpus, "valid": "valid"}}
    for ending, words in (("en", ENGLISH), ("de", GERMAN)):
        (folder / f"valid.{ending}").write_text(" ".join(words) + "\n", encoding="utf-8")
    (folder / "config.yaml").write_text(json.dumps(config), encoding="utf-8")

    def check(outcome: Outcome) -> str | None:
        found = re.search(r"of ([0-9,]+) pairs kept", outcome.stderr)
        read = int(found[1].replace(",", "")) if found else None
        return f"lost pairs: {read} of {expected}" if None not in (read, expected) and read != expected else None

    return Case(
        name=f"nmt-train, {kind}: {count} pairs in {corpus} by {write.__name__}",
        act=lambda: train_command.main(["config.yaml", "--output", "out"]),
        check=check,
        seconds=120,
        megabytes=1500,
    )


def write_sides(pairs: Pairs, folder: Path, draw: random.Random) -> tuple[str, int | None]:
    """Write a file for each side, perhaps compressed or damaged. Return the corpus, and its pairs if they are known."""
    ending, pack = draw.choice(
        (("", bytes), ("", bytes), (".gz", gzip.compress), (".xz", lzma.compress), (".gz", bytes))
    )
    harm = draw.random() < 0.3
    for side, name in enumerate(("en", "de")):
        content = pack(b"".join(pair[side].replace(b"\n", b" ") + b"\n" for pair in pairs))
        if harm and side == draw.randrange(2):
            content = damage(content, draw)[0]
        (folder / f"corpus.{name}{ending}").write_bytes(content)
    return "corpus", None if harm or (ending and pack is bytes) else len(pairs)


def write_table(pairs: Pairs, folder: Path, draw: random.Random) -> tuple[str, int | None]:
    """Write a file of two columns, with tabs within or too few columns now and then."""
    name = draw.choice(("corpus.tsv", "corpus.tsv.gz", "corpus.csv", "corpus.odd", "corpus", "corpus.en"))
    rows = [b"\t".join(pair) if draw.random() < 0.9 else draw.choice((pair[0], b"\t".join(pair * 2))) for pair in pairs]
    content = end_lines(rows, draw)
    if draw.random() < 0.3:
        content = damage(content, draw)[0]
    (folder / name).write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
    return name, None


def write_objects(pairs: Pairs, folder: Path, draw: random.Random) -> tuple[str, int | None]:
    """Write objects of JSON with wrong types, missing keys and junk."""

    def encode(pair: tuple[bytes, bytes]) -> bytes:
        source, target = (side.decode("utf-8", "replace") for side in pair)
        odd: Any = draw.choice((None, 3, [], {}, True, [source], "null", float("nan")))
        row = draw.choice(
            ({"en": source, "de": target},) * 6
            + ({"translation": {"en": source, "de": target}}, {"en": source}, {"en": odd, "de": target}, odd, {})
        )
        return json.dumps(row, ensure_ascii=draw.random() < 0.5).encode()

    content = end_lines([encode(pair) for pair in pairs], draw)
    if draw.random() < 0.3:
        content = damage(content, draw)[0]
    (folder / "corpus.jsonl").write_bytes(content)
    return "corpus.jsonl", None


def write_mismatch(pairs: Pairs, folder: Path, draw: random.Random) -> tuple[str, int | None]:
    """Write sides of different lengths or kinds: a missing file, a folder, a link to itself."""
    source, target = folder / "corpus.en", folder / "corpus.de"
    source.write_bytes(b"".join(pair[0].replace(b"\n", b" ") + b"\n" for pair in pairs))
    match draw.randrange(5):
        case 0:
            target.write_bytes(b"haus\n" * (len(pairs) + draw.choice((-1, 1, 100))))
        case 1:
            target.mkdir()
        case 2:
            target.symlink_to(target.name)
        case 3:
            target.write_bytes(source.read_bytes() + b"\n\n\n")
        case 4:
            target.symlink_to("missing")
    return "corpus", None
