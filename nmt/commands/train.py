"""nmt-train CONFIG [section.key=value ...] --output DIR [--resume]"""

import sys
from collections.abc import Sequence

from nmt.commands.base import parser, run


def main(arguments: Sequence[str] | None = None) -> int:
    """Train a model from a configuration."""
    parse = parser("nmt-train", "Train a translation model from parallel text.")
    parse.add_argument("config", metavar="CONFIG", help="a YAML file, see docs/configuration.md")
    parse.add_argument(
        "overrides", metavar="section.key=value", nargs="*", default=[], help="values that replace those of CONFIG"
    )
    parse.add_argument(
        "--output", metavar="DIR", required=True, help="the folder to write the model, checkpoints and logs to"
    )
    parse.add_argument("--resume", action="store_true", help="go on with the training in DIR, if there is one")
    options = parse.parse_intermixed_args(arguments)

    def body() -> None:
        from nmt.config.load import load_config
        from nmt.training.distributed import join_processes
        from nmt.training.run import train

        with join_processes() as processes:
            config = load_config(options.config, options.overrides)
            train(config, options.output, resume=options.resume, bar=sys.stderr.isatty(), processes=processes)

    return run("nmt-train", body)


if __name__ == "__main__":
    sys.exit(main())
