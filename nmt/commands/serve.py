"""nmt-serve MODEL [MODEL ...], and nmt-serve keys add|list|revoke"""

import argparse
import contextlib
import logging
import signal
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from nmt.commands.arguments import (
    MODEL_HELP,
    add_fields,
    add_machine_options,
    build_parser,
    given_fields,
    whole_number,
)
from nmt.commands.process import print_result, run, startup
from nmt.errors import MachineError
from nmt.server.limits import Limits

if TYPE_CHECKING:
    from nmt.server.models import Models

logger = logging.getLogger("nmt.commands.serve")  # under `python -m`, __name__ is __main__

NAME = "nmt-serve"
LIMITS = {
    "max_characters": "N", "max_texts": "N", "max_alternatives": "N", "max_beam": "K", "max_terms": "N",
    "max_glossaries": "N", "max_body_bytes": "B", "max_file_bytes": "B", "requests_per_minute": "N",
    "characters_per_minute": "N", "max_queue_characters": "N", "seconds": "S", "body_seconds": "S",
}  # fmt: skip


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve models over HTTP, or manage the keys of clients."""
    given = sys.argv[1:] if arguments is None else list(arguments)
    if given[:1] == ["keys"]:
        return _manage_keys(given[1:])
    options = _parse(given)
    with contextlib.ExitStack() as stack:
        return run(NAME, lambda: _serve(options, stack), lower="--cache or --threads")


def _serve(options: argparse.Namespace, stack: contextlib.ExitStack) -> None:
    """Open what the server needs, which `stack` closes, and serve until a signal arrives."""
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # until the server can load its models again
    with startup():
        try:
            from nmt.server.app import make_app
            from nmt.server.run import RunSettings, bind, run_server
        except ModuleNotFoundError as error:
            raise MachineError(
                f"the server needs the package {error.name}; install the extra `server`: pip install 'nmt[server]'"
            ) from None
        from nmt.server.assemble import ServiceSettings, open_service
        from nmt.server.gate import GateSettings
        from nmt.system.machine import cores, keep_memory

        reserved = stack.enter_context(bind(options.host, options.port))
        keep_memory()
        settings = ServiceSettings(
            limits=Limits(**given_fields(options, Limits)),
            threads=options.threads or cores(),
            cache_bytes=options.cache << 20,
            keys=options.keys,
            require_key=options.require_key,
            glossaries=options.glossaries,
            prefix=options.prefix,
        )
        service = stack.enter_context(open_service(lambda: _load(options), settings))
    app = make_app(service, GateSettings(origins=tuple(options.origin or ("*",)), prefix=options.prefix))
    running = RunSettings(proxies=tuple(options.proxy or ()), drain_seconds=options.drain)
    run_server(app, service, reserved, running, reload=lambda: _load(options))


def _load(options: argparse.Namespace) -> "Models":
    from nmt.server.models import load_models
    from nmt.system.machine import cores

    models = load_models(
        options.models,
        options.pivot,
        device=options.device,
        precision=options.precision,
        shortlist=options.shortlist,
        threads=options.threads or cores(),
        batch_size=options.batch_size,
    )
    for model in models.models:
        kind = "" if model.translator.is_native else ", by PyTorch in batches"
        logger.info("%s: %s to %s%s", model.name, ", ".join(model.sources), ", ".join(model.targets), kind)
    return models


def _manage_keys(arguments: Sequence[str]) -> int:
    options = _parse_keys(arguments)

    def body() -> None:
        from nmt.server.keys import KeyStore

        store = KeyStore(options.keys, create=options.action == "add")
        if options.action == "add":
            limits = {name: getattr(options, name) for name in _KEY_LIMITS}
            print_result(store.add(options.name, **limits))
            logger.info("%s: this is the only time that the key is shown", options.name)
        elif options.action == "revoke":
            store.revoke(options.name)
        else:
            for key in store.list_all():
                fields = [key.name, key.created, f"{key.characters} characters this month"]
                shown = {name: getattr(key, name) for name in _KEY_LIMITS}
                fields += [f"{name}={value}" for name, value in shown.items() if value is not None]
                print_result("\t".join(fields))

    return run(f"{NAME} keys", body)


_KEY_LIMITS = ("requests_per_minute", "characters_per_minute", "characters_per_month")


def _parse_keys(arguments: Sequence[str]) -> argparse.Namespace:
    parser = build_parser(f"{NAME} keys", "Add, list and revoke the keys of clients.")
    actions = parser.add_subparsers(dest="action", required=True, metavar="add|list|revoke")
    shared: dict[str, Any] = {"required": True, "metavar": "FILE", "help": "the file of keys, in SQLite's format"}
    add = actions.add_parser("add", help="add a key, and print it")
    add.add_argument("name", metavar="NAME", help="the name of the key, for lists and the log")
    for name in _KEY_LIMITS:
        what = name.replace("_per_", " in a ").replace("_", " ")
        flag = f"--{name.replace('_', '-')}"
        add.add_argument(flag, type=whole_number(0, 10**12), metavar="N", help=f"most {what}; 0: unlimited")
    actions.add_parser("list", help="list the keys, and how much they have translated")
    actions.add_parser("revoke", help="revoke a key").add_argument("name", metavar="NAME", help="the name of the key")
    for action in actions.choices.values():
        action.add_argument("--keys", **shared)
    return parser.parse_args(arguments)


def _parse(arguments: Sequence[str]) -> argparse.Namespace:
    parser = build_parser(NAME, "Serve models over HTTP. `nmt-serve keys --help` is about keys of clients.")
    parser.add_argument("models", metavar="MODEL", nargs="+", help=f"{MODEL_HELP}, also as NAME=MODEL")
    parser.add_argument("--pivot", metavar="LANGUAGE", help="join two models by this language if no model has a pair")
    network = parser.add_argument_group("network")
    network.add_argument("--host", default="127.0.0.1", help="address; 0.0.0.0 serves all; default: 127.0.0.1")
    network.add_argument("--port", type=whole_number(0, 65_535), default=5000, help="default: 5000; 0 finds a free one")
    network.add_argument("--prefix", default="", metavar="PATH", help="path under which a proxy publishes the server")
    network.add_argument(
        "--proxy", action="append", metavar="ADDRESS", help="proxy whose X-Forwarded-For is trusted; may be repeated"
    )
    network.add_argument(
        "--origin", action="append", metavar="URL",
        help="origin of web pages that may use the server (CORS); may be repeated; default: *, all",
    )  # fmt: skip
    network.add_argument(
        "--drain", type=whole_number(0, 86_400), default=30, metavar="S",
        help="seconds for running requests after SIGTERM; default: 30",
    )  # fmt: skip
    clients = parser.add_argument_group("clients")
    clients.add_argument("--keys", metavar="FILE", help="keys of clients, from `nmt-serve keys add`")
    clients.add_argument("--require-key", action="store_true", help="refuse requests without a key")
    clients.add_argument("--glossaries", metavar="FILE", help="where to keep glossaries; default: in memory")
    add_fields(parser.add_argument_group("limits"), Limits, LIMITS)
    machine = parser.add_argument_group("machine")
    machine.add_argument(
        "--cache", type=whole_number(0, 1 << 20), default=64, metavar="MIB",
        help="memory for translations of segments that were seen before; default: 64",
    )  # fmt: skip
    add_machine_options(machine)
    options = parser.parse_args(arguments)
    options.prefix = options.prefix.rstrip("/")
    if options.prefix and not options.prefix.startswith("/"):
        parser.error(f"--prefix {options.prefix}: must begin with a slash, for example /translate")
    if options.require_key and not options.keys:
        parser.error("--require-key: needs --keys FILE, the keys that are valid")
    return options


if __name__ == "__main__":
    sys.exit(main())
