"""nmt-export --format int8|web MODEL OUTPUT"""

import sys
from collections.abc import Sequence

from nmt.commands.arguments import MODEL_HELP, build_parser
from nmt.commands.process import run, startup

NAME = "nmt-export"


def main(arguments: Sequence[str] | None = None) -> int:
    """Write a model in another format."""
    parser = build_parser(
        NAME,
        "Write a model in another format: a model folder of a quarter of the size, or a web page that translates in "
        "the browser.",
    )
    parser.add_argument("model", metavar="MODEL", help=MODEL_HELP)
    parser.add_argument("output", metavar="OUTPUT", help="folder to write, which must not exist")
    parser.add_argument(
        "--format",
        choices=("int8", "web"),
        required=True,
        help="int8: a model folder with matrices of 8-bit integers, which can be used like the original, except by "
        "nmt-train --resume; web: a static folder with a page that translates in the browser, without a server",
    )
    options = parser.parse_args(arguments)

    def body() -> None:
        with startup():
            from nmt.checkpoint.export import export
            from nmt.checkpoint.web import export_web

        (export_web if options.format == "web" else export)(options.model, options.output)

    return run(NAME, body, lower="the size of the model")


if __name__ == "__main__":
    sys.exit(main())
