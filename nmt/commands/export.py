"""nmt-export --format int8 MODEL OUTPUT"""

import sys
from collections.abc import Sequence

from nmt.commands.base import parser, run

NAME = "nmt-export"


def main(arguments: Sequence[str] | None = None) -> int:
    """Write a model as a smaller one."""
    parse = parser(
        NAME,
        "Write a model folder of a quarter of the size, which can be used like any other; only --resume needs the original.",
    )
    parse.add_argument("model", metavar="MODEL", help="model folder or output folder of nmt-train")
    parse.add_argument("output", metavar="OUTPUT", help="the folder to write, a new one")
    parse.add_argument(
        "--format", choices=("int8",), required=True, help="of the matrices: 8-bit integers, scaled row by row"
    )
    options = parse.parse_args(arguments)

    def body() -> None:
        from nmt.checkpoint.export import export

        export(options.model, options.output)

    return run(NAME, body)


if __name__ == "__main__":
    sys.exit(main())
