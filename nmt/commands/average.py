"""nmt-average MODEL [MODEL ...] --output DIR [--last N]"""

import sys
from collections.abc import Sequence

from nmt.commands.base import parser, run, whole_number

NAME = "nmt-average"


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the mean of several models' weights as a model."""
    parse = parser(NAME, "Write a model folder with the mean of the weights of several models of one architecture.")
    parse.add_argument("models", metavar="MODEL", nargs="+", help="model folder or output folder of nmt-train")
    parse.add_argument("--output", metavar="DIR", required=True, help="the folder to write, a new one")
    parse.add_argument(
        "--last",
        type=whole_number(1),
        metavar="N",
        help="of each MODEL, an output folder of nmt-train, the newest N checkpoints; default: the best one",
    )
    options = parse.parse_args(arguments)

    def body() -> None:
        from nmt.checkpoint.average import average, newest_checkpoints

        folders = options.models
        if options.last:
            folders = [folder for model in options.models for folder in newest_checkpoints(model, options.last)]
        average(folders, options.output)

    return run(NAME, body)


if __name__ == "__main__":
    sys.exit(main())
