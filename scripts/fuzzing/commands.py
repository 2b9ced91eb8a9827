"""Command lines of all commands, with odd values, missing files, folders in place of files, and huge numbers."""

import configparser
import contextlib
import importlib
import io
import json
import random
import re
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

from fuzzing.case import Case, Outcome, import_for_training
from fuzzing.models import ROOT, write_corpus

MODELS = ("input_feeding", "languages", "parallel")  # of tests/models/0.1.0
TEXT = b"red cat\n\ntwo\n \none two three four five\n"
NUMBERS = (
    "0", "-1", "1", "2", "3", "0.5", "-0.0", "007", "1_0", "٣", "1e3", "1e300", "1e-300", "1e999", "nan", "inf", "-inf",
    "1000", "3000", "100000", "1000000000", "2147483648", "18446744073709551616", "9" * 5000, "0x10", "1,5", "1 2",
)  # fmt: skip
WORDS = (
    "", " ", "-", "--", "-x", "--unknown", "auto", "cpu", "cuda", "fp32", "bf16", "int8", "de", "xx", "<low>", "bleu",
    "chrf", "x" * 10_000, "\x1b[31mred", "\x07", "a\nb", "a\tb", "\u202edlrow", "\udcff", "é", "*", "%s", "{}", "wmt14",
    "en-de",
)  # fmt: skip
FILES = (
    "missing", "missing/deep/file", "folder", "empty", "text.en", "text.de", "junk", "config.yaml", "model/config.yaml",
    "model", "languages", "parallel", "/dev/null", "/dev/full", "loop", "\x1b[2Jname", "text.en/inside", "unreadable",
)  # fmt: skip
CONFIG = {
    "data": {"train": "text", "valid": "text", "drop_overlap": False},
    "tokenizer": {"kind": "words", "vocabulary_size": 60},
    "model": {"embedding_size": 8, "encoder_size": 8, "decoder_size": 8, "tied_embeddings": "none"},
    "training": {"max_updates": 1, "batch_tokens": 64, "threads": 1, "device": "cpu", "shortlist": False},
    "validation": {"sentences": 2, "metric": "loss"},
}
KEYS = (
    "training.max_updates", "training.batch_tokens", "training.threads", "training.seed", "training.learning_rate",
    "model.embedding_size", "model.encoder_layers", "model.dropout", "tokenizer.vocabulary_size", "tokenizer.kind",
    "data.train", "data.valid", "data.max_length", "validation.beam", "unknown.key", "training", "",
)  # fmt: skip


def prepare(shared: Path) -> Callable[[random.Random, Path], Case]:
    """Return the function that makes a case."""
    import_for_training()
    write_corpus(shared)
    for name in MODELS:
        shutil.copytree(ROOT / "tests" / "models" / "0.1.0" / name, shared / name.replace("input_feeding", "model"))
    commands = {name: (module, find_options(module)) for name, module in find_commands().items()}

    def make(draw: random.Random, folder: Path) -> Case:
        shutil.copytree(shared, folder, dirs_exist_ok=True)
        write_files(folder)
        name = draw.choice(list(commands))
        module, options = commands[name]
        arguments = [*draw_required(name, draw), *draw_options(options, draw)]
        if draw.random() < 0.2:
            arguments.insert(draw.randrange(len(arguments) + 1), draw_value(draw))
        if draw.random() < 0.1 and arguments:
            del arguments[draw.randrange(len(arguments))]

        def check(outcome: Outcome) -> str | None:
            plain = name == "nmt-translate" and not outcome.status and not {"--nbest", "--help"} & set(arguments)
            lines = outcome.stdout.count(b"\n")
            plain = plain and "--version" not in arguments
            return f"{lines} lines for {TEXT.count(NEWLINE)}" if plain and lines != TEXT.count(NEWLINE) else None

        return Case(
            name=f"{name} {arguments!r:.300}",
            act=lambda: importlib.import_module(module).main(arguments),
            stdin=TEXT,
            check=check,
            seconds=60,
            megabytes=1500,
        )

    return make


NEWLINE = b"\n"


def find_commands() -> dict[str, str]:
    """Return the module of each command."""
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg")
    lines = setup["options.entry_points"]["console_scripts"].split("\n")
    names = [line.partition(" ")[0] for line in lines if line]
    return {name: f"nmt.commands.{name.removeprefix('nmt-').replace('-', '_')}" for name in names}


def find_options(module: str) -> dict[str, bool]:
    """Return the options that the help of a command names, and whether each has a value."""
    text = io.StringIO()
    with contextlib.redirect_stdout(text), contextlib.suppress(SystemExit):
        importlib.import_module(module).main(["--help"])
    found = re.findall(r"^  (--[a-z0-9-]+)( [A-Z{][^ ]*)?", text.getvalue(), flags=re.MULTILINE)
    return {option: bool(value) for option, value in found}


def write_files(folder: Path) -> None:
    (folder / "folder").mkdir()
    (folder / "empty").touch()
    (folder / "junk").write_bytes(bytes(range(256)) * 4)
    (folder / "config.yaml").write_text(json.dumps(CONFIG), encoding="utf-8")
    (folder / "loop").symlink_to("loop")
    (folder / "\x1b[2Jname").write_text("red cat\n", encoding="utf-8")
    (folder / "unreadable").write_text("red cat\n", encoding="utf-8")
    (folder / "unreadable").chmod(0)


def draw_required(name: str, draw: random.Random) -> list[str]:
    """Return arguments that a command needs. Most of them are right."""

    def file(right: str) -> str:
        return right if draw.random() < 0.75 else draw.choice(FILES)

    def output() -> str:
        return (
            "out"
            if draw.random() < 0.75
            else draw.choice(("", "folder", "text.en", "a/b/out", "/dev/null", "loop", "model"))
        )

    match name:
        case "nmt-train":
            overrides = [f"{draw.choice(KEYS)}={draw_value(draw)}" for _ in range(draw.choice((0, 0, 1, 2)))]
            return [file("config.yaml"), *overrides, "--output", output()]
        case "nmt-translate":
            return [file("model"), *(["--threads", "1"] if draw.random() < 0.7 else [])]
        case "nmt-evaluate":
            source = ["--source", file("text.en"), "--reference", file("text.de"), "--threads", "1"]
            return draw.choice(
                ([file("model"), *source], ["--hypothesis", file("text.de"), "--reference", file("text.de")])
            )
        case "nmt-export":
            return [file("model"), output(), "--format", draw.choice(("int8", "int8", draw_value(draw)))]
        case "nmt-average":
            return [file("model"), file("model"), "--output", output()]
    return [file("text.en"), file("text.de")]


def draw_options(options: dict[str, bool], draw: random.Random) -> Sequence[str]:
    """Return up to three options of a command with any values."""
    drawn: list[str] = []
    for _ in range(draw.choice((0, 1, 1, 2, 3))):
        option = draw.choice(list(options))
        if options[option] and draw.random() < 0.2:
            drawn.append(f"{option}={draw_value(draw)}")
        else:
            drawn += [option, draw_value(draw)] if options[option] else [option]
    return drawn


def draw_value(draw: random.Random) -> str:
    return draw.choice(draw.choice((NUMBERS, NUMBERS, WORDS, FILES)))
