"""nmt-export --format int8 MODEL OUTPUT"""

import sys
from collections.abc import Sequence

from nmt.commands.arguments import MODEL_HELP, build_parser
from nmt.commands.process import run, startup

NAME = "nmt-export"


def main(arguments: Sequence[str] | None = None) -> int:
    """Write a model in a smaller format."""
    parser = build_parser(
        NAME,
        "Write a model folder of a quarter of the size. "
        "It can be used like the original, except by nmt-train --resume.",
    )
    parser.add_argument("model", metavar="MODEL", help=MODEL_HELP)
    parser.add_argument("output", metavar="OUTPUT", help="folder to write, which must not exist")
    parser.add_argument(
        "--format", choices=("int8",), required=True, help="int8: matrices of 8-bit integers with a scale for each row"
    )
    options = parser.parse_args(arguments)

    def body() -> None:
        with startup():
            from nmt.checkpoint.export import export

        export(options.model, options.output)

    return run(NAME, body, lower="the size of the model")


if __name__ == "__main__":
    sys.exit(main())
