"""nmt-check CONFIG [section.key=value ...] or nmt-check CORPUS --from de --to en"""

import argparse
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nmt.commands.arguments import build_parser
from nmt.commands.process import print_result, run
from nmt.errors import ConfigError

if TYPE_CHECKING:
    from nmt.config.schema import DataConfig

NAME = "nmt-check"


def main(arguments: Sequence[str] | None = None) -> int:
    """Check the text of a configuration, or text that is named on the command line."""
    parser = build_parser(
        NAME,
        "Check training, validation and held-out text, and print what is wrong, worst first. "
        "The exit status is 1 if a finding is severe.",
    )
    parser.add_argument(
        "words",
        metavar="CONFIG|CORPUS section.key=value",
        nargs="*",
        help="the configuration of nmt-train (.yaml), or a corpus as in data.train, such as data/train; "
        "then values that replace values of the configuration, such as data.valid=data/valid",
    )
    group = parser.add_argument_group("text without a configuration")
    group.add_argument("--from", dest="source_language", metavar="LANGUAGE", help="source language of CORPUS")
    group.add_argument("--to", dest="target_language", metavar="LANGUAGE", help="target language of CORPUS")
    group.add_argument("--source", metavar="FILE", help="the source side of the training text, instead of CORPUS")
    group.add_argument("--target", metavar="FILE", help="the target side of the training text")
    group.add_argument("--valid-source", metavar="FILE", help="the source side of validation text")
    group.add_argument("--valid-target", metavar="FILE", help="the target side of validation text")
    parser.add_argument("--json", action="store_true", help="print the findings as JSON")
    parser.add_argument("--fix", metavar="DIR", help="write the cleaned text to this folder, which must not exist")
    options = parser.parse_intermixed_args(arguments)

    def body() -> int:
        from nmt.data.check.findings import Severity
        from nmt.data.check.fix import fix_corpora
        from nmt.data.check.run import check_corpora
        from nmt.data.check.screen import write_json, write_screen
        from nmt.system.files import check_new

        data = _read_data(options)
        if options.fix:
            check_new(Path(options.fix))
        report = check_corpora(data)
        print_result(write_json(report) if options.json else write_screen(report))
        if options.fix:
            for line in fix_corpora(data, report, Path(options.fix)):
                print(line, file=sys.stderr)
        return int(report.worst == Severity.SEVERE)

    return run(NAME, body)


def _read_data(options: argparse.Namespace) -> "DataConfig":
    """Build the data section from a configuration, a corpus or files. Raises ConfigError: the options do not fit."""
    from nmt.config.load import parse_config, read_yaml

    overrides = [word for word in options.words if re.match(r"[a-z_]+\.[a-z_.]+=", word)]
    names = [word for word in options.words if word not in overrides]
    given = {"CORPUS": names[0] if names else None, "--source": options.source}
    content: dict[str, Any] = {"data": {}}
    data = content["data"]
    for language in ("source_language", "target_language"):
        if getattr(options, language):
            data[language] = getattr(options, language)
    if len(names) > 1 or (names and options.source) or not any(given.values()):
        raise ConfigError("name one text: CONFIG, CORPUS, or --source and --target; see nmt-check --help")
    if names and names[0].endswith((".yaml", ".yml")):
        if data or options.valid_source or options.valid_target:
            raise ConfigError(
                "--from, --to, --valid-source and --valid-target are for text without a configuration; "
                "give overrides such as data.source_language=de instead"
            )
        content = read_yaml(names[0]) or {}
        return parse_config(content, overrides, where=names[0]).data
    for left, right in (("source", "target"), ("valid_source", "valid_target")):
        if bool(getattr(options, left)) != bool(getattr(options, right)):
            raise ConfigError(f"give --{left.replace('_', '-')} and --{right.replace('_', '-')} together")
    if options.valid_source:
        data["valid"] = {"source": options.valid_source, "target": options.valid_target}
    if names:
        if len(data.keys() & {"source_language", "target_language"}) < 2 and not overrides:
            raise ConfigError(f"{names[0]}: say its languages with --from and --to")
        data["train"] = names[0]
    else:
        from nmt.data.formats.languages import guess_language

        data["train"] = {"source": options.source, "target": options.target}
        data.setdefault("source_language", guess_language(options.source) or "source")
        data.setdefault("target_language", guess_language(options.target) or "target")
    return parse_config(content, overrides, where="command line").data


if __name__ == "__main__":
    sys.exit(main())
