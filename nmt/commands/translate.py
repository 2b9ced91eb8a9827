"""nmt-translate MODEL [MODEL ...] < LINES > TRANSLATIONS"""

import json
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from nmt.commands.base import number, parser, run, whole_number

if TYPE_CHECKING:
    from nmt.translate import Translation

Format = Callable[["Sequence[Translation]", int], str]


def plain(translations: "Sequence[Translation]", line: int) -> str:  # noqa: ARG001
    """The best translation."""
    return translations[0].text


def ranked(translations: "Sequence[Translation]", line: int) -> str:
    """A line for each translation, in the form of Moses: number of the input line, text, score."""
    return "\n".join(f"{line} ||| {translation.text} ||| {translation.score:.4f}" for translation in translations)


def as_json(translations: "Sequence[Translation]", line: int) -> str:
    """One object."""
    shown = [
        {
            "text": translation.text,
            "score": round(translation.score, 6),
            "tokens": translation.tokens,
            "alignment": translation.alignment,
        }
        for translation in translations
    ]
    content = {"line": line, "source_tokens": translations[0].source_tokens, "translations": shown}
    return json.dumps(content, ensure_ascii=False)


def main(arguments: Sequence[str] | None = None) -> int:
    """Translate standard input to standard output, line by line."""
    parse = parser("nmt-translate", "Translate lines from standard input to standard output.")
    parse.add_argument(
        "models", metavar="MODEL", nargs="+", help="output folder of nmt-train; several form an ensemble"
    )
    parse.add_argument(
        "--beam", type=whole_number(1), default=5, metavar="K", help="beam size, 1 is greedy (default 5)"
    )
    parse.add_argument(
        "--nbest", type=whole_number(1), metavar="N", help="print the N best as: line ||| text ||| score"
    )
    parse.add_argument("--json", action="store_true", help="print an object a line: text, score, tokens, alignment")
    parse.add_argument(
        "--length-penalty",
        type=number(0),
        default=1.0,
        metavar="A",
        help="hypotheses are ranked by log P / length^A (default 1)",
    )
    parse.add_argument(
        "--batch-size", type=whole_number(1), default=64, metavar="B", help="sentences at once (default 64)"
    )
    parse.add_argument("--threads", type=whole_number(1), metavar="T", help="CPU threads (default: all cores)")
    parse.add_argument(
        "--device", choices=["auto", "cpu", "cuda"], default="auto", help="default: a GPU if there is one"
    )
    options = parse.parse_args(arguments)
    show: Format = as_json if options.json else ranked if options.nbest else plain

    def body() -> None:
        import torch

        from nmt.pipe import run_pipe
        from nmt.search.options import SearchOptions
        from nmt.translate import Translator

        search = SearchOptions(
            beam=options.beam,
            nbest=options.nbest or 1,
            length_penalty=options.length_penalty,
            attention=options.json,
        )
        torch.set_num_threads(options.threads or torch.get_num_threads())
        translator = Translator.load(*options.models, device=options.device, batch_size=options.batch_size)
        source = open(sys.stdin.fileno(), "rb", buffering=0, closefd=False)  # noqa: SIM115 (it is not ours to close)
        run_pipe(
            source,
            sys.stdout.buffer,
            translate=lambda lines, numbers: translator.nbest(lines, search, numbers),
            show=show,
        )

    return run("nmt-translate", body)


if __name__ == "__main__":
    sys.exit(main())
