"""nmt-train CONFIG [section.key=value ...] --output DIR [--resume], or nmt-train TEXT... --from chr --to en"""

import argparse
import contextlib
import re
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from nmt.commands.arguments import build_parser, number, whole_number
from nmt.commands.process import run, startup
from nmt.config.fields import Range
from nmt.errors import ConfigError

if TYPE_CHECKING:
    from nmt.training.choose.text import Text

NAME = "nmt-train"
# The options that describe a text, with the names that argparse gives them.
ONLY_TEXT = {
    "source_language": "--from",
    "target_language": "--to",
    "source": "--source",
    "target": "--target",
    "valid": "--valid",
    "test": "--test",
    "minutes": "--minutes",
    "monolingual": "--monolingual",
    "rounds": "--rounds",
    "copy": "--copy",
    "diversify": "--diversify",
    "start_from": "--start-from",
    "mix": "--mix",
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Train a model from a configuration, or on a text."""
    began = time.monotonic()
    options = _parse(arguments)

    def body() -> None:
        text = _find_text(options) if options.is_text else None
        with startup():
            from nmt.config.load import load_config
            from nmt.training.distributed import join_processes
            from nmt.training.run import train

            if text is not None:
                from nmt.training.choose.monolingual import find_monolingual
                from nmt.training.choose.rounds import Rounds
                from nmt.training.choose.run import train_on_text

        bar = sys.stderr.isatty()
        with join_processes() as processes:
            if text is None:
                config = load_config(options.names[0], options.overrides)
                train(config, options.output, resume=options.resume, bar=bar, processes=processes)
            else:
                languages = text.source_language, text.target_language
                output = Path(options.output or Path("runs", "-".join(languages)))
                minutes = options.minutes and options.minutes - (time.monotonic() - began) / 60
                common = {"overrides": options.overrides, "bar": bar, "processes": processes}
                if options.monolingual or options.diversify:
                    monolingual = find_monolingual(
                        options.monolingual or (),
                        languages,
                        rounds=options.rounds or 1,
                        copy=bool(options.copy),
                        diversify=bool(options.diversify),
                    )
                    rounds = Rounds(text=text, monolingual=monolingual, output=output, **common)
                    rounds.train(minutes=minutes, resume=options.resume)
                else:
                    train_on_text(text, output, minutes=minutes, resume=options.resume, **common)

    return run(NAME, body, lower="training.batch_tokens, data.max_length or the sizes in model")


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Parse the command line.

    The result also has these attributes: `names` are the texts, or the configuration, `overrides` are the other words,
    and `is_text` tells whether a text is named.
    """
    parser = build_parser(
        NAME, "Train a translation model, from a configuration or on a text. For a text, all settings are chosen."
    )
    parser.add_argument(
        "words",
        metavar="CONFIG|TEXT... section.key=value",
        nargs="*",
        help="a YAML file, whose keys docs/configuration.md lists, or files with text in two languages (.tsv, .csv, "
        ".jsonl, .tmx, .zip and others); then values that replace values of CONFIG, or that are not chosen",
    )
    parser.add_argument(
        "--output", metavar="DIR", help="folder for the model, checkpoints and logs; default for a text: runs/FROM-TO"
    )
    parser.add_argument("--resume", action="store_true", help="continue the training in DIR, if there is one")
    _add_text_options(parser.add_argument_group("text without a configuration"))
    options = parser.parse_intermixed_args(arguments)
    options.names, options.overrides = [], []
    for word in options.words:
        known = not options.names and not (options.source or options.target)
        is_name = not re.match(r"[a-z_]+\.[a-z_.]+=", word) and (known or "=" not in word)
        (options.names if is_name else options.overrides).append(word)
    if not (options.names or options.source or options.target):
        parser.error("the following arguments are required: CONFIG or TEXT")
    options.is_text = bool(_flags(options)) or _is_text(options.names[0])
    if not options.is_text:
        options.overrides += options.names[1:]  # a second configuration is reported as an override with a fault
    if not options.is_text and not options.output:
        parser.error("the following arguments are required: --output")
    return options


def _add_text_options(group: argparse._ArgumentGroup) -> None:
    group.add_argument("--from", dest="source_language", metavar="LANGUAGE", help="source language of the text")
    group.add_argument("--to", dest="target_language", metavar="LANGUAGE", help="target language of the text")
    group.add_argument("--source", metavar="FILE", help="source side of the text, instead of TEXT")
    group.add_argument("--target", metavar="FILE", help="target side of the text, line by line its translation")
    forms = "a file such as TEXT, or SOURCE,TARGET; default: some pairs of the text"
    group.add_argument("--valid", metavar="TEXT", help=f"text that chooses the best checkpoint: {forms}")
    group.add_argument("--test", metavar="TEXT", help=f"text that is scored at the end: {forms}")
    positive = number(float, Range(most=1_000_000, above=0))
    group.add_argument(
        "--minutes", type=positive, metavar="N", help="time for the whole run; default: as the text needs"
    )
    group.add_argument(
        "--monolingual",
        metavar="[LANGUAGE=]FILE",
        action="append",
        help="text in one of the two languages, which models translate into more training pairs; can be repeated; "
        "default LANGUAGE: the ending of FILE",
    )
    group.add_argument(
        "--diversify",
        action="store_true",
        default=None,
        help="also train on translations of both sides of the text by models, which are trained first",
    )
    group.add_argument(
        "--rounds",
        metavar="N",
        type=whole_number(1, 10),
        help="how many times models translate text, each time better ones; default: 1",
    )
    group.add_argument(
        "--copy", action="store_true", default=None, help="also train on copies of that text in the target language"
    )
    group.add_argument(
        "--start-from", metavar="MODEL", help="continue from this model: adapt it to the text, or transfer it"
    )
    group.add_argument(
        "--mix", metavar="OLD", help="text that MODEL was trained on, to mix in against forgetting; as --valid"
    )


def _flags(options: argparse.Namespace) -> list[str]:
    """Return the options for a text that are given."""
    return [flag for name, flag in ONLY_TEXT.items() if getattr(options, name) is not None]


def _is_text(name: str) -> bool:
    """Return whether a file is a text in two languages. Otherwise, it is a configuration, which may also be JSON."""
    from nmt.data.formats import find_format

    if name.lower().endswith(".json"):
        with contextlib.suppress(OSError), open(name, "rb") as stream:  # the reader of the file reports the error
            return stream.read(100).lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"[")
        return False
    return find_format(name) is not None


def _find_text(options: argparse.Namespace) -> "Text":
    """Find the text that the command line describes.

    Raises:
        ConfigError: the options do not fit each other, or the languages are not known.
        DataError: the text is missing or cannot be read.
    """
    from nmt.training.choose.text import find_text

    if bool(options.source) != bool(options.target):
        raise ConfigError("give --source and --target together")
    for name in options.names:
        if name.lower().endswith((".yaml", ".yml")):
            raise ConfigError(
                f"{name}: is a configuration, but {', '.join(_flags(options)) or options.names[0]} is for a text "
                "without one; give overrides such as data.source_language=chr instead"
            )
    if options.rounds and not (options.monolingual or options.diversify):
        raise ConfigError("--rounds is for text that models translate; add --monolingual FILE or --diversify")
    if options.copy and not options.monolingual:
        raise ConfigError("--copy is for text in one language; add --monolingual FILE")
    if options.mix and not options.start_from:
        raise ConfigError("--mix is for training that continues from a model; add --start-from MODEL")
    return find_text(
        *options.names,
        *([(options.source, options.target)] if options.source else []),
        source_language=options.source_language,
        target_language=options.target_language,
        valid=options.valid,
        test=options.test,
        start_from=options.start_from,
        mix=options.mix,
    )


if __name__ == "__main__":
    sys.exit(main())
