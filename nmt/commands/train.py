"""nmt-train CONFIG [section.key=value ...] --output DIR [--resume]"""

import sys
from collections.abc import Sequence

from nmt.commands.arguments import build_parser
from nmt.commands.process import run, startup

NAME = "nmt-train"


def main(arguments: Sequence[str] | None = None) -> int:
    """Train a model from a configuration."""
    parser = build_parser(NAME, "Train a translation model on parallel text.")
    parser.add_argument("config", metavar="CONFIG", help="a YAML file; docs/configuration.md lists its keys")
    parser.add_argument(
        "overrides", metavar="section.key=value", nargs="*", help="values that replace values of CONFIG"
    )
    parser.add_argument("--output", metavar="DIR", required=True, help="folder for the model, checkpoints and logs")
    parser.add_argument("--resume", action="store_true", help="continue the training in DIR, if there is one")
    options = parser.parse_intermixed_args(arguments)

    def body() -> None:
        with startup():
            from nmt.config.load import load_config
            from nmt.training.distributed import join_processes
            from nmt.training.run import train

        with join_processes() as processes:
            config = load_config(options.config, options.overrides)
            train(config, options.output, resume=options.resume, bar=sys.stderr.isatty(), processes=processes)

    return run(NAME, body, lower="training.batch_tokens, data.max_length or the sizes in model")


if __name__ == "__main__":
    sys.exit(main())
