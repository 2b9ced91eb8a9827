"""nmt-average MODEL [MODEL ...] --output DIR [--last N]"""

import sys
from collections.abc import Sequence

from nmt.commands.arguments import MODEL_HELP, build_parser, whole_number
from nmt.commands.process import run, startup

NAME = "nmt-average"


def main(arguments: Sequence[str] | None = None) -> int:
    """Average the weights of several models, and write the averaged model."""
    parser = build_parser(
        NAME, "Average the weights of several models of the same architecture into a new model folder."
    )
    parser.add_argument("models", metavar="MODEL", nargs="+", help=MODEL_HELP)
    parser.add_argument("--output", metavar="DIR", required=True, help="folder to write, which must not exist")
    parser.add_argument(
        "--last",
        type=whole_number(1),
        metavar="N",
        help="average the newest N checkpoints of each MODEL, an output folder of nmt-train; "
        "default: its best checkpoint",
    )
    options = parser.parse_args(arguments)

    def body() -> None:
        with startup():
            from nmt.checkpoint.average import average, find_newest_checkpoints

        folders = options.models
        if options.last:
            folders = [folder for model in options.models for folder in find_newest_checkpoints(model, options.last)]
        average(folders, options.output)

    return run(NAME, body, lower="the number of models")


if __name__ == "__main__":
    sys.exit(main())
