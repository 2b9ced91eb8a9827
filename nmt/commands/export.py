"""nmt-export --format int8|web|c|onnx MODEL OUTPUT"""

import logging
import sys
from collections.abc import Sequence

from nmt.commands.arguments import MODEL_HELP, build_parser
from nmt.commands.process import run, startup
from nmt.errors import MachineError

logger = logging.getLogger("nmt.commands.export")  # under `python -m`, __name__ is __main__

NAME = "nmt-export"


def main(arguments: Sequence[str] | None = None) -> int:
    """Write a model in another format."""
    parser = build_parser(
        NAME,
        "Write a model in another format: a model folder of a quarter of the size, a web page that translates in the "
        "browser, a C library, or ONNX graphs.",
    )
    parser.add_argument("model", metavar="MODEL", help=MODEL_HELP)
    parser.add_argument("output", metavar="OUTPUT", help="folder to write, which must not exist")
    parser.add_argument(
        "--format",
        choices=("int8", "web", "c", "onnx"),
        required=True,
        help="int8: a model folder with matrices of 8-bit integers, which can be used like the original, except by "
        "nmt-train --resume; web: a static folder with a page that translates in the browser, without a server; c: a "
        "library in C with the model in one file, and example programs in C and Rust; onnx: graphs for the runtimes of "
        "ONNX (needs the extra onnx)",
    )
    options = parser.parse_args(arguments)

    def body() -> None:
        with startup():
            from nmt.checkpoint.c_export import export_c
            from nmt.checkpoint.export import export
            from nmt.checkpoint.web import export_web

        if options.format == "web":
            export_web(options.model, options.output)
        elif options.format == "onnx":
            _export_onnx(options.model, options.output)
        elif options.format == "int8":
            export(options.model, options.output)
        elif not export_c(options.model, options.output):
            logger.warning("%s: no C compiler was found; run make in it where there is one", options.output)

    return run(NAME, body, lower="the size of the model")


def _export_onnx(model: str, output: str) -> None:
    try:
        from nmt.checkpoint.onnx_export import export_onnx
    except ModuleNotFoundError as error:
        if error.name != "onnx":
            raise
        raise MachineError("--format onnx needs the package onnx; pip install 'nmt[onnx]'") from error
    export_onnx(model, output)


if __name__ == "__main__":
    sys.exit(main())
