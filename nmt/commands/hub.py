"""nmt-hub push MODEL OWNER/NAME, nmt-hub pull OWNER/NAME FOLDER, nmt-hub card MODEL"""

import argparse
import functools
import logging
import sys
from collections.abc import Sequence
from pathlib import Path

from nmt.commands.arguments import MODEL_HELP, build_parser
from nmt.commands.process import print_result, run, startup

logger = logging.getLogger("nmt.commands.hub")  # under `python -m`, __name__ is __main__

NAME = "nmt-hub"


def main(arguments: Sequence[str] | None = None) -> int:
    """Upload a model to the Hugging Face hub, download one, or write its card."""
    options = _parse(arguments)

    def body() -> None:
        with startup():
            from nmt.checkpoint.hub import pull, push, read_source
        if options.action == "pull":
            address = options.address if options.address.startswith("hf:") else f"hf://{options.address}"
            print_result(pull(address, Path(options.folder)))
        elif options.action == "card":
            source = read_source(Path(options.model))
            name = options.name or source.get("repository") or Path(options.model).resolve().name
            revision = source.get("revision") if name == source.get("repository") else None
            print_result(_write_card(options, name, revision).rstrip("\n"))
        else:
            from nmt.checkpoint.run_folder import find_model_folder

            write_card = functools.partial(_write_card, options, options.repository)
            commit = push(find_model_folder(options.model), options.repository, write_card, private=options.private)
            print_result(commit)
            logger.info("to translate: nmt-translate hf://%s@%s < FILE", options.repository, commit)

    return run(NAME, body, lower="the size of the model")


def _write_card(options: argparse.Namespace, name: str, revision: str | None) -> str:
    from nmt.checkpoint.card import read_scores, write_card
    from nmt.checkpoint.run_folder import find_model_folder

    folder, model = find_model_folder(options.model), Path(options.model)
    return write_card(
        folder,
        run=model if (model / "train.log").is_file() else None,
        name=name,
        revision=revision,
        scores=[read_scores(*each) for each in options.scores],
        license_name=options.license,
        datasets=options.dataset,
    )


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = build_parser(NAME, "Upload models to the Hugging Face hub, download them, and write their cards.")
    actions = parser.add_subparsers(dest="action", required=True, metavar="push|pull|card")
    push = actions.add_parser("push", help="upload a model and its card, and print the commit", allow_abbrev=False)
    card = actions.add_parser("card", help="print the card of a model", allow_abbrev=False)
    pull = actions.add_parser("pull", help="download a model, and print its commit", allow_abbrev=False)
    for action in (push, card):
        action.add_argument("model", metavar="MODEL", help=MODEL_HELP)
        action.add_argument(
            "--scores", type=_parse_scores, action="append", default=[], metavar="SET=FILE",
            help="what nmt-evaluate --json has printed for a test set; may be repeated",
        )  # fmt: skip
        action.add_argument("--license", metavar="NAME", help="the license, such as cc-by-4.0")
        action.add_argument(
            "--dataset", action="append", default=[], metavar="NAME", help="a dataset of the hub in the training text"
        )
    push.add_argument("repository", metavar="OWNER/NAME", help="the repository, which is created if needed")
    push.add_argument("--private", action="store_true", help="create a repository that only its owner can read")
    card.add_argument("--name", metavar="OWNER/NAME", help="the name of the model; default: the name of its folder")
    pull.add_argument("address", metavar="OWNER/NAME[@REVISION]", help="the model; a commit always has the same files")
    pull.add_argument("folder", metavar="FOLDER", help="the folder to write, which must not exist")
    return parser.parse_args(arguments)


def _parse_scores(text: str) -> tuple[str, str]:
    name, sign, file = text.partition("=")
    if not (name and sign and file):
        raise argparse.ArgumentTypeError(f"must be SET=FILE, such as test2016=scores.json, not {text!r}")
    return name, file


if __name__ == "__main__":
    sys.exit(main())
